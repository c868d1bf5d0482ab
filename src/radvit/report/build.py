"""Findings to a report: pure, the same in every language and form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from radvit.errors import ConfigError
from radvit.inference.results import StudyResult
from radvit.records import Finding, Geometry, Header, LungExtent, Provenance
from radvit.report.fleischner import Fleischner, Stated, assess
from radvit.report.merge import StudyFinding, merge
from radvit.report.verdicts import Comparison


class Band(Enum):
    """How strongly a score speaks. NONE: nothing reached even the threshold of mention."""

    HIGH = "high"
    MODERATE = "moderate"
    LOW = "low"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Bands:
    """Where the bands begin: above `high` highly suspicious, above `moderate` suspicious, from `mention` on listed."""

    high: float = 0.8
    moderate: float = 0.5
    mention: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.mention <= self.moderate <= self.high <= 1:
            raise ConfigError(
                f"bands mention {self.mention}, moderate {self.moderate}, high {self.high}; "
                "expected 0 <= mention <= moderate <= high <= 1"
            )

    def of(self, score: float) -> Band:
        """The band of a calibrated score."""
        if score > self.high:
            return Band.HIGH
        if score > self.moderate:
            return Band.MODERATE
        return Band.LOW if score >= self.mention else Band.NONE


@dataclass(frozen=True, slots=True)
class ReportImage:
    """One image of the study. number: from 1, in the order they were read. lungs: None where none were found."""

    number: int
    header: Header
    geometry: Geometry
    lungs: LungExtent | None = None


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """One finding. number: from 1 through the whole study, highest score first. image: number of its image."""

    number: int
    image: int
    band: Band
    finding: Finding


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says, before any words. study and patient are pseudonyms.

    merged: the findings as lesions of the study. impression: strongest band among the findings. looked_for: the types
    of finding the model knows. refused: why images of the study were not read. sex, age and study_date are None where
    the file doesn't tell or they differ. unmapped: numbers of the images for which it could not be told where a
    classifier looked, though that was asked for. comparison: with an earlier study; None where none was asked for.
    fleischner: the guideline for nodules on CT, applied or not; None where no CT image shows a nodule.
    """

    study: str
    patient: str
    sex: str | None
    age: str | None
    study_date: str | None
    images: tuple[ReportImage, ...]
    findings: tuple[ReportFinding, ...]
    merged: tuple[StudyFinding, ...]
    impression: Band
    looked_for: tuple[str, ...]
    refused: tuple[str, ...]
    bands: Bands
    provenance: Provenance
    unmapped: tuple[int, ...] = ()
    comparison: Comparison | None = None
    fleischner: Fleischner | None = None

    def of_band(self, band: Band) -> tuple[ReportFinding, ...]:
        """The findings of one band, in the order of their numbers."""
        return tuple(item for item in self.findings if item.band is band)


def build_report(
    result: StudyResult,
    findings: Sequence[Sequence[Finding]],
    looked_for: Sequence[str],
    bands: Bands,
    provenance: Provenance,
    lungs: Sequence[LungExtent | None] = (),
    mapped: bool = False,
    stated: Stated | None = None,
) -> Report:
    """Assemble the report of one study.

    findings: those of each image of the result, none below bands.mention. looked_for: label names of the model.
    lungs: of each image; empty where none were looked for. mapped: whether it was asked where a classifier looked.
    stated: what a user states of nodules on CT.
    Raises ConfigError where a finding lies below the threshold of mention.
    """
    extents = lungs or [None] * len(result.images)
    images = tuple(
        ReportImage(n, image.header, image.geometry, extent)
        for n, (image, extent) in enumerate(zip(result.images, extents, strict=True), start=1)
    )
    pairs = [(n, finding) for n, group in enumerate(findings, start=1) for finding in group]
    pairs.sort(key=lambda pair: -pair[1].score)  # stable: equal scores keep the order of the images
    numbered = tuple(
        ReportFinding(number, image, bands.of(finding.score), finding)
        for number, (image, finding) in enumerate(pairs, start=1)
    )
    if any(item.band is Band.NONE for item in numbered):
        raise ConfigError(f"a finding scores {numbered[-1].finding.score}; expected at least {bands.mention}")
    headers = [image.header for image in images]
    age = _agreed([header.age for header in headers])
    return Report(
        study=result.study,
        patient=_agreed([header.patient for header in headers]) or "",
        sex=_agreed([header.sex for header in headers]),
        age=age,
        study_date=_agreed([header.study_date for header in headers]),
        images=images,
        findings=numbered,
        merged=merge(images, numbered),
        impression=numbered[0].band if numbered else Band.NONE,
        looked_for=tuple(looked_for),
        refused=result.refused,
        bands=bands,
        provenance=provenance,
        unmapped=tuple(n for n, image in enumerate(result.images, start=1) if mapped and not image.is_mapped),
        fleischner=guideline(images, numbered, age, stated or Stated()),
    )


def guideline(
    images: Sequence[ReportImage], findings: Sequence[ReportFinding], age: str | None, stated: Stated
) -> Fleischner | None:
    """The guideline for the study's nodules on CT. A finding of low confidence makes their count unsure."""
    return assess(images, findings, {item.number for item in findings if item.band is Band.LOW}, age, stated)


def _agreed(values: Sequence[str | None]) -> str | None:
    """What all the images that say something say alike, else None."""
    said = {value for value in values if value}
    return said.pop() if len(said) == 1 else None
