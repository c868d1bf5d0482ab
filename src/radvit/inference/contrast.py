"""How much a box stands out from what lies around it."""

from __future__ import annotations

import numpy as np

from radvit.inference.results import Picture
from radvit.records import Geometry

RING = 0.5  # width of the ring, of the box's longer side
LEAST_RING_PX = 3
FEWEST_PX = 16  # fewer pixels of a ring give no standard deviation to speak of


def contrast(box: tuple[float, float, float, float], picture: Picture, geometry: Geometry) -> float | None:
    """Mean grey inside a box less that of the ring around it, in standard deviations of the ring.

    box: xyxy in pixels of the stored image. picture: (rows, columns) uint8, bone bright, the whole image reduced to at
    most 1024 pixels. The ring is half the box's longer side wide, at least 3 pixels of the picture, and is cut at the
    image's edge. Positive is denser (brighter) than the surroundings. None where the box covers no whole pixel, or the
    ring has fewer than 16 pixels or a single grey value.
    """
    rows, columns = picture.shape
    scale = np.array([columns / geometry.columns, rows / geometry.rows] * 2)
    x1, y1, x2, y2 = np.rint(np.asarray(box) * scale).astype(int).tolist()
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, columns), min(y2, rows)
    if x1 >= x2 or y1 >= y2:
        return None
    width = max(LEAST_RING_PX, round(RING * max(x2 - x1, y2 - y1)))
    left, top = max(x1 - width, 0), max(y1 - width, 0)
    around = picture[top : y2 + width, left : x2 + width].astype(np.float64)
    inner = np.zeros(around.shape, bool)
    inner[y1 - top : y2 - top, x1 - left : x2 - left] = True
    ring = around[~inner]
    if ring.size < FEWEST_PX or ring.std() == 0:
        return None
    return float((around[inner].mean() - ring.mean()) / ring.std())
