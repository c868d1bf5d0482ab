"""Drawing in millimetres: a grid in the patient plane, smooth curves, and shapes on it with antialiased edges.

The patient frame of a frontal radiograph: x to the right of the picture (the patient's left), y downwards, both in mm
in the patient plane; the origin lies in the midline, halfway down the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from radvit.records import FloatArray

Points = npt.NDArray[np.float64]  # (N, 2), (x, y)
Bytes = npt.NDArray[np.uint8]

_SHIFT = 4  # OpenCV takes points with this many fractional bits


@dataclass(frozen=True, slots=True)
class Grid:
    """Square cells of step_mm; the corner of cell (0, 0) lies at (left_mm, top_mm)."""

    step_mm: float = 0.8
    left_mm: float = -228.0
    top_mm: float = -236.0
    columns: int = 570
    rows: int = 590

    def empty(self) -> FloatArray:
        """A layer of zeros, (rows, columns) float32."""
        return np.zeros((self.rows, self.columns), np.float32)

    def mesh(self) -> tuple[FloatArray, FloatArray]:
        """Give x (1, columns) and y (rows, 1) of the cells' centres, mm."""
        x = self.left_mm + self.step_mm * (np.arange(self.columns, dtype=np.float32) + 0.5)
        y = self.top_mm + self.step_mm * (np.arange(self.rows, dtype=np.float32) + 0.5)
        return x[None, :].astype(np.float32), y[:, None].astype(np.float32)

    def to_cells(self, xy_mm: Points) -> Points:
        """Cells in OpenCV's sense, where whole numbers are centres of cells. xy_mm: (N, 2)."""
        return np.asarray((xy_mm - np.array([self.left_mm, self.top_mm])) / self.step_mm - 0.5)

    def at(self, layer: FloatArray, xy_mm: Points) -> npt.NDArray[np.float64]:
        """Values of a layer at the nearest cells. xy_mm: (N, 2). Returns (N,)."""
        column, row = np.rint(self.to_cells(xy_mm)).astype(int).T
        values = layer[np.clip(row, 0, self.rows - 1), np.clip(column, 0, self.columns - 1)]
        return np.asarray(values, np.float64)

    def blur(self, layer: FloatArray, sigma_mm: float) -> FloatArray:
        """A layer under a Gaussian; wide ones are computed on a coarser grid."""
        sigma = sigma_mm / self.step_mm
        if sigma <= 6:
            return np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32)
        factor = sigma / 5
        small = (max(round(self.columns / factor), 8), max(round(self.rows / factor), 8))
        coarse = cv2.GaussianBlur(cv2.resize(layer, small, interpolation=cv2.INTER_AREA), (0, 0), 5)
        # Not cubic: OpenCV's does not keep a ramp straight, and would leave stripes.
        return np.asarray(cv2.resize(coarse, (self.columns, self.rows), interpolation=cv2.INTER_LINEAR), np.float32)


def closed_curve(knots: Points, per_knot: int = 10) -> Points:
    """A smooth closed curve through knots (Catmull and Rom 1974). knots: (N, 2). Returns (N * per_knot, 2)."""
    before, after, second = np.roll(knots, 1, 0), np.roll(knots, -1, 0), np.roll(knots, -2, 0)
    t = np.arange(per_knot)[None, :, None] / per_knot
    terms = (
        2 * knots[:, None]
        + (after - before)[:, None] * t
        + (2 * before - 5 * knots + 4 * after - second)[:, None] * t**2
        + (3 * knots - before - 3 * after + second)[:, None] * t**3
    )  # (knots, per_knot, 2)
    return np.asarray(terms / 2).reshape(-1, 2)


def open_curve(knots: Points, per_knot: int = 10) -> Points:
    """A smooth curve from the first knot to the last. knots: (N, 2). Returns ((N - 1) * per_knot + 1, 2)."""
    ends = np.concatenate([[2 * knots[0] - knots[1]], knots, [2 * knots[-1] - knots[-2]]])
    inside = closed_curve(ends, per_knot)[per_knot : per_knot * len(knots)]
    return np.concatenate([inside, knots[-1:]])


def fill(grid: Grid, outline_mm: Points) -> FloatArray:
    """A filled outline, 1 inside and 0 outside, with antialiased edges. outline_mm: (N, 2)."""
    layer = np.zeros((grid.rows, grid.columns), np.uint8)
    cv2.fillPoly(layer, [fixed(grid.to_cells(outline_mm))], 255, cv2.LINE_AA, _SHIFT)
    return layer.astype(np.float32) / np.float32(255)


def stroke(layer: Bytes, cells: Points, width: float, value: int) -> None:
    """Draw a curve into a byte layer in place. cells: (N, 2) in OpenCV's sense; width: in cells."""
    cv2.polylines(layer, [fixed(cells)], False, value, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def disc(layer: Bytes, center: Points, radius: float, value: int) -> None:
    """Draw a filled disc into a byte layer in place. center: (2,) in OpenCV's sense; radius: in cells."""
    x, y = np.rint(center * (1 << _SHIFT)).astype(int)
    cv2.circle(layer, (int(x), int(y)), round(radius * (1 << _SHIFT)), value, -1, cv2.LINE_AA, _SHIFT)


def fixed(cells: Points) -> npt.NDArray[np.int32]:
    """Points with the fractional bits that OpenCV's drawing takes. cells: (N, 2)."""
    return np.rint(cells * (1 << _SHIFT)).astype(np.int32)


def clouds(rng: np.random.Generator, grid: Grid, sizes_mm: tuple[float, ...], slope: float = 1.0) -> FloatArray:
    """Random texture with details of the given sizes, amplitude ~ size ** slope, scaled to a spread of 1."""
    total = grid.empty()
    for size in sizes_mm:
        shape = (max(4, round(grid.rows * grid.step_mm / size)), max(4, round(grid.columns * grid.step_mm / size)))
        coarse = rng.standard_normal(shape, dtype=np.float32)
        total += cv2.resize(coarse, (grid.columns, grid.rows), interpolation=cv2.INTER_CUBIC) * np.float32(size**slope)
    return total / np.float32(np.sqrt(sum(size ** (2 * slope) for size in sizes_mm)) * 0.7)
