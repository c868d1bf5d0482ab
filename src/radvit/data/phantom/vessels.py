"""Arteries and veins of the lungs: two branching trees a lung, so that where one crosses the other it looks denser."""

from __future__ import annotations

import cv2
import numpy as np

from radvit.data.phantom.canvas import Bytes, Grid, Points, stroke
from radvit.records import FloatArray

_PER_MM = 16.0  # byte value of a chord of 1 mm
_THINNEST_MM = 0.9


def draw_vessels(rng: np.random.Generator, grid: Grid, wide: float, tall: float) -> tuple[FloatArray, Points]:
    """Draw the vessels of both lungs.

    Returns the chord through them in mm, (rows, columns) float32, and points along them, (N, 3): x, y, diameter in mm.
    """
    total, points = grid.empty(), []
    scale = np.array([wide, tall])
    for side in (-1, 1):
        for root, diameter in (((34.0, -2.0), 9.5), ((26.0, 18.0), 8.5)):
            layer = np.zeros((grid.rows, grid.columns), np.uint8)
            points += _tree(
                rng, layer, grid, np.array(root) * (side, 1) * scale, side, diameter * rng.uniform(0.85, 1.1)
            )
            total += cv2.GaussianBlur(layer, (0, 0), 0.8).astype(np.float32)
    return total / np.float32(_PER_MM), np.array(points)


def _tree(
    rng: np.random.Generator, layer: Bytes, grid: Grid, root: Points, side: int, diameter: float
) -> list[tuple[float, float, float]]:
    """Draw one tree into the layer, and return points along it. root: (2,) mm; side: -1 or 1."""
    points: list[tuple[float, float, float]] = []
    fan = np.deg2rad([-78, -48, -18, 12, 38, 62, 84]) + rng.normal(0, 0.09, 7)
    twigs = [(root, angle, diameter * rng.uniform(0.5, 0.85)) for angle in fan]
    while twigs:
        start, angle, width = twigs.pop()
        length = (6 + 3.6 * width) * rng.uniform(0.7, 1.3)
        middle = start + 0.5 * length * np.array([side * np.cos(angle), np.sin(angle)])
        bend = angle + rng.normal(0, 0.12)
        end = middle + 0.5 * length * np.array([side * np.cos(bend), np.sin(bend)])
        stroke(
            layer, grid.to_cells(np.array([start, middle, end])), width / grid.step_mm, int(min(width, 12) * _PER_MM)
        )
        points.append((float(middle[0]), float(middle[1]), width))
        share = rng.uniform(0.55, 0.85)
        turn = rng.uniform(0.18, 0.5) * (1 if rng.random() < 0.5 else -1)
        twigs += [
            (end, bend - turn * (1.2 - share), width * (0.66 + 0.22 * share)),
            (end, bend + turn * share * 1.3, width * (0.84 - 0.42 * share)),
        ]
        twigs = [twig for twig in twigs if twig[2] > _THINNEST_MM]
    return points
