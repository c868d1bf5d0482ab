"""The words of a report in each language: tables of data, and one rule a sentence.

No sentence ever says that a patient is healthy: the most a report says is that nothing reached the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radvit.errors import ConfigError
from radvit.records import Basis, Finding, Location, SpacingPlane
from radvit.report.build import Band, Report, ReportFinding, ReportImage
from radvit.report.fleischner import Advice, Density, Fleischner, largest, whole_mm
from radvit.report.words_en import ENGLISH
from radvit.report.words_zh import CHINESE

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}

OTHER_THAN_RADIOGRAPHS = frozenset({"CT", "MR", "PT", "NM", "US"})


@dataclass(frozen=True, slots=True)
class Words:
    """One language's table and the rules that read it."""

    table: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        return self.table[key]

    def name(self, label: str, n: int = 1) -> str:
        """What a type of finding is called; a type the table doesn't know keeps its own name."""
        plain = label.replace("_", " ")
        key = f"type.{plain.lower()}"
        if n == 1:
            return self.table.get(key, plain)
        return self.table.get(f"{key}.many", self.table.get(key, plain))

    def counted(self, key: str, n: int, **values: object) -> str:
        """A sentence about n things, with the right plural."""
        return self.table[f"{key}.one" if n == 1 else f"{key}.many"].format(n=n, **values)

    def listed(self, parts: Sequence[str]) -> str:
        """Join words: a; a and b; a, b and c."""
        if len(parts) < 2:
            return "".join(parts)
        return self["list.comma"].join(parts[:-1]) + self["list.and"] + parts[-1]

    def or_unknown(self, value: str | None) -> str:
        """The value, or the word for an unknown one."""
        return value or self["unknown"]


def words(language: str) -> Words:
    """The words of `en` or `zh`. Raises ConfigError for another language."""
    if language not in LANGUAGES:
        raise ConfigError(f"report language {language!r}; expected one of {', '.join(LANGUAGES)}")
    return Words(LANGUAGES[language])


def millimetres(size: float) -> str:
    """A size for reading: whole millimetres from 10 on, one decimal below."""
    return f"{size:.0f}" if size >= 9.95 else f"{size:.1f}"


def place(location: Location, w: Words) -> str:
    """Side, zone and depth in words, and whether thirds of the image stood in for the lungs; empty where not told."""
    side = w[f"side.{location.side}"] if location.side else ""
    zone = w[f"zone.{location.zone}"] if location.zone else ""
    where = ""
    if side and zone:
        where = w["place.side_zone"].format(side=side, zone=zone)
    elif side:
        where = w["place.side"].format(side=side)
    elif zone:
        where = w["place.zone"].format(zone=zone)
    if where and location.depth:
        return w["place.deep"].format(place=where, depth=w[f"depth.{location.depth}"])
    return w["place.image"].format(place=where) if zone and location.basis == "image" else where


def stands_out(finding: Finding, w: Words) -> str:
    """Contrast to the surroundings; empty where it isn't known."""
    if finding.contrast is None:
        return ""
    return w["contrast"].format(value=f"{finding.contrast:+.1f}".replace("-", "\N{MINUS SIGN}"))


def measured(finding: Finding, w: Words) -> str:
    """Size and the plane it was measured in; empty for a finding of the whole image."""
    if finding.box_px is None:
        return ""
    if finding.size_mm is None:
        return w["size.none"]
    return w["size"].format(mm=millimetres(finding.size_mm), plane=w[f"plane.{finding.size_plane.value}"])


def what_and_where(item: ReportFinding, w: Words) -> str:
    """`Nodule in the right upper zone`, without a full stop."""
    finding = item.finding
    name, where = w.name(finding.type), place(finding.location, w)
    if finding.box_px is None:
        return capital(w["finding.image"].format(name=name))
    return capital(w["finding.placed" if where else "finding"].format(name=name, place=where))


def rests_on(finding: Finding, w: Words) -> str:
    """That a box is only where a classifier looked; empty for any other finding, as its words tell enough."""
    return w["basis.attention"] if finding.basis is Basis.ATTENTION else ""


def finding_sentence(item: ReportFinding, w: Words) -> str:
    """What was found, where, what that rests on, how large, how much it stands out, how sure."""
    sure = w["confidence"].format(score=f"{item.finding.score:.2f}", band=w[f"band.{item.band.value}"])
    finding = item.finding
    parts = (what_and_where(item, w), rests_on(finding, w), measured(finding, w), stands_out(finding, w), sure)
    return w["sentence.join"].join(part for part in parts if part) + w["sentence.end"]


def findings_summary(report: Report, w: Words) -> str:
    """How many findings were listed, from which threshold on."""
    n, mention = len(report.findings), f"{report.bands.mention:.2f}"
    return w.counted("findings", n, mention=mention) if n else w["findings.none"].format(mention=mention)


def merged(report: Report, w: Words) -> list[str]:
    """Which findings are taken for one lesion, and which are supported by a lateral image."""
    sentences = []
    for entry in report.merged:
        numbers = w.listed([str(number) for number in entry.numbers])
        if len(entry.numbers) > 1:
            values = {"name": w.name(entry.type), "numbers": numbers, "score": f"{entry.score:.2f}"}
            sentences.append(w["merged"].format(**values))
        if entry.supported_by:
            lateral = w.listed([str(number) for number in entry.supported_by])
            sentences.append(w.counted("supported", len(entry.supported_by), numbers=lateral, first=entry.numbers[0]))
    return sentences


def impression(report: Report, w: Words) -> list[str]:
    """The bands above suspicion, one sentence a band and type; where there is none, that nothing reached them."""
    sentences = [sentence for band in (Band.HIGH, Band.MODERATE) for sentence in _suspicions(report, band, w)]
    if not sentences:
        sentences.append(w["impression.none"].format(threshold=f"{report.bands.moderate:.2f}"))
    low = report.of_band(Band.LOW)
    if low:
        sentences.append(w.counted("impression.low", len(low), numbers=_numbers(low, w)))
    if report.impression not in (Band.HIGH, Band.MODERATE):
        sentences.append(w["impression.caution"])
    return sentences


def title(report: Report, w: Words) -> str:
    """What the report is of: radiographs, or images of other kinds too."""
    projections = all(image.header.modality not in OTHER_THAN_RADIOGRAPHS for image in report.images)
    return w["title" if projections else "title.images"]


def recommendation(report: Report, w: Words) -> str:
    """What a reader might do next, by the strongest band; regions are spoken of only where some are marked."""
    if report.impression not in (Band.HIGH, Band.MODERATE):
        return w[f"recommendation.{Band.NONE.value}"]
    marked = any(item.finding.box_px is not None for item in report.of_band(report.impression))
    return w[f"recommendation.{report.impression.value}" + ("" if marked else ".image")]


def recommendations(report: Report, w: Words) -> list[str]:
    """What a reader might do next, and for nodules on CT what the guideline says, or why it can't be applied."""
    cited = [] if report.fleischner is None else guideline(report.fleischner, w)
    return [recommendation(report, w), *cited]


def guideline(made: Fleischner, w: Words) -> list[str]:
    """The citation with its inputs; where it is not applicable, all the reasons and no interval."""
    findings = w.counted("fleischner.findings", len(made.numbers), numbers=w.listed([str(n) for n in made.numbers]))
    source = w["fleischner.source"]
    if made.advice is None:
        reasons = w["fleischner.join"].join(w[f"fleischner.not.{reason.value}"] for reason in made.reasons)
        return [w["fleischner.not"].format(source=source, findings=findings, reasons=reasons)]
    density, risk = made.stated.density or Density.SOLID, made.stated.risk
    at_risk = w[f"fleischner.risk.{risk.value}"] if risk and density is Density.SOLID else ""
    count = "many" if made.several else "one"
    what = w[f"fleischner.nodule.{count}"].format(
        what=w[f"fleischner.{density.value}.{count}"], mm=largest(made.sizes_mm), risk=at_risk
    )
    sizes = w.listed([str(whole_mm(size)) for size in made.sizes_mm if size is not None])
    stated = w["fleischner.stated.risk" if at_risk else "fleischner.stated"]
    return [
        w["fleischner.applied"].format(source=source, nodules=what, advice=w[f"fleischner.advice.{made.advice.value}"]),
        w["fleischner.inputs"].format(findings=findings, sizes=sizes, age=age(made.age, w), stated=stated),
        w["fleischner.caution"],
    ]


def intervals(report: Report, w: Words) -> list[str]:
    """What the guideline says of other nodules than this report's, which therefore must stand in none of its forms."""
    said = report.fleischner.advice if report.fleischner else None
    return [w[f"fleischner.advice.{advice.value}"] for advice in Advice if advice is not said]


def limits(report: Report, w: Words, shown: int) -> list[str]:
    """What the report can't say. shown: number of images that are pictured."""
    names = w.listed([w.name(label, 2) for label in report.looked_for])
    found = [item.finding for item in report.findings]
    sentences = [w["limit.research"], w["limit.types"].format(names=names)]
    if any(finding.basis is Basis.ATTENTION for finding in found):
        sentences.append(w["limit.attention"])
    if report.unmapped:
        numbers = w.listed([str(number) for number in report.unmapped])
        sentences.append(w.counted("limit.unmapped", len(report.unmapped), numbers=numbers))
    if any(finding.size_mm is not None for finding in found):
        sentences.append(w["limit.size"])
    if any(finding.size_mm is not None and finding.size_plane is not SpacingPlane.PATIENT for finding in found):
        sentences.append(w["limit.magnified"])
    if any(finding.location.zone and finding.location.basis != "lungs" for finding in found):
        sentences.append(w["limit.zone"])
    if any(finding.location.basis == "lungs" for finding in found):
        sentences.append(w["limit.lungs"])
    if any(finding.contrast is not None for finding in found):
        sentences.append(w["limit.contrast"])
    if len({item.image for item in report.findings}) > 1:
        sentences.append(w["limit.same"])
    if report.study_date:
        sentences.append(w["limit.date"])
    sentences += [_blanked(image, w) for image in report.images if image.header.blanked]
    if shown < len(report.images):
        sentences.append(w.counted("limit.shown", shown, total=len(report.images)))
    return sentences


def refusals(report: Report, w: Words) -> str:
    """How many files or images of the study were not read; empty where all were."""
    return w.counted("refused", len(report.refused)) if report.refused else ""


def age(value: str | None, w: Words) -> str:
    """A DICOM age string (PS3.5 6.2, AS: `063Y`) in words; as it stands where it is not one."""
    if value and len(value) == 4 and value[:3].isdecimal() and f"age.{value[3]}.many" in w.table:
        return w.counted(f"age.{value[3]}", int(value[:3]))
    return w.or_unknown(value)


def sex(value: str | None, w: Words) -> str:
    """The word for a DICOM sex code; as it stands where the table doesn't know it."""
    return w.table.get(f"sex.{value}", w.or_unknown(value))


def modality(value: str, w: Words) -> str:
    """The name of a DICOM modality with its code, the code alone where the table doesn't know it."""
    name = w.table.get(f"modality.{value}")
    return w["code"].format(name=name, code=value) if name else value


def body_part(value: str | None, w: Words) -> str:
    """The name of a DICOM body part; as it stands where the table doesn't know it."""
    return w.table.get(f"body.{value}", w.or_unknown(value))


def view(value: str | None, w: Words) -> str:
    """The name of a view position; as it stands where the table doesn't know it."""
    return w.table.get(f"view.{value}", w.or_unknown(value))


def capital(text: str) -> str:
    """The text with its first letter a capital."""
    return text[:1].upper() + text[1:]


def _suspicions(report: Report, band: Band, w: Words) -> list[str]:
    """One sentence for each type of finding in a band, the most suspicious first."""
    items = report.of_band(band)
    sentences = []
    for label in dict.fromkeys(item.finding.type for item in items):
        same = [item for item in items if item.finding.type == label]
        name = w.name(label, len(same))
        sentences.append(w.counted(f"impression.{band.value}", len(same), name=name, numbers=_numbers(same, w)))
    return sentences


def _numbers(items: Sequence[ReportFinding], w: Words) -> str:
    return w.listed([str(item.number) for item in items])


def _blanked(image: ReportImage, w: Words) -> str:
    return w.counted("limit.blanked", image.header.blanked, image=image.number)
