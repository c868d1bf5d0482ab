"""Where the lungs lie on a frontal chest radiograph: an estimate from grey values, or None where it isn't plausible.

Lungs are two large dark regions left and right of a bright middle. Of many thresholds the one is taken, each side by
itself, whose region is large and has a strong step in grey across its outline; a watershed then moves the outline to
the edge nearby. What does not look like a pair of lungs is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from radvit.inference.results import Picture
from radvit.records import LungExtent

HEIGHT_PX = 256  # of the reduced picture that outlines are drawn on; a pixel is then some 1.5 mm
SCAN_PX = 128  # of the one on which regions are looked for, at a quarter of the work
SMOOTH_PX = 1.6
STEP_PX = 2  # of the scan: how far inside and outside of an outline grey values are compared
OPEN_PX, CLOSE_PX = 5, 11  # of the scan: cuts the trachea off; takes in nodules and vessels on the outline
THRESHOLDS = 16
FLAT_PX = 20  # of the scan: spread of the surroundings that a second look takes away
NEAR, MIDDLE = 0.05, 0.03  # watershed: an outline moves at most so far, and not into the middle; of height and width
AREA = (0.035, 0.30)  # of one lung, of the image's area
TALL = (0.28, 0.92)  # of one lung, of the image's height
WIDE = (0.12, 0.48)  # of one lung, of the image's width
SOLID = 0.80  # smallest share of its convex hull
LEAST_STEP = 0.06  # of the image's range of grey, across the outline
ALIKE_AREA, ALIKE_HEIGHT = 0.45, 0.65  # smallest ratio of the two lungs
SAME_LEVEL = 0.20  # largest difference of the tops, of the image's height

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lung:
    """One lung on the image, in fractions of its size. edges: (rows, 2), first and last column of each row from `top`.

    top, bottom: of the height. edges, as the midline, are of the width.
    """

    top: float
    bottom: float
    edges: npt.NDArray[np.float64]

    def edge(self, down: float, last: int) -> float:
        """First (0) or last (1) column at a height of the image; beyond the lung's ends that of its nearest row."""
        share = (down - self.top) / (self.bottom - self.top)
        row = min(max(int(share * len(self.edges)), 0), len(self.edges) - 1)
        return float(self.edges[row, last])


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A region of an image, cut to its bounds.

    mask: (rows, columns) uint8, 0 or 1. left, top: where the bounds begin on the image, pixels.
    """

    mask: npt.NDArray[np.uint8]
    left: int
    top: int

    def whole(self, shape: tuple[int, ...]) -> Mask:
        """The region on an image of (rows, columns)."""
        image = np.zeros(shape, bool)
        rows, columns = self.mask.shape
        image[self.top : self.top + rows, self.left : self.left + columns] = self.mask > 0
        return image


@dataclass(frozen=True, slots=True)
class LungField:
    """Both lungs of a frontal radiograph, the head upwards.

    mask: (rows, columns) bool on the reduced picture. lungs: the one on the image's left, the one on its right.
    midline: between the lungs' inner edges, a fraction of the width.
    """

    mask: Mask
    lungs: tuple[Lung, Lung]
    midline: float

    def holds(self, across: float, down: float) -> bool:
        """Whether a point, in fractions of the width and the height, lies on a lung."""
        rows, columns = self.mask.shape
        row, column = min(max(int(down * rows), 0), rows - 1), min(max(int(across * columns), 0), columns - 1)
        return bool(self.mask[row, column])

    @property
    def extent(self) -> LungExtent:
        """How far both lungs reach."""
        first, second = self.lungs
        outer = float(first.edges[:, 0].min()), float(second.edges[:, 1].max())
        return LungExtent(self.midline, outer, (first.top, second.top), (first.bottom, second.bottom))

    @staticmethod
    def of_masks(first: Mask, second: Mask) -> LungField | None:
        """The field of two outlined lungs, the one on the image's left first; None where they aren't a pair.

        first, second: (rows, columns) bool.
        """
        return _pair(first, second)


def estimate_lungs(picture: Picture) -> LungField | None:
    """The lung field of a frontal chest radiograph, the head upwards; None where nothing plausible was found.

    picture: (rows, columns) uint8, bone bright.
    """
    rows, columns = picture.shape
    if min(rows, columns) < HEIGHT_PX // 4 or not 0.5 <= columns / rows <= 2:
        return None
    width = round(HEIGHT_PX * columns / rows)
    small = cv2.resize(picture, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey: Grey = cv2.GaussianBlur(small, (0, 0), SMOOTH_PX)
    low, high = np.percentile(grey, (1, 99))
    if high - low < 1:
        return None
    grey = np.clip((grey - low) / (high - low), 0, 1).astype(np.float32)
    rough = _rough(cv2.resize(grey, (round(SCAN_PX * columns / rows), SCAN_PX), interpolation=cv2.INTER_AREA))
    return None if rough is None else _pair(*_refined(grey, *(_enlarged(region, grey) for region in rough)))


def _rough(grey: Grey) -> tuple[Mask, Mask] | None:
    """The best region of each half of the image among all thresholds and looks; None where a half has none."""
    flat = _flattened(grey)
    best: list[tuple[float, _Part] | None] = [None, None]
    for look in (grey, flat, flat + grey):
        for half, part in _candidates(look):
            step = _step(grey, part)
            score = step * float(np.sqrt(cv2.countNonZero(part.mask)))
            found = best[half]
            if step >= LEAST_STEP and (found is None or score > found[0]):
                best[half] = score, part
    first, second = best
    return None if first is None or second is None else (first[1].whole(grey.shape), second[1].whole(grey.shape))


def _enlarged(region: Mask, grey: Grey) -> Mask:
    """A region found by the scan, of the size of the picture that outlines are drawn on."""
    size = (grey.shape[1], grey.shape[0])
    return np.asarray(cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) >= 0.5)


def _flattened(grey: Grey) -> Grey:
    """Grey values less those of their surroundings, in units of their spread there."""
    rest = grey - cv2.GaussianBlur(grey, (0, 0), FLAT_PX, borderType=cv2.BORDER_REPLICATE)
    spread = np.sqrt(cv2.GaussianBlur(rest * rest, (0, 0), FLAT_PX)) + 0.02
    return np.asarray(rest / spread, np.float32)


def _candidates(grey: Grey) -> Iterator[tuple[int, _Part]]:
    """Plausible lungs at each threshold: half of the image, 0 or 1, and region."""
    opening = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (OPEN_PX, OPEN_PX))
    rows, columns = grey.shape
    for threshold in np.quantile(grey, np.linspace(0.08, 0.75, THRESHOLDS)):
        dark = cv2.morphologyEx((grey < threshold).astype(np.uint8), cv2.MORPH_OPEN, opening)
        outlines, nesting = cv2.findContours(dark, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for outline, within in zip(outlines, nesting[0][:, 3] if outlines else (), strict=True):
            left, top, wide, tall = cv2.boundingRect(outline)
            is_hole, touches = within >= 0, left == 0 or left + wide == columns or top == 0
            if is_hole or touches or not _is_as_long(tall / rows, wide / columns):
                continue  # filling leaves a region as long and as wide as it is
            if not 0.6 * AREA[0] * grey.size <= cv2.contourArea(outline) <= AREA[1] * grey.size:
                continue
            part = _filled(outline, left, top, wide, tall)
            if _is_plausible(part.mask, grey.size):
                moments = cv2.moments(outline)
                yield int(moments["m10"] > moments["m00"] * columns / 2), part


def _refined(grey: Grey, first: Mask, second: Mask) -> tuple[Mask, Mask]:
    """Both regions with their outlines moved to the strongest edge nearby, by a watershed from their cores."""
    both = (first | second).astype(np.uint8)
    core = cv2.erode(both, np.ones((5, 5), np.uint8)) > 0
    rows, columns = both.shape
    markers = np.zeros(both.shape, np.int32)
    markers[cv2.distanceTransform(1 - both, cv2.DIST_L2, 5) > NEAR * rows] = 1
    middle, half = round(_midline(_lung(first), _lung(second)) * columns), max(2, int(MIDDLE * columns))
    markers[:, max(middle - half, 0) : middle + half] = 1
    markers[first & core], markers[second & core] = 2, 3
    smooth = cv2.GaussianBlur(grey, (0, 0), SMOOTH_PX)
    edges = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    labels = _watershed(edges, markers)
    opening = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    parts = [cv2.morphologyEx((labels == n).astype(np.uint8), cv2.MORPH_OPEN, opening) > 0 for n in (2, 3)]
    return parts[0], parts[1]


def _watershed(edges: Grey, markers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Label of the marker from which each pixel is reached over the lowest edges. edges: float32, any range."""
    height = np.rint(edges * (255 / max(float(edges.max()), 1e-6))).astype(np.uint8)
    found = cv2.watershed(cv2.cvtColor(height, cv2.COLOR_GRAY2BGR), markers.copy())
    return np.asarray(found, np.int32)


def _midline(first: Lung, second: Lung) -> float:
    """Median middle between the lungs' inner edges at levels that both reach, a fraction of the width."""
    levels = np.linspace(max(first.top, second.top), min(first.bottom, second.bottom), 32)
    return float(np.median([(first.edge(level, 1) + second.edge(level, 0)) / 2 for level in levels]))


def _filled(outline: npt.NDArray[np.int32], left: int, top: int, wide: int, tall: int) -> _Part:
    """What an outline with these bounds encloses, with its dents and holes filled."""
    closing, around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSE_PX, CLOSE_PX)), CLOSE_PX // 2 + 1
    inside = np.zeros((tall + 2 * around, wide + 2 * around), np.uint8)
    cv2.drawContours(inside, [outline], -1, 1, cv2.FILLED, offset=(around - left, around - top))
    closed = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, closing)[around:-around, around:-around]
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros((tall, wide), np.uint8)
    return _Part(cv2.drawContours(mask, outlines, -1, 1, cv2.FILLED), left, top)


def _is_as_long(tall: float, wide: float) -> bool:
    """Whether a region's height and width, in fractions of the image's, may be a lung's."""
    return TALL[0] <= tall <= TALL[1] and WIDE[0] <= wide <= WIDE[1]


def _is_plausible(region: npt.NDArray[np.uint8], area: int) -> bool:
    """Whether a region, cut to its bounds, has a lung's area and shape. area: of the image, pixels."""
    covered = cv2.countNonZero(region)
    if not AREA[0] * area <= covered <= AREA[1] * area:
        return False
    outlines, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(outlines)))
    return bool(covered >= SOLID * hull)


def _step(grey: Grey, part: _Part) -> float:
    """Mean grey just outside a region less that just inside."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * STEP_PX + 1,) * 2)
    rows, columns = part.mask.shape
    around = grey[max(part.top - STEP_PX, 0) : part.top + rows + STEP_PX]
    around = around[:, max(part.left - STEP_PX, 0) : part.left + columns + STEP_PX]
    mask = np.zeros(around.shape, np.uint8)
    top, left = min(part.top, STEP_PX), min(part.left, STEP_PX)
    mask[top : top + rows, left : left + columns] = part.mask
    outside = cv2.dilate(mask, kernel) - mask
    inside = mask - cv2.erode(mask, kernel)
    return float(cv2.mean(around, outside)[0] - cv2.mean(around, inside)[0])


def _pair(first: Mask, second: Mask) -> LungField | None:
    """Two lungs as a field; None where they don't look like a pair."""
    if not first.any() or not second.any():
        return None
    lungs = _lung(first), _lung(second)
    areas, heights = (first.sum(), second.sum()), tuple(lung.bottom - lung.top for lung in lungs)
    if min(areas) < ALIKE_AREA * max(areas) or min(heights) < ALIKE_HEIGHT * max(heights):
        return None
    if abs(lungs[0].top - lungs[1].top) > SAME_LEVEL or (first & second).any():
        return None
    if max(lung.top for lung in lungs) >= min(lung.bottom for lung in lungs):
        return None
    midline = _midline(*lungs)
    if not 0.3 < midline < 0.7:
        return None
    return LungField(first | second, lungs, midline)


def _lung(region: Mask) -> Lung:
    rows = np.flatnonzero(region.any(1))
    band = region[rows[0] : rows[-1] + 1]
    first, last = band.argmax(1), region.shape[1] - band[:, ::-1].argmax(1)
    edges = np.stack([first, last], 1) / region.shape[1]
    return Lung(float(rows[0] / region.shape[0]), float((rows[-1] + 1) / region.shape[0]), edges)
