"""Boxes and image scores to findings: millimetres, side and zone, and nothing that the file doesn't tell."""

from __future__ import annotations

from collections.abc import Sequence

from radvit.records import Boxes, Finding, Geometry, Header, Location, SpacingPlane

RADIOGRAPHS = frozenset({"CR", "DX"})
FRONTAL = frozenset({"PA", "AP"})
ZONES = ("upper", "middle", "lower")
Box = tuple[float, float, float, float]


def findings(
    header: Header, geometry: Geometry, boxes: Boxes, labels: Sequence[str], threshold: float = 0.3
) -> tuple[Finding, ...]:
    """What is worth mentioning among the boxes of one image, best score first.

    boxes: xyxy in pixels of the stored image, calibrated scores. labels: name of each label number. A box below
    `threshold` is left out.
    """
    order = sorted(range(len(boxes)), key=lambda i: -float(boxes.scores[i]))
    return tuple(
        _boxed(header, geometry, _corners(boxes, i), float(boxes.scores[i]), labels[int(boxes.labels[i])])
        for i in order
        if boxes.scores[i] >= threshold
    )


def image_findings(
    header: Header, scores: Sequence[float], labels: Sequence[str], threshold: float = 0.3
) -> tuple[Finding, ...]:
    """What is worth mentioning among the image-level scores of a classifier, best first; without box or size.

    scores: calibrated probability of each label.
    """
    ranked = sorted(zip(scores, labels, strict=True), key=lambda pair: -pair[0])
    return tuple(Finding(type=name, score=score, image=header.image) for score, name in ranked if score >= threshold)


def size_mm(box: Box, geometry: Geometry) -> float | None:
    """Longest side of a box in millimetres; None where the image has no spacing.

    box: (x1, y1, x2, y2), pixels. Row spacing measures the height, column spacing the width (PS3.3 10.7.1.3).
    """
    if geometry.spacing_mm is None:
        return None
    row_mm, column_mm = geometry.spacing_mm
    return max((box[2] - box[0]) * column_mm, (box[3] - box[1]) * row_mm)


def locate(box: Box, header: Header, geometry: Geometry) -> Location:
    """Side of the patient and third of the image in which a box's centre lies; empty except on chest radiographs."""
    if not is_chest_radiograph(header):
        return Location()
    across = (box[0] + box[2]) / 2 / geometry.columns
    down = (box[1] + box[3]) / 2 / geometry.rows
    row, column = header.patient_orientation or ("", "")
    if column.startswith("H"):  # rows run towards the head: the image lies upside down
        down = 1 - down
    return Location(side=_side(across, row), zone=ZONES[min(max(int(3 * down), 0), 2)])


def is_chest_radiograph(header: Header) -> bool:
    """Whether a projection image shows a chest: it says so, or names no body part and is frontal."""
    if header.modality not in RADIOGRAPHS:
        return False
    return header.body_part == "CHEST" or (header.body_part is None and header.view in FRONTAL)


def _side(across: float, row: str) -> str | None:
    """Side of the patient at a fraction of the width; row: letters of the row direction (PS3.3 C.7.6.1.1.1)."""
    if row[:1] not in {"L", "R"} or across == 0.5:
        return None
    towards = across > 0.5
    return "left" if (row[0] == "L") == towards else "right"


def _boxed(header: Header, geometry: Geometry, box: Box, score: float, label: str) -> Finding:
    size = size_mm(box, geometry)
    plane = SpacingPlane.UNKNOWN if size is None else geometry.plane
    return Finding(label, score, header.image, box, size, plane, locate(box, header, geometry))


def _corners(boxes: Boxes, i: int) -> Box:
    x1, y1, x2, y2 = boxes.xyxy[i].tolist()
    return x1, y1, x2, y2
