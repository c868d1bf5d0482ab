"""Small round-ish densities: nodules and what looks like them, drawn pixel by pixel from a smooth profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.data.phantom.canvas import Points
from radvit.data.phantom.pose import Pose
from radvit.records import FloatArray

_ANGLES = np.linspace(0, 2 * np.pi, 72, endpoint=False)
_POWER, _FLAT = 2.4, 0.62  # of the profile (1 - r ** power) ** flat: close to a ball's chord, with a softer edge
_HALF = (1 - 0.5 ** (1 / _FLAT)) ** (1 / _POWER)  # radius at half amplitude
_REACH = 1 / _HALF


@dataclass(frozen=True, slots=True)
class Blob:
    """A density whose amplitude falls to half on its outline.

    x_mm, y_mm: centre in the patient frame. radius_mm: mean over the outline. stretch: long over short axis.
    angle: of the long axis, radians. lobes: (order, amplitude, phase) of the outline's waves.
    contrast: line integral it adds in the middle. edge_mm: spread of the blur that softens its edge.
    """

    x_mm: float
    y_mm: float
    radius_mm: float
    contrast: float
    stretch: float = 1.0
    angle: float = 0.0
    lobes: tuple[tuple[int, float, float], ...] = ()
    edge_mm: float = 0.3

    def radius_at(self, theta: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Radius of the outline in the directions theta, radians; mm."""
        turned = theta - self.angle
        ellipse = 1 / np.sqrt((np.cos(turned) ** 2) / self.stretch + self.stretch * np.sin(turned) ** 2)
        waves = sum(a * np.cos(k * theta + p) for k, a, p in self.lobes)
        return np.asarray(self.radius_mm * ellipse * (1 + waves))

    def outline_mm(self) -> Points:
        """The outline in the patient frame, (72, 2)."""
        radius = self.radius_at(_ANGLES)
        return np.stack([self.x_mm + radius * np.cos(_ANGLES), self.y_mm + radius * np.sin(_ANGLES)], 1)

    def longest_mm(self) -> float:
        """Longest diameter."""
        return longest(self.outline_mm())


def longest(points: Points) -> float:
    """Largest distance between any two points. points: (N, 2)."""
    return float(np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1)).max())


def add_blob(image: FloatArray, blob: Blob, pose: Pose) -> None:
    """Add a blob's line integral to an image in place. image: (rows, columns)."""
    reach = blob.longest_mm() * _REACH * 0.62 + 3 * blob.edge_mm + pose.spacing_mm
    (cx, cy), half = pose.to_px(np.array([[blob.x_mm, blob.y_mm]]))[0], reach / pose.spacing_mm
    x1, y1 = max(int(cx - half), 0), max(int(cy - half), 0)
    x2, y2 = min(int(cx + half) + 1, image.shape[1]), min(int(cy + half) + 1, image.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    columns, rows = np.meshgrid(np.arange(x1, x2) + 0.5, np.arange(y1, y2) + 0.5)
    x, y = pose.to_mm(np.stack([columns.ravel(), rows.ravel()], 1)).T
    image[y1:y2, x1:x2] += profile(blob, x, y, pose.spacing_mm).reshape(rows.shape).astype(np.float32)


def profile(blob: Blob, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], cell_mm: float) -> FloatArray:
    """Line integral at points of the patient frame. x, y: (N,) mm. cell_mm: of the pixels, which also soften edges."""
    dx, dy = x - blob.x_mm, y - blob.y_mm
    distance = np.hypot(dx, dy)
    radius = blob.radius_at(np.arctan2(dy, dx))
    soft = np.hypot(blob.edge_mm, 0.4 * cell_mm) / radius
    # A softplus instead of a cut at zero: the edge spreads over about soft, so that it is right below a pixel.
    inside = 1 - (distance / radius * _HALF) ** _POWER
    width = np.maximum(soft * 0.6, 1e-3)
    smooth = width * np.logaddexp(0, np.clip(inside / width, -40, 40))
    return np.asarray(blob.contrast * np.minimum(smooth, 1.0) ** _FLAT, np.float32)
