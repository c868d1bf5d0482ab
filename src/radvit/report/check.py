"""Whether every form of a report says what findings.json says: each is read back and compared, finding by finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from math import isclose

from radvit.errors import DataError
from radvit.report import wording, wording_comparison
from radvit.report.build import Report, ReportFinding
from radvit.report.page_text import PageText
from radvit.report.said import ChangeSaid, Said
from radvit.report.said_text import bare, changes_in, confidence, numbers_in, sentence_said
from radvit.report.sr_comparison import day_of
from radvit.report.verdicts import Change
from radvit.report.wording import Words, millimetres

WITHIN = 1e-6  # of a number that a form tells in full: DICOM's decimal strings hold 16 characters
PAGE, PDF, SR, FHIR = "report.html", "report.pdf", "report.sr.dcm", "report.fhir.json"
BOX = re.compile(r'id="mark-(\d+)".*?<title>(.*?)</title>.*?<rect class="box" ([^>]*)/>', re.DOTALL)
CHECKED = (PAGE, PDF, SR, FHIR)


@dataclass(frozen=True, slots=True)
class Told:
    """What a form tells. exact: whether its numbers stand unrounded, and its types are the model's labels."""

    findings: tuple[Said, ...]
    exact: bool
    missing: tuple[str, ...] = ()  # sentences that should stand in it and don't
    suspicious: frozenset[int] | None = None  # numbers that its impression names, None where that can't be told
    changes: tuple[ChangeSaid, ...] = ()  # what its sentences tell of the comparison; exact forms tell it by finding
    prior: tuple[str, str | None] | None = None  # pseudonym and date of the earlier study, where it tells them as data


def differences(report: Report, forms: Mapping[str, bytes], language: str, page: str) -> list[str]:
    """How forms differ from the report, one line each; none where they say the same.

    forms: content by file name. page: report.html as the report gives it now, which the one in `forms` has to show too.
    """
    readers: dict[str, Callable[[bytes], Told]] = {
        PAGE: lambda data: _page_told(data.decode("utf-8"), report, language, page),
        PDF: lambda data: _pdf_told(data, report, language),
        SR: lambda data: _sr_told(data, report, language),
        FHIR: lambda data: _fhir_told(data.decode("utf-8"), report, language),
    }
    found = []
    for name in CHECKED:
        if name in forms:
            try:
                found += [f"{name}: {what}" for what in _apart(report, readers[name](forms[name]), language)]
            except (DataError, UnicodeDecodeError) as error:
                found.append(f"{name}: {error}")
    return found


def _apart(report: Report, told: Told, language: str) -> Iterator[str]:
    """What a form tells otherwise."""
    yield from (f"{sentence!r} is missing" for sentence in told.missing)
    if told.suspicious is not None:
        named = frozenset(item.number for item in report.findings)
        if told.suspicious != named:
            yield f"the impression names findings {sorted(told.suspicious)}; findings.json has {sorted(named)}"
    yield from _compared_apart(report, told)
    numbers = [one.number for one in told.findings]
    expected = [item.number for item in report.findings]
    if numbers != expected:
        yield f"findings {numbers}; findings.json has {expected}"
        return
    w = wording.words(language)
    for said, item in zip(told.findings, report.findings, strict=True):
        change = wording_comparison.change_of(report, item.number)
        for what, one, other in _pairs(said, item, told.exact, w, change):
            if one != other:
                yield f"finding {said.number}: {what} {one}; findings.json has {other}"


def _compared_apart(report: Report, told: Told) -> Iterator[str]:
    """What a form tells otherwise of the comparison, beside the verdicts that stand with its findings."""
    comparison = report.comparison
    if told.exact:
        prior = None if comparison is None else comparison.prior
        wanted = None if prior is None else (prior.study, day_of(prior.date))
        if told.prior != wanted:
            yield f"earlier study {told.prior}; findings.json has {wanted}"
        return
    expected = () if comparison is None else tuple(map(_change_expected, comparison.changes))
    if [(one.number, one.is_earlier) for one in told.changes] != [(one.number, one.is_earlier) for one in expected]:
        numbers = [[f"{'earlier ' * one.is_earlier}{one.number}" for one in some] for some in (told.changes, expected)]
        yield f"changes of findings {numbers[0]}; findings.json has {numbers[1]}"
        return
    for said, change in zip(told.changes, expected, strict=True):
        if said != change:
            which = f"{'earlier ' * change.is_earlier}finding {change.number}"
            yield f"change of {which}: {said}; findings.json has {change}"


def _change_expected(change: Change) -> ChangeSaid:
    """What the sentence about a change tells, rounded as it stands there."""
    number, is_earlier = change.number, change.number is None
    said = ChangeSaid(change.verdict.value, (change.prior_number if number is None else number) or 0, is_earlier)
    size = change.size
    if size is None:
        return said
    values = round(size.before_mm, 1), round(size.now_mm, 1), round(size.change_mm, 1), round(size.change_percent)
    return ChangeSaid(said.verdict, said.number, is_earlier, *values, size.plane.value)


def _pairs(
    said: Said, item: ReportFinding, exact: bool, w: Words, change: Change | None
) -> Iterator[tuple[str, object, object]]:
    """Each thing told beside what the report has, as exactly as the form tells it."""
    finding, place = item.finding, item.finding.location
    yield "band", said.band, item.band.value
    yield "side", said.side, place.side
    yield "zone", said.zone, place.zone
    yield "depth", said.depth, place.depth if exact or place.side or place.zone else None
    yield "plane", said.size_plane, None if finding.size_mm is None else finding.size_plane.value
    if not exact:
        yield "type", bare(said.type).casefold(), bare(w.name(finding.type)).casefold()
        yield "confidence", f"{said.score:.2f}", f"{finding.score:.2f}"
        size = None if finding.size_mm is None else millimetres(finding.size_mm)
        yield "size", None if said.size_mm is None else millimetres(said.size_mm), size
        return
    yield "type", said.type, finding.type
    yield "confidence", _near(said.score, finding.score), finding.score
    yield "size", _near(said.size_mm, finding.size_mm), finding.size_mm
    box = None if said.box_px is None else tuple(said.box_px)
    same = box is not None and finding.box_px is not None and all(map(_is_near, box, finding.box_px))
    yield "box", finding.box_px if same else box, finding.box_px
    yield "verdict", said.verdict, None if change is None else change.verdict.value
    grown = None if change is None or change.size is None else change.size.change_mm
    yield "change in mm", _near(said.change_mm, grown), grown


def _is_near(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=WITHIN, abs_tol=WITHIN)


def _near(one: float | None, other: float | None) -> float | None:
    """The other number where the first is the same within a rounding, else the first."""
    return other if one is not None and other is not None and _is_near(one, other) else one


def _page_told(text: str, report: Report, language: str, page: str) -> Told:
    shown = PageText(text)
    wanted = shown if text == page else PageText(page)
    if shown.language != wanted.language:
        raise DataError(f"language {shown.language!r}; expected {wanted.language!r}")
    there = set(shown.text)
    missing = [one for one in wanted.text if one not in there]
    if not missing and shown.text != wanted.text:
        missing = ["its text as findings.json gives it"]
    if set(BOX.findall(text)) - set(BOX.findall(page)):
        missing.append("a box, or its words, as findings.json has them")
    said = tuple(sentence_said(int(n) if n.isdigit() else 0, sentence, language) for n, sentence in shown.findings)
    verdicts = {value for key, value in wording.words(language).table.items() if key.startswith("verdict.")}
    pairs = zip(shown.text, shown.text[1:], strict=False)
    changes = [changes_in(word + reason, language)[:1] for word, reason in pairs if word in verdicts]
    return Told(said, False, tuple(missing), numbers_in(shown.impression, language), tuple(chain(*changes)))


def _pdf_told(data: bytes, report: Report, language: str) -> Told:
    """A PDF's text has no structure: findings are what ends in a confidence, one after the other."""
    text = bare(pdf_text(data))
    w = wording.words(language)
    summary = bare(wording.findings_summary(report, w))
    missing = [one for one in sentences(report, w) if bare(one) not in text]
    untrue = [one for one in wording.intervals(report, w) if bare(one) in text]
    if untrue:
        raise DataError(f"says {untrue[0]!r}, which findings.json doesn't")
    names = {bare(w.name(label)).casefold() for label in report.looked_for}
    names |= {bare(w.name(item.finding.type)).casefold() for item in report.findings}
    said, end = [], max(text.find(summary), 0) + len(summary)
    last = text.find(bare(w["head.recommendation"]), end)
    for number, found in enumerate(confidence(language).finditer(text, end, last if last >= 0 else len(text)), start=1):
        said.append(_numbered(number, text[end : found.start()], found[0], names, language))
        end = found.end() + len(bare(w["sentence.end"]))
    changes = changes_in(text[end : last if last >= 0 else len(text)], language)
    return Told(tuple(said), False, tuple(missing), changes=changes)


def _numbered(number: int, text: str, sure: str, names: Set[str], language: str) -> Said:
    """The finding of a number whose sentence ends a stretch of a PDF's text. sure: its confidence, which comes next.

    Captions of pictures may come before it, digits too: it begins at the number behind which a finding is named.
    """
    written = str(number)
    for marked in reversed(list(re.finditer(f"(?={written})", text))):  # overlapping ones too: image 1, 11
        with suppress(DataError):  # of what isn't the beginning
            said = sentence_said(number, text[marked.start() + len(written) :] + sure, language)
            if bare(said.type).casefold() in names:
                return said
    raise DataError(f"no finding {number} that ends in {text[-40:]!r}")


def _sr_told(data: bytes, report: Report, language: str) -> Told:
    from radvit.report.dicom_header import label_code
    from radvit.report.sr import read_all, sentences
    from radvit.report.sr_tree import fitted

    labels = {label_code(item.finding.type): item.finding.type for item in report.findings}
    found = read_all(data)
    said = (
        Said(
            number=one.number,
            type=labels.get(one.type, one.type),
            score=one.score,
            band=one.band.value,
            side=one.side,
            zone=one.zone,
            depth=one.depth,
            size_mm=one.size_mm,
            size_plane=one.size_plane,
            box_px=one.box_px,
            verdict=one.verdict,
            change_mm=one.change_mm,
        )
        for one in found.findings
    )
    wanted = [fitted(sentence) for _, sentence in sentences(report, wording.words(language))]
    missing = [one for one in wanted if one not in found.sentences]
    if not missing and list(found.sentences) != wanted:
        missing = ["its text as findings.json gives it"]
    return Told(tuple(said), True, tuple(missing), prior=found.prior)


def _fhir_told(text: str, report: Report, language: str) -> Told:
    from radvit.report.fhir import comparison_note, conclusion, label_code, notes, read_fhir, read_prior

    labels = {label_code(item.finding.type): item.finding.type for item in report.findings}
    w = wording.words(language)
    there = set(notes(text))
    wanted = [conclusion(report, w), *(wording.finding_sentence(item, w) for item in report.findings)]
    wanted += [] if report.comparison is None else [comparison_note(report.comparison, w)]
    said = (replace(one, type=labels.get(one.type, one.type)) for one in read_fhir(text))
    return Told(tuple(said), True, tuple(one for one in wanted if one not in there), prior=read_prior(text))


def pdf_text(data: bytes) -> str:
    """The text of a PDF. Raises DataError where it is none."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        return "\n".join(page.extract_text() for page in PdfReader(BytesIO(data)).pages)
    except (PyPdfError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"can't be read as a PDF ({type(error).__name__}: {error})") from error


def sentences(report: Report, w: Words) -> list[str]:
    """Everything that a report has to say in whatever form has words."""
    compared = () if report.comparison is None else wording_comparison.told(report.comparison, w, between="")
    return [
        *wording.impression(report, w),
        wording.findings_summary(report, w),
        *(wording.finding_sentence(item, w) for item in report.findings),
        *wording.merged(report, w),
        *compared,
        *wording.recommendations(report, w),
    ]
