"""A report as a DICOM Structured Report, by the Measurement Report template (TID 1500), and back to its findings.

Every sentence is a text item of Qualitative Evaluations (TID 1500, rows 12 to 14), which is where the template has
statements that belong to no measurement. highdicom isn't used: it can't write a report without findings, nor one of a
given moment. Its reader is what the tests read these files with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from radvit.errors import DataError
from radvit.records import Basis, Finding
from radvit.report import sr_tree as tree
from radvit.report import wording_comparison
from radvit.report.build import Band, Report, ReportFinding, ReportImage
from radvit.report.codes import SIDES, code_of, site_of
from radvit.report.dicom_header import (
    MANUFACTURER,
    PRIVATE_SCHEME,
    Source,
    checked,
    clean,
    coded,
    each_file,
    finding_type,
    item,
    label_code,
    new_object,
    private,
    sources,
    to_bytes,
    uid,
)
from radvit.report.sr_comparison import COMPARISON, DIFFERENCE, change_items, prior_items, read_prior, read_verdict
from radvit.report.sr_tree import ACQUIRED, CONTAINS, CONTEXT, METHOD, MODIFIER, SELECTED, Concept
from radvit.report.wording import Words, impression, recommendations, words

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"  # Comprehensive SR Storage
MODALITIES = {"CR": "Computed Radiography", "DX": "Digital Radiography", "CT": "Computed Tomography"}  # CID 29
RADIOGRAPHY = ("43468-8", "LN", "XR unspecified body region")
TOMOGRAPHY = ("25045-6", "LN", "CT unspecified body region")
LANGUAGE_NAMES = {"en": "English", "zh": "Chinese"}  # RFC 5646

IMAGING_MEASUREMENTS = ("126010", "DCM", "Imaging Measurements")
EVALUATIONS = ("C0034375", "UMLS", "Qualitative Evaluations")
GROUP = ("125007", "DCM", "Measurement Group")
TRACKING = ("112039", "DCM", "Tracking Identifier")
FINDING = ("121071", "DCM", "Finding")
SITE = ("363698007", "SCT", "Finding Site")
LATERALITY = ("272741003", "SCT", "Laterality")
LONG_AXIS = ("103339001", "SCT", "Long Axis")
REGION = ("111030", "DCM", "Image Region")
SOURCE_OF_MEASUREMENT = ("121112", "DCM", "Source of Measurement")
CONFIDENCE = ("confidence", PRIVATE_SCHEME, "Confidence")
BAND = ("band", PRIVATE_SCHEME, "Band of confidence")
ZONE = ("zone", PRIVATE_SCHEME, "Zone")
DEPTH = ("depth", PRIVATE_SCHEME, "Depth in the lung")
BASIS = ("basis", PRIVATE_SCHEME, "What the finding rests on")
LABEL = ("label", PRIVATE_SCHEME, "Label of the model")

_NUMBER = re.compile(r"Finding ([1-9][0-9]{0,8})\Z")


@dataclass(frozen=True, slots=True)
class SrFinding:
    """One finding as a Structured Report tells it.

    type: the model's label, cleaned of what a code can't hold. box_px: (x1, y1, x2, y2), None for a finding of the
    whole image. verdict, change_mm: what became of it since the earlier study. image_uid: the SOPInstanceUID of its
    image. frame: within that file, from 0.
    """

    number: int
    type: str
    score: float
    band: Band
    box_px: tuple[float, float, float, float] | None
    size_mm: float | None
    side: str | None
    zone: str | None
    depth: str | None
    size_plane: str | None
    verdict: str | None
    change_mm: float | None
    image_uid: str
    frame: int


@dataclass(frozen=True, slots=True)
class SrReport:
    """All that is read back of a Structured Report.

    findings: by their numbers. sentences: of the Qualitative Evaluations, in order. prior: pseudonym and day of the
    earlier study, None where none is named.
    """

    findings: tuple[SrFinding, ...]
    sentences: tuple[str, ...]
    prior: tuple[str, str | None] | None


def to_sr(report: Report, language: str) -> bytes:
    """The report as a Comprehensive SR, unverified and preliminary; PARTIAL where files of the study were refused.

    language: of its sentences and of the meanings of radvit's own codes. Raises ConfigError for an unknown language,
    DataError where the report has a UID, a number or a moment that can't stand in a DICOM file.
    Source: DICOM PS3.3 A.35.3, C.17; PS3.16 TID 1500, 1410, 1501.
    """
    w = words(language)
    dataset = new_object(report, SOP_CLASS, f"sr {language}")
    dataset.Modality = "SR"
    dataset.CodingSchemeIdentificationSequence = [
        item(CodingSchemeDesignator=PRIVATE_SCHEME, CodingSchemeName=MANUFACTURER)
    ]
    dataset.CompletionFlag = "PARTIAL" if report.refused else "COMPLETE"
    dataset.VerificationFlag, dataset.PreliminaryFlag = "UNVERIFIED", "PRELIMINARY"
    dataset.ReferencedPerformedProcedureStepSequence, dataset.PerformedProcedureCodeSequence = [], []
    if report.images:
        dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(report)]
    root = tree.container("", ("126000", "DCM", "Imaging Measurement Report"), _content(report, w, language), "1500")
    dataset.update(root)
    return to_bytes(dataset)


def read_sr(data: bytes) -> list[SrFinding]:
    """The findings of a file that `to_sr` wrote, by their numbers. Raises DataError where it is no such file."""
    return list(read_all(data).findings)


def read_all(data: bytes) -> SrReport:
    """All that a file that `to_sr` wrote says. Raises DataError where it is no such file."""
    from pydicom import dcmread

    try:
        dataset = dcmread(BytesIO(data))
        if dataset.SOPClassUID != SOP_CLASS or dataset.ContentTemplateSequence[0].TemplateIdentifier != "1500":
            raise ValueError("not a measurement report")
        groups = tree.children(tree.child(dataset, IMAGING_MEASUREMENTS), GROUP)
        evaluations = tree.child(dataset, EVALUATIONS)
        return SrReport(
            findings=tuple(sorted(map(_read_group, groups), key=lambda found: found.number)),
            sentences=tuple(str(one.TextValue) for one in evaluations.ContentSequence),
            prior=read_prior(evaluations),
        )
    except Exception as error:  # noqa: BLE001 - pydicom raises anything of a broken file
        raise DataError(f"{len(data)} bytes that are no report by radvit ({type(error).__name__})") from None


def sentences(report: Report, w: Words) -> list[tuple[Concept, str]]:
    """Impression, comparison, recommendations, and that no physician has seen this; each below its concept."""
    said = [(("121073", "DCM", "Impression"), sentence) for sentence in impression(report, w)]
    if report.comparison is not None:
        said += [(COMPARISON, sentence) for sentence in wording_comparison.told(report.comparison, w)]
    said += [(("121075", "DCM", "Recommendation"), sentence) for sentence in recommendations(report, w)]
    return said + [(("121106", "DCM", "Comment"), sentence) for sentence in (w["subtitle"], w["research"])]


def _content(report: Report, w: Words, language: str) -> list[Dataset]:
    """The children of the root, in the order of TID 1500."""
    found = sources(report)
    by_number = {image.number: image for image in report.images}
    groups = [_group(report, entry, found[entry.image], by_number[entry.image], w) for entry in report.findings]
    spoken = ("121049", "DCM", "Language of Content Item and Descendants")
    return [
        tree.code(MODIFIER, spoken, coded(language, "RFC5646", LANGUAGE_NAMES[language])),
        *_observer(report),
        tree.code(MODIFIER, ("121058", "DCM", "Procedure reported"), coded(*_procedure(report))),
        *_library(report),
        tree.container(CONTAINS, IMAGING_MEASUREMENTS, groups),
        tree.container(CONTAINS, EVALUATIONS, _evaluated(report, w)),
    ]


def _procedure(report: Report) -> Concept:
    """What was done: tomography where every image is of it, else radiography."""
    modalities = {image.header.modality for image in report.images}
    return TOMOGRAPHY if modalities == {"CT"} else RADIOGRAPHY


def _observer(report: Report) -> list[Dataset]:
    """Device Observer (TID 1001, 1002, 1004): the model, by what it is and not by where it ran."""
    made = report.provenance
    device = uid("device", MANUFACTURER, made.model, made.version, made.weights)
    return [
        tree.code(CONTEXT, ("121005", "DCM", "Observer Type"), coded("121007", "DCM", "Device")),
        tree.node(CONTEXT, "UIDREF", ("121012", "DCM", "Device Observer UID"), UID=device),
        tree.text(CONTEXT, ("121013", "DCM", "Device Observer Name"), MANUFACTURER),
        tree.text(CONTEXT, ("121014", "DCM", "Device Observer Manufacturer"), MANUFACTURER),
        tree.text(CONTEXT, ("121015", "DCM", "Device Observer Model Name"), clean(made.model)),
    ]


def _library(report: Report) -> list[Dataset]:
    """Image Library (TID 1600): every file that was read, also those in which nothing was found."""
    if not report.images:
        return []
    first = {image.header.image: image for image in reversed(report.images)}
    entries = [_library_entry(source, first[source.image]) for source in each_file(report)]
    group = tree.container(CONTAINS, ("126200", "DCM", "Image Library Group"), entries)
    return [tree.container(CONTAINS, ("111028", "DCM", "Image Library"), [group])]


def _library_entry(source: Source, image: ReportImage) -> Dataset:
    """One image and its descriptors (TID 1601, 1602)."""
    entry = tree.image(CONTAINS, None, source)
    pixels = coded("{pixels}", "UCUM", "pixels")
    size = (
        (("110910", "DCM", "Pixel Data Rows"), image.geometry.rows),
        (("110911", "DCM", "Pixel Data Columns"), image.geometry.columns),
    )
    entry.ContentSequence = [tree.measured(ACQUIRED, name, pixels, value) for name, value in size]
    modality = image.header.modality
    if modality in MODALITIES:
        code = coded(modality, "DCM", MODALITIES[modality])
        entry.ContentSequence.insert(0, tree.code(ACQUIRED, ("121139", "DCM", "Modality"), code))
    return entry


def _evaluated(report: Report, w: Words) -> list[Dataset]:
    """The sentences; the first of the comparison names the earlier study."""
    prior = None if report.comparison is None else report.comparison.prior
    said = sentences(report, w)
    made = [tree.text(CONTAINS, name, sentence) for name, sentence in said]
    if prior is not None:
        made[[name for name, _ in said].index(COMPARISON)].ContentSequence = prior_items(prior)
    return made


def _group(report: Report, entry: ReportFinding, source: Source, image: ReportImage, w: Words) -> Dataset:
    """The measurement group of one finding: TID 1410 where it has a box, else TID 1501."""
    finding = entry.finding
    boxed = finding.box_px is not None
    change = wording_comparison.change_of(report, entry.number)
    differences, verdict = ([], []) if change is None else change_items(change, w)
    tracking = uid("finding", report.study, image.header.image, str(entry.number))
    children = [
        tree.text(CONTEXT, TRACKING, f"Finding {entry.number}"),
        tree.node(CONTEXT, "UIDREF", ("112040", "DCM", "Tracking Unique Identifier"), UID=tracking),
        tree.code(CONTAINS, FINDING, finding_type(finding.type, w)),
        _site(finding, image),
        *_algorithm(report),
        *_measurements(finding, w),
        *differences,
        *_evaluations(entry, w),
        *verdict,
        _region(finding, source) if boxed else tree.image(CONTAINS, SOURCE_OF_MEASUREMENT, source),
    ]
    return tree.container(CONTAINS, GROUP, children, "1410" if boxed else "1501")


def _site(finding: Finding, image: ReportImage) -> Dataset:
    """Finding Site, with the side where it is told."""
    place = site_of(finding.type, image.header.body_part)
    site = tree.code(MODIFIER, SITE, coded(place.value, "SCT", place.meaning))
    if finding.location.side is not None:
        value, meaning = SIDES[finding.location.side]
        site.ContentSequence = [tree.code(MODIFIER, LATERALITY, coded(value, "SCT", meaning))]
    return site


def _algorithm(report: Report) -> list[Dataset]:
    """Algorithm Identification (TID 4019)."""
    made = report.provenance
    told = [("111001", "Algorithm Name", MANUFACTURER), ("111003", "Algorithm Version", clean(made.version))]
    parameters = {"model": made.model, "precision": made.precision, "weights": made.weights}
    told += [("111002", "Algorithm Parameters", f"{name}={clean(text)}") for name, text in parameters.items() if text]
    return [tree.text(MODIFIER, (value, "DCM", meaning), text) for value, meaning, text in told]


def _measurements(finding: Finding, w: Words) -> list[Dataset]:
    """Confidence and, where it is known, the size with the plane that it was measured in (TID 300)."""
    found = [tree.measured(CONTAINS, CONFIDENCE, coded("1", "UCUM", "no units"), checked(finding.score, "confidence"))]
    if finding.size_mm is not None:
        millimetre = coded("mm", "UCUM", "millimeter")
        size = tree.measured(CONTAINS, LONG_AXIS, millimetre, checked(finding.size_mm, "size"))
        plane = f"plane.{finding.size_plane.value}"
        size.ContentSequence = [tree.code(MODIFIER, METHOD, private(plane, w[plane]))]
        found.append(size)
    return found


def _evaluations(entry: ReportFinding, w: Words) -> list[Dataset]:
    """Band, zone, depth; and what no standard code tells: the model's own label, and that a box is weak."""
    finding = entry.finding
    said: list[tuple[Concept, str, str]] = [(BAND, key := f"band.{entry.band.value}", w[key])]
    if finding.location.zone is not None:
        said.append((ZONE, key := f"zone.{finding.location.zone}", w[key]))
    if finding.location.depth is not None:
        said.append((DEPTH, key := f"depth.{finding.location.depth}", w[key]))
    if finding.basis is Basis.ATTENTION:
        said.append((BASIS, "basis.attention", w["basis.attention"]))
    if code_of(finding.type) is not None:
        said.append((LABEL, label_code(finding.type), w.name(finding.type)))
    return [tree.code(CONTAINS, name, private(value, meaning)) for name, value, meaning in said]


def _region(finding: Finding, source: Source) -> Dataset:
    """The box as a closed polyline on its image. (0, 0) is the outer corner of the first pixel (PS3.3 C.18.6.1.2)."""
    x1, y1, x2, y2 = (checked(value, "box corner") for value in finding.box_px or ())
    corners = [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]
    region = tree.node(CONTAINS, "SCOORD", REGION, GraphicData=corners, GraphicType="POLYLINE")
    region.ContentSequence = [tree.image(SELECTED, None, source)]
    return region


def _evidence(report: Report) -> Dataset:
    """Every file once, below its series (PS3.3 C.17.2)."""
    by_series: dict[str, list[Source]] = {}
    for source in each_file(report):
        by_series.setdefault(source.series, []).append(source)
    series = [
        item(SeriesInstanceUID=name, ReferencedSOPSequence=[source.reference() for source in group])
        for name, group in by_series.items()
    ]
    return item(StudyInstanceUID=report.study, ReferencedSeriesSequence=series)


def _read_group(group: Dataset) -> SrFinding:
    region = next(tree.children(group, REGION), None)
    holder = tree.child(group, SOURCE_OF_MEASUREMENT) if region is None else region.ContentSequence[0]
    image = holder.ReferencedSOPSequence[0]
    label = tree.value(group, LABEL) or tree.value(group, FINDING)
    matched, band = _NUMBER.match(tree.child(group, TRACKING).TextValue), tree.value(group, BAND)
    size = next(tree.children(group, LONG_AXIS), None)
    side = tree.value(tree.child(group, SITE), LATERALITY)
    score = tree.quantity(group, CONFIDENCE)
    if matched is None or band is None or label is None or score is None:
        raise ValueError("a measurement group without number, type, confidence or band")
    return SrFinding(
        number=int(matched[1]),
        type=label,
        score=score,
        band=Band(band.removeprefix("band.")),
        box_px=None if region is None else _box(region),
        size_mm=tree.quantity(group, LONG_AXIS),
        side=None if side is None else next(name for name, code in SIDES.items() if code.value == side),
        zone=_own(group, ZONE),
        depth=_own(group, DEPTH),
        size_plane=None if size is None else _own(size, METHOD),
        verdict=read_verdict(group),
        change_mm=tree.quantity(group, DIFFERENCE),
        image_uid=str(image.ReferencedSOPInstanceUID),
        frame=int(image.get("ReferencedFrameNumber") or 1) - 1,
    )


def _own(parent: Dataset, name: Concept) -> str | None:
    """A code of radvit's own without the prefix that says what it is of; None where there is none."""
    told = tree.value(parent, name)
    return None if told is None else told.partition(".")[2]


def _box(region: Dataset) -> tuple[float, float, float, float]:
    points = [float(value) for value in region.GraphicData]
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])
