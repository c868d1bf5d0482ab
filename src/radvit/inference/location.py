"""Where in a chest a box lies: by the estimated lungs where there are any, else by thirds of the image."""

from __future__ import annotations

from radvit.inference.lung_field import LungField, estimate_lungs
from radvit.inference.results import Picture
from radvit.records import Geometry, Header, Location, LungExtent

RADIOGRAPHS = frozenset({"CR", "DX"})
FRONTAL = frozenset({"PA", "AP"})
ZONES = ("upper", "middle", "lower")
CENTRAL = 0.5  # of the way from the midline to the lung's outer edge; the inner half is central
Box = tuple[float, float, float, float]


def lungs_of(picture: Picture, header: Header) -> LungField | None:
    """The lung field of a frontal chest radiograph, turned head up; None for another image or without a plausible one.

    picture: (rows, columns) uint8, bone bright, as stored. A view that the file leaves empty may be frontal.
    """
    row, column = header.patient_orientation or ("", "")
    if not is_frontal_chest(header) or row[:1] in {"F", "H"}:
        return None
    return estimate_lungs(picture[::-1] if column.startswith("H") else picture)


def is_frontal_chest(header: Header) -> bool:
    """Whether a projection image shows a chest from the front or the back: it says so, or names no other view."""
    row, _ = header.patient_orientation or ("", "")
    frontal = header.view in FRONTAL or (header.view is None and row[:1] in {"", "L", "R"})
    return frontal and is_chest_radiograph(header)


def locate(box: Box, header: Header, geometry: Geometry, lungs: LungField | None = None) -> Location:
    """Side of the patient, zone, and how central a box's centre lies; empty except on chest radiographs.

    box: xyxy in pixels of the stored image. lungs: from `lungs_of`. With lungs a zone is a third of that lung's height,
    and None above and below it. Central is the inner half of the way from the midline to the lung's outer edge at the
    box's level; a centre on neither lung is `outside`. Without lungs the zone is a third of the image's height. The
    lung-relative place is told by the lung's outermost edge and both its ends, and where the image cuts none of them.
    """
    if not is_chest_radiograph(header):
        return Location()
    across = (box[0] + box[2]) / 2 / geometry.columns
    down = (box[1] + box[3]) / 2 / geometry.rows
    row, column = header.patient_orientation or ("", "")
    if column.startswith("H"):  # rows run towards the head: the image lies upside down
        down = 1 - down
    if lungs is None:
        return Location(_side(across, 0.5, row), _third(down), basis="image")
    half = int(across > lungs.midline)
    lung = lungs.lungs[half]
    height = (down - lung.top) / (lung.bottom - lung.top)
    zone = _third(height) if 0 <= height <= 1 else None
    outwards = (across - lungs.midline) / (lung.edge(down, half) - lungs.midline)
    depth = "central" if outwards <= CENTRAL else "peripheral"
    if not lungs.holds(across, down):
        depth = "outside"
    relative = (None, None) if lungs.extent.is_cut(half) else lungs.extent.relative(across, down)
    return Location(_side(across, lungs.midline, row), zone, depth, "lungs", *relative)


def shows(location: Location, header: Header, lungs: LungExtent | None) -> bool | None:
    """Whether a place that another image of the patient gave lies on this one; None where that can't be told.

    location: with side and lung-relative place. lungs: those of this image.
    """
    row, _ = header.patient_orientation or ("", "")
    if lungs is None or location.side is None or location.outwards is None or location.height is None:
        return None
    half = int((row[:1] == "L") == (location.side == "left"))
    if row[:1] not in {"L", "R"} or lungs.is_cut(half):
        return None
    across, down = lungs.absolute(half, location.outwards, location.height)
    return 0 <= across <= 1 and 0 <= down <= 1


def is_chest_radiograph(header: Header) -> bool:
    """Whether a projection image shows a chest: it says so, or names no body part and is frontal."""
    if header.modality not in RADIOGRAPHS:
        return False
    return header.body_part == "CHEST" or (header.body_part is None and header.view in FRONTAL)


def _third(down: float) -> str:
    return ZONES[min(max(int(3 * down), 0), 2)]


def _side(across: float, middle: float, row: str) -> str | None:
    """Side of the patient at a fraction of the width; row: letters of the row direction (PS3.3 C.7.6.1.1.1)."""
    if row[:1] not in {"L", "R"} or across == middle:
        return None
    return "left" if (row[0] == "L") == (across > middle) else "right"
