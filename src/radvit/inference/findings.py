"""Boxes and image scores to findings: millimetres, place and contrast, and nothing that the file doesn't tell."""

from __future__ import annotations

from collections.abc import Sequence

from radvit.inference.contrast import contrast
from radvit.inference.location import Box, locate
from radvit.inference.lung_field import LungField
from radvit.inference.results import ImageResult
from radvit.records import Basis, Boxes, Finding, Geometry, Header, SpacingPlane


def findings(
    image: ImageResult,
    labels: Sequence[str],
    threshold: float = 0.3,
    lungs: LungField | None = None,
    basis: Basis = Basis.BOX,
) -> tuple[Finding, ...]:
    """What is worth mentioning among the boxes of one image, best score first.

    labels: name of each label number. A box below `threshold` is left out. lungs: from `lungs_of`, to place boxes by.
    basis: what the boxes rest on.
    """
    boxes = image.boxes
    order = sorted(range(len(boxes)), key=lambda i: -float(boxes.scores[i]))
    kept = [i for i in order if boxes.scores[i] >= threshold]
    return tuple(
        _boxed(image, lungs, _corners(boxes, i), float(boxes.scores[i]), labels[int(boxes.labels[i])], basis)
        for i in kept
    )


def image_findings(
    header: Header, scores: Sequence[float], labels: Sequence[str], threshold: float = 0.3
) -> tuple[Finding, ...]:
    """What is worth mentioning among the image-level scores of a classifier, best first; without box or size.

    scores: calibrated probability of each label.
    """
    ranked = sorted(zip(scores, labels, strict=True), key=lambda pair: -pair[0])
    return tuple(
        Finding(type=name, score=score, image=header.image, basis=Basis.IMAGE)
        for score, name in ranked
        if score >= threshold
    )


def weak_findings(
    image: ImageResult, labels: Sequence[str], threshold: float = 0.3, lungs: LungField | None = None
) -> tuple[Finding, ...]:
    """What is worth mentioning among a classifier's scores of one image, best first. lungs: as in `findings`.

    Each label has the boxes around where the classifier looked for it; one without boxes is of the whole image.
    """
    boxed = findings(image, labels, threshold, lungs, Basis.ATTENTION)
    whole = image_findings(image.header, image.scores, labels, threshold)
    placed = {finding.type for finding in boxed}
    every = [*boxed, *(finding for finding in whole if finding.type not in placed)]
    return tuple(sorted(every, key=lambda finding: -finding.score))


def size_mm(box: Box, geometry: Geometry) -> float | None:
    """Longest side of a box in millimetres; None where the image has no spacing.

    box: (x1, y1, x2, y2), pixels. Row spacing measures the height, column spacing the width (PS3.3 10.7.1.3).
    """
    if geometry.spacing_mm is None:
        return None
    row_mm, column_mm = geometry.spacing_mm
    return max((box[2] - box[0]) * column_mm, (box[3] - box[1]) * row_mm)


def _boxed(image: ImageResult, lungs: LungField | None, box: Box, score: float, label: str, basis: Basis) -> Finding:
    header, geometry = image.header, image.geometry
    size = size_mm(box, geometry)
    plane = SpacingPlane.UNKNOWN if size is None else geometry.plane
    place = locate(box, header, geometry, lungs)
    stands_out = contrast(box, image.picture, geometry)
    return Finding(label, score, header.image, box, size, plane, place, stands_out, basis)


def _corners(boxes: Boxes, i: int) -> Box:
    x1, y1, x2, y2 = boxes.xyxy[i].tolist()
    return x1, y1, x2, y2
