"""Where the patient stands before the detector: the affine map between the patient frame and an image's pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from radvit.data.phantom.canvas import Grid, Points


@dataclass(frozen=True, slots=True)
class Pose:
    """How patient millimetres become image pixels: px = matrix @ mm + offset, pixel (0, 0) covering [0, 1] x [0, 1].

    spacing_mm: size of a pixel in the patient plane. The matrix also holds the small turn and the breath of this
    exposure, so that lengths of the patient frame may differ by a few percent from lengths on the image.
    """

    rows: int
    columns: int
    spacing_mm: float
    matrix: tuple[tuple[float, float], tuple[float, float]]
    offset: tuple[float, float]

    def within(self, left: int, top: int, right: int, bottom: int) -> Pose:
        """The same pose on a larger image that has so many pixels more on each side."""
        rows, columns = self.rows + top + bottom, self.columns + left + right
        return replace(self, rows=rows, columns=columns, offset=(self.offset[0] + left, self.offset[1] + top))

    def to_px(self, xy_mm: Points) -> Points:
        """Patient frame to pixels. xy_mm: (N, 2). Returns (N, 2)."""
        return np.asarray(xy_mm @ np.array(self.matrix).T + np.array(self.offset))

    def to_mm(self, xy_px: Points) -> Points:
        """Pixels to patient frame. xy_px: (N, 2). Returns (N, 2)."""
        return np.asarray((xy_px - np.array(self.offset)) @ np.linalg.inv(np.array(self.matrix)).T)

    def from_grid(self, grid: Grid) -> npt.NDArray[np.float64]:
        """The (2, 3) matrix that takes centres of this image's pixels to cells of a grid, both in OpenCV's sense."""
        back = np.linalg.inv(np.array(self.matrix))
        start = back @ (0.5 - np.array(self.offset)) - np.array([grid.left_mm, grid.top_mm])
        return np.concatenate([back / grid.step_mm, (start / grid.step_mm - 0.5)[:, None]], 1)


def draw_pose(
    rng: np.random.Generator,
    extent_mm: tuple[float, float, float, float],
    field_mm: tuple[float, float],
    shape: tuple[int, int],
) -> Pose:
    """Draw a pose that keeps the lungs within the field.

    extent_mm: left, top, right, bottom of the lungs. field_mm: width and height of the image in the patient plane.
    shape: rows, columns.
    """
    rows, columns = shape
    left, top, right, bottom = extent_mm
    spacing = max(field_mm[0] / columns, field_mm[1] / rows)
    spacing = max(spacing, (right - left + 26) / columns, (bottom - top + 22) / rows)
    turn = float(np.deg2rad(np.clip(rng.normal(0, 1.0), -2.5, 2.5)))
    stretch = np.diag([rng.uniform(0.985, 1.01), rng.uniform(0.955, 1.01)])
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ stretch / spacing
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    slack = np.array([columns * spacing - (right - left), rows * spacing - (bottom - top)]) / 2 - 9
    shift = np.clip(rng.normal(0, 5, 2) + np.array([0, 3]), -slack, slack) / spacing
    offset = np.array([columns / 2, rows / 2]) + shift - matrix @ middle
    (a, b), (c, d) = matrix.tolist()
    return Pose(rows, columns, spacing, ((a, b), (c, d)), (float(offset[0]), float(offset[1])))
