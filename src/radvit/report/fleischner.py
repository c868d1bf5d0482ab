"""Whether the Fleischner Society's guideline of 2017 applies to the nodules of a CT study, and what it then says.

Source: MacMahon H, et al. Guidelines for Management of Incidental Pulmonary Nodules Detected on CT Images: From the
Fleischner Society 2017. Radiology 2017;284:228-243, doi 10.1148/radiol.2017161659. A citation with its inputs, no
advice: what isn't known makes the guideline not applicable, and a projection image never has an interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from radvit.records import Basis, Finding, Geometry, SpacingPlane
from radvit.report.merge import Numbered, SeenOn

LABELS = frozenset({"nodule", "nodule/mass"})  # types of finding that may be nodules
MODALITY = "CT"
SLICES = frozenset(  # SOP classes of CT slices: CT, Enhanced CT, Legacy Converted Enhanced CT (PS3.4 B.5)
    {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}
)
CHEST = frozenset({"CHEST", "LUNG", "THORAX"})
AXIAL_FROM = 0.8  # of the normal's part along the patient's length: the limit of Clunie's dicom3tools
LARGEST_MM = 30  # what is larger is a mass, of which the guideline doesn't speak
YOUNGEST = 35  # years
YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_AGE = re.compile(r"([0-9]{3})([YMWD])")


class Density(Enum):
    """What a nodule is made of, as a reader sees it."""

    SOLID = "solid"
    GROUND_GLASS = "ground_glass"
    PART_SOLID = "part_solid"


class Risk(Enum):
    """The patient's risk of lung cancer, as the guideline has it."""

    LOW = "low"
    HIGH = "high"


class Advice(Enum):
    """What an entry of the guideline's table says; every number in a name is of months, unless years are named."""

    NO_ROUTINE = "no_routine"
    OPTIONAL_12 = "optional_12"
    CT_6_12_CONSIDER_18_24 = "ct_6_12_consider_18_24"
    CT_6_12_THEN_18_24 = "ct_6_12_then_18_24"
    CONSIDER_3_PET_TISSUE = "consider_3_pet_tissue"
    CT_3_6_CONSIDER_18_24 = "ct_3_6_consider_18_24"
    CT_3_6_THEN_18_24 = "ct_3_6_then_18_24"
    CT_6_12_THEN_2_YEARLY = "ct_6_12_then_2_yearly"
    CT_3_6_THEN_YEARLY = "ct_3_6_then_yearly"
    CT_3_6_CONSIDER_2_4_YEARS = "ct_3_6_consider_2_4_years"
    CT_3_6_MOST_SUSPICIOUS = "ct_3_6_most_suspicious"


# Table of the guideline, A: solid, by whether there are several and by risk; below 6 mm, 6 to 8 mm, above 8 mm.
SOLID: Mapping[tuple[bool, Risk], tuple[Advice, Advice, Advice]] = {
    (False, Risk.LOW): (Advice.NO_ROUTINE, Advice.CT_6_12_CONSIDER_18_24, Advice.CONSIDER_3_PET_TISSUE),
    (False, Risk.HIGH): (Advice.OPTIONAL_12, Advice.CT_6_12_THEN_18_24, Advice.CONSIDER_3_PET_TISSUE),
    (True, Risk.LOW): (Advice.NO_ROUTINE, Advice.CT_3_6_CONSIDER_18_24, Advice.CT_3_6_CONSIDER_18_24),
    (True, Risk.HIGH): (Advice.OPTIONAL_12, Advice.CT_3_6_THEN_18_24, Advice.CT_3_6_THEN_18_24),
}
# B: subsolid, at any risk; below 6 mm, from 6 mm on.
SUBSOLID: Mapping[Density, tuple[Advice, Advice]] = {
    Density.GROUND_GLASS: (Advice.NO_ROUTINE, Advice.CT_6_12_THEN_2_YEARLY),
    Density.PART_SOLID: (Advice.NO_ROUTINE, Advice.CT_3_6_THEN_YEARLY),
}
SEVERAL_SUBSOLID = (Advice.CT_3_6_CONSIDER_2_4_YEARS, Advice.CT_3_6_MOST_SUSPICIOUS)


class Reason(Enum):
    """Why the guideline is not applicable, in the order in which reasons are told.

    SLICE: not known to be axial CT slices, as of a scout or a screenshot. UNSURE: some lie below what is suspicious.
    SAME: findings of several images may be one nodule.
    """

    SLICE = "slice"
    BODY = "body"
    SIZE = "size"
    LARGE = "large"
    UNSURE = "unsure"
    SAME = "same"
    AGE = "age"
    YOUNG = "young"
    DENSITY = "density"
    RISK = "risk"
    INCIDENTAL = "incidental"


@dataclass(frozen=True, slots=True)
class Stated:
    """What radvit can't see and a user states for a whole run; None where it wasn't.

    incidental: found by chance and not by screening, in patients without known cancer or immunosuppression.
    """

    density: Density | None = None
    risk: Risk | None = None
    incidental: bool = False


@dataclass(frozen=True, slots=True)
class Fleischner:
    """The guideline, applied or not. Raises ValueError where the advice is not that of its table.

    numbers: of the findings on CT. sizes_mm: of each, the mean of the box's long and short side, unrounded; None where
    unknown. several: whether one image shows several. age: DICOM age string. reasons: none where it is applied.
    """

    numbers: tuple[int, ...]
    sizes_mm: tuple[float | None, ...]
    several: bool
    age: str | None
    stated: Stated = field(default_factory=Stated)
    reasons: tuple[Reason, ...] = ()
    advice: Advice | None = None

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self.sizes_mm):
            raise ValueError(f"{len(self.numbers)} nodules with {len(self.sizes_mm)} sizes; expected as many")
        wanted = None if self.reasons else advised(largest(self.sizes_mm), self.several, self.stated)
        if self.advice is not wanted:
            raise ValueError(f"advice {self.advice}; the guideline's table has {wanted}")


def advised(size_mm: int, several: bool, stated: Stated) -> Advice:
    """The entry of the table. size_mm: in whole mm, of the largest. Raises ValueError where an input is missing."""
    if stated.density is None:
        raise ValueError("density None; expected one")
    if stated.density is not Density.SOLID:
        row = SEVERAL_SUBSOLID if several else SUBSOLID[stated.density]
        return row[int(size_mm >= 6)]
    if stated.risk is None:
        raise ValueError("risk None of a solid nodule; expected one")
    return SOLID[several, stated.risk][int(size_mm >= 6) + int(size_mm > 8)]


def assess(
    images: Sequence[SeenOn],
    findings: Sequence[Numbered],
    unsure: Collection[int],
    age: str | None,
    stated: Stated,
) -> Fleischner | None:
    """The guideline for the nodules of a study; None where no CT image of it shows one.

    images: of the study, in the order of their numbers. unsure: numbers of findings below what is suspicious. age: of
    the patient, a DICOM age string.
    """
    nodules = [item for item in findings if is_nodule(item.finding.type)]
    shown = [item for item in nodules if images[item.image - 1].header.modality == MODALITY]
    if not shown:
        return None
    seen = [images[item.image - 1] for item in shown]
    sizes = tuple(mean_mm(item.finding, image.geometry) for item, image in zip(shown, seen, strict=True))
    places = [item.image for item in shown]
    several = len(set(places)) < len(places)
    doubted = {item.number for item in nodules} & set(unsure)
    found = {
        Reason.SLICE: not all(map(is_axial_slice, seen)),
        Reason.BODY: any(image.header.body_part not in CHEST for image in seen),
        Reason.SIZE: None in sizes,
        Reason.LARGE: any(size is not None and whole_mm(size) > LARGEST_MM for size in sizes),
        Reason.UNSURE: bool(doubted),
        Reason.SAME: len(nodules) > 1 and not several,
        **_about_the_patient(age, stated),
    }
    reasons = tuple(reason for reason in Reason if found[reason])
    advice = None if reasons else advised(largest(sizes), several, stated)
    return Fleischner(tuple(item.number for item in shown), sizes, several, age, stated, reasons, advice)


def is_nodule(label: str) -> bool:
    """Whether findings of this label may be nodules."""
    return label.replace("_", " ").lower() in LABELS


def is_axial_slice(image: SeenOn) -> bool:
    """Whether an image is known to be a CT slice across the patient, measured there: no scout and no screenshot."""
    geometry, header = image.geometry, image.header
    if header.modality != MODALITY or header.sop_class not in SLICES or geometry.axes is None:
        return False
    x1, y1, _, x2, y2, _ = geometry.axes
    return geometry.plane is SpacingPlane.PATIENT and abs(x1 * y2 - y1 * x2) >= AXIAL_FROM


def mean_mm(finding: Finding, geometry: Geometry) -> float | None:
    """Mean of a box's long and short side in mm; None without spacing, and for what no model of boxes has drawn."""
    if finding.box_px is None or finding.basis is not Basis.BOX or geometry.spacing_mm is None:
        return None
    (row_mm, column_mm), (x1, y1, x2, y2) = geometry.spacing_mm, finding.box_px
    return ((x2 - x1) * column_mm + (y2 - y1) * row_mm) / 2


def whole_mm(size: float) -> int:
    """A size as the guideline takes it: rounded to whole mm, halves up."""
    return math.floor(size + 0.5)


def largest(sizes_mm: Sequence[float | None]) -> int:
    """Size of the largest nodule, in whole mm. Raises ValueError where a size is unknown."""
    known = [size for size in sizes_mm if size is not None]
    if not known or len(known) < len(sizes_mm):
        raise ValueError(f"sizes {sizes_mm}; expected one of each nodule")
    return whole_mm(max(known))


def years(age: str | None) -> float | None:
    """A DICOM age string (PS3.5 6.2, AS: `063Y`) in years; None where it is not one."""
    found = _AGE.fullmatch(age or "")
    return None if found is None else int(found[1]) * YEARS[found[2]]


def _about_the_patient(age: str | None, stated: Stated) -> dict[Reason, bool]:
    """What speaks against the guideline in what is known, and stated, of the patient."""
    old = years(age)
    return {
        Reason.AGE: old is None,
        Reason.YOUNG: old is not None and old < YOUNGEST,
        Reason.DENSITY: stated.density is None,
        Reason.RISK: stated.risk is None and stated.density in (None, Density.SOLID),
        Reason.INCIDENTAL: not stated.incidental,
    }
