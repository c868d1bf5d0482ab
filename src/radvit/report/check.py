"""Whether every form of a report says what findings.json says: each is read back and compared, finding by finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from math import isclose

from radvit.errors import DataError
from radvit.report import wording, wording_comparison
from radvit.report.build import Report, ReportFinding
from radvit.report.page_text import PageText
from radvit.report.said import Said
from radvit.report.said_text import bare, confidence, numbers_in, sentence_said
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
    untold: frozenset[str] = frozenset()  # what this form tells of no finding


def differences(report: Report, forms: Mapping[str, bytes], language: str, page: str) -> list[str]:
    """How forms differ from the report, one line each; none where they say the same.

    forms: content by file name. page: report.html as the report gives it now, which the one in `forms` has to show too.
    """
    readers: dict[str, Callable[[bytes], Told]] = {
        PAGE: lambda data: _page_told(data.decode("utf-8"), report, language, page),
        PDF: lambda data: _pdf_told(data, report, language),
        SR: lambda data: replace(_sr_told(data, report), missing=_sr_missing(data, report, language)),
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
    numbers = [one.number for one in told.findings]
    expected = [item.number for item in report.findings]
    if numbers != expected:
        yield f"findings {numbers}; findings.json has {expected}"
        return
    w = wording.words(language)
    for said, item in zip(told.findings, report.findings, strict=True):
        for what, one, other in _pairs(said, item, told.exact, w):
            if one != other and what not in told.untold:
                yield f"finding {said.number}: {what} {one}; findings.json has {other}"


def _pairs(said: Said, item: ReportFinding, exact: bool, w: Words) -> Iterator[tuple[str, object, object]]:
    """Each thing told beside what the report has, as exactly as the form tells it."""
    finding, place = item.finding, item.finding.location
    yield "band", said.band, item.band.value
    yield "side", said.side, place.side
    yield "zone", said.zone, place.zone
    yield "depth", said.depth, place.depth if place.side or place.zone else None
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


def _is_near(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=WITHIN, abs_tol=WITHIN)


def _near(one: float | None, other: float | None) -> float | None:
    """The other number where the first is the same within a rounding, else the first."""
    return other if one is not None and other is not None and _is_near(one, other) else one


def _page_told(text: str, report: Report, language: str, page: str) -> Told:
    shown, wanted = PageText(text), PageText(page)
    if shown.language != wanted.language:
        raise DataError(f"language {shown.language!r}; expected {wanted.language!r}")
    there = set(shown.text)
    missing = [one for one in wanted.text if one not in there]
    if not missing and shown.text != wanted.text:
        missing = ["its text as findings.json gives it"]
    if set(BOX.findall(text)) - set(BOX.findall(page)):
        missing.append("a box, or its words, as findings.json has them")
    said = tuple(sentence_said(int(n) if n.isdigit() else 0, sentence, language) for n, sentence in shown.findings)
    return Told(said, False, tuple(missing), numbers_in(shown.impression, language))


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
    return Told(tuple(said), False, tuple(missing))


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


def _sr_told(data: bytes, report: Report) -> Told:
    from radvit.report.dicom_header import label_code
    from radvit.report.sr import read_sr

    labels = {label_code(item.finding.type): item.finding.type for item in report.findings}
    said = (
        Said(
            one.number,
            labels.get(one.type, one.type),
            one.score,
            one.band.value,
            one.side,
            one.zone,
            None,
            one.size_mm,
            None,
            one.box_px,
        )
        for one in read_sr(data)
    )
    return Told(tuple(said), True, untold=frozenset({"depth", "plane"}))


def _sr_missing(data: bytes, report: Report, language: str) -> tuple[str, ...]:
    """Recommendations that a Structured Report lacks. Raises DataError where it has others."""
    from radvit.report.dicom_header import TEXT, clean
    from radvit.report.sr_text import RECOMMENDATION, texts

    wanted = [clean(one, TEXT) for one in wording.recommendations(report, wording.words(language))]
    there = texts(data, RECOMMENDATION)
    missing = tuple(one for one in wanted if one not in there)
    untrue = [one for one in there if one not in wanted]
    if untrue and not missing:
        raise DataError(f"says {untrue[0]!r}, which findings.json doesn't")
    return missing


def _fhir_told(text: str, report: Report, language: str) -> Told:
    from radvit.report.fhir import conclusion, label_code, notes, read_fhir

    labels = {label_code(item.finding.type): item.finding.type for item in report.findings}
    w = wording.words(language)
    there = set(notes(text))
    wanted = [conclusion(report, w), *(wording.finding_sentence(item, w) for item in report.findings)]
    said = (replace(one, type=labels.get(one.type, one.type)) for one in read_fhir(text))
    return Told(tuple(said), True, tuple(one for one in wanted if one not in there))


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
    compared = () if report.comparison is None else wording_comparison.compared_with(report.comparison, w)
    return [
        *wording.impression(report, w),
        wording.findings_summary(report, w),
        *(wording.finding_sentence(item, w) for item in report.findings),
        *wording.merged(report, w),
        *compared,
        *wording.recommendations(report, w),
    ]
