"""What a comparison with an earlier study says: records without words, and what counts as a change."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from radvit.errors import ConfigError, GeometryError
from radvit.records import Location, SpacingPlane


class Status(Enum):
    """Whether a study was compared, or why it was not."""

    COMPARED = "compared"
    NO_PRIOR = "no_prior"
    NO_DATE = "no_date"
    NO_PATIENT = "no_patient"
    NO_FRONTAL = "no_frontal"


class Verdict(Enum):
    """What became of one finding.

    SEEN: before, too, in sizes that can't be compared. UNSHOWN: its place isn't on the other study's images. UNCLEAR:
    whether the other study has it can't be told, as one of the two has no place by the lungs.
    """

    NEW = "new"
    GROWN = "grown"
    SHRUNK = "shrunk"
    STABLE = "stable"
    SEEN = "seen"
    GONE = "gone"
    UNSHOWN = "unshown"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Criteria:
    """When two findings are one lesion, and when its size has changed.

    within: largest distance of their lung-relative places. change_mm, change_percent: a size has changed where both
    are reached. RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009) takes 20 % and at least 5 mm for growth. The 2 mm of
    the Fleischner Society (MacMahon et al., Radiology 2017) are for CT: too few for boxes on radiographs, which
    another distance from the detector alone enlarges by several per cent.
    """

    change_mm: float = 5.0
    change_percent: float = 20.0
    within: float = 0.15

    def __post_init__(self) -> None:
        if min(self.change_mm, self.change_percent) < 0 or self.within <= 0:
            raise ConfigError(
                f"change of {self.change_mm} mm and {self.change_percent} %, places within {self.within}; "
                "expected at least 0 mm and 0 %, and more than 0"
            )

    def verdict(self, size: Size) -> Verdict:
        """Whether a lesion has grown, shrunk or is stable."""
        if abs(size.change_mm) < self.change_mm or abs(size.change_percent) < self.change_percent:
            return Verdict.STABLE
        return Verdict.GROWN if size.change_mm > 0 else Verdict.SHRUNK


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of one lesion at both studies, in the same plane."""

    before_mm: float
    now_mm: float
    plane: SpacingPlane

    def __post_init__(self) -> None:
        if not (self.before_mm > 0 and self.now_mm > 0):
            raise GeometryError(f"sizes {self.before_mm} and {self.now_mm} mm; expected two numbers above 0")

    @property
    def change_mm(self) -> float:
        """By how much it is larger now."""
        return self.now_mm - self.before_mm

    @property
    def change_percent(self) -> float:
        """The same in per cent of the earlier size."""
        return 100 * self.change_mm / self.before_mm


@dataclass(frozen=True, slots=True)
class Change:
    """One finding and what became of it.

    number, prior_number: of the finding in this report and in the earlier one; None where there is none. location:
    this study's, the earlier study's for what only that has. shown: whether its place lies on the images of the study
    that lacks it; None where that can't be told or neither lacks it. size: where both sizes can be compared.
    """

    verdict: Verdict
    type: str
    number: int | None = None
    prior_number: int | None = None
    location: Location = field(default_factory=Location)
    shown: bool | None = None
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class Prior:
    """The earlier study. study: its pseudonym. date: as its report has it. days: from it to the present study."""

    study: str
    date: str
    days: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study against an earlier one of the same patient.

    same_day, undated: numbers of the patient's other studies that have no place in the order: of the same day, or
    without a date. prior and criteria are None where nothing was compared. changes: this study's findings by number,
    then the earlier study's that it lacks.
    """

    status: Status
    prior: Prior | None = None
    criteria: Criteria | None = None
    changes: tuple[Change, ...] = ()
    same_day: int = 0
    undated: int = 0
