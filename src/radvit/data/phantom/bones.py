"""Ribs, clavicles, spine and shoulder blades, as line integrals of what bone adds to soft tissue."""

from __future__ import annotations

import cv2
import numpy as np

from radvit.data.phantom.canvas import Bytes, Grid, Points, closed_curve, clouds, fill, fixed, open_curve, stroke
from radvit.records import FloatArray

RIBS = 10
FRONT_RIBS = 7
_PER_UNIT = 600.0  # byte value of a line integral of 1 in the layers that are drawn as bytes


def draw_bones(rng: np.random.Generator, grid: Grid, wide: float, tall: float) -> tuple[FloatArray, FloatArray, Points]:
    """Draw the skeleton of the chest.

    Returns the added line integral and a mask of ribs and clavicles, both (rows, columns) float32, and the ends of the
    front ribs, (N, 2) mm.
    """
    scale = np.array([wide, tall])
    back, front, ends = _ribs(rng, grid, scale)
    collar = _clavicles(rng, grid, scale)
    ribs = sum((layer.astype(np.float32) for layer in (back, front, collar)), grid.empty()) / np.float32(_PER_UNIT)
    x, _ = grid.mesh()
    ribs *= 0.45 + 0.55 * np.clip((np.abs(x) - 14) / 40, 0, 1)  # where the transverse processes take over
    grain = 1 + 0.10 * clouds(rng, grid, (9.0, 4.0), 0.5)
    total = ribs * grain + _spine(rng, grid, scale) + _shoulders(rng, grid, scale)
    mask = np.maximum(np.maximum(back, front), collar) > 30
    return grid.blur(total.astype(np.float32), 0.5), mask.astype(np.float32), ends


def chest_half_mm(y: float) -> float:
    """Half the inner width of the rib cage at a level, mm, before scaling."""
    return 139.0 * float(np.sqrt(max(1 - ((y - 75) / 232) ** 2, 0.04)))


def _ribs(rng: np.random.Generator, grid: Grid, scale: Points) -> tuple[Bytes, Bytes, Points]:
    back, front = (np.zeros((grid.rows, grid.columns), np.uint8) for _ in range(2))
    ends = []
    slope, pitch, weight = rng.normal(0, 4), rng.normal(23.5, 0.5), rng.uniform(0.8, 1.15)
    for rib in range(RIBS):
        for side in (-1, 1):
            wobble = rng.normal(0, 1.2, 6)
            top = -146 + pitch * rib + wobble[0]
            wing = max(top + 26 + 1.6 * rib + slope, -138.0)
            half = chest_half_mm(wing) + 3
            behind = [(15, top + 2), (34, top - 3), (0.45 * half, top - 2 + wobble[1]), (0.78 * half, top + 9)]
            behind += [(0.95 * half, wing - 6 + wobble[2]), (half, wing + 6)]
            _tube(back, grid, np.array(behind) * (side, 1) * scale, 8.6 + wobble[3] * 0.3, weight * 0.95)
            if rib >= FRONT_RIBS:
                continue
            end = (max(26.0, (0.36 + 0.035 * rib) * half), wing + 34 + 5.2 * rib + wobble[4])
            before = [(half, wing - 2), (0.96 * half, wing + 10), (0.74 * half, 0.55 * wing + 0.45 * end[1] + 6), end]
            _tube(front, grid, np.array(before) * (side, 1) * scale, 10.0 + wobble[5] * 0.4, weight * 0.66)
            ends.append(np.array(end) * (side, 1) * scale)
    return back, front, np.array(ends)


def _tube(layer: Bytes, grid: Grid, knots: Points, width_mm: float, weight: float) -> None:
    """A hollow bone: a bright rim around marrow, the lower rim the thicker one."""
    cells = grid.to_cells(open_curve(knots))
    width = width_mm / grid.step_mm
    stroke(layer, cells, width, int(118 * weight))
    stroke(layer, cells - (0, 0.05 * width), width - 2.2, int(84 * weight))


def _clavicles(rng: np.random.Generator, grid: Grid, scale: Points) -> Bytes:
    layer = np.zeros((grid.rows, grid.columns), np.uint8)
    lift = rng.normal(0, 5)
    for side in (-1, 1):
        y = -104 + lift + rng.normal(0, 2)
        knots = [(15, y + 2), (32, y - 5), (66, y - 16), (104, y - 31), (138, y - 38), (156, y - 36)]
        _tube(layer, grid, np.array(knots) * (side, 1) * scale, 10.5, 1.4)
        head = grid.to_cells(np.array([(15, y + 2), (21, y - 1)]) * (side, 1) * scale)
        stroke(layer, head, 15 / grid.step_mm, 120)
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.7), np.uint8)


def _spine(rng: np.random.Generator, grid: Grid, scale: Points) -> FloatArray:
    """Vertebral bodies with discs between them, pedicles and spinous processes."""
    layer = np.zeros((grid.rows, grid.columns), np.uint8)
    bend = rng.normal(0, 2.5)
    for level in range(20):
        y = -230 + 25.0 * level
        x, half = bend * np.sin(y / 90), 14.0 + 0.35 * level
        body = closed_curve(
            np.array(
                [
                    (-half, -9.5),
                    (0, -8.5),
                    (half, -9.5),
                    (half - 2, 0),
                    (half, 9.5),
                    (0, 8.5),
                    (-half, 9.5),
                    (2 - half, 0),
                ]
            )
        )
        cv2.fillPoly(layer, [_cells(grid, (body + np.array([x, y])) * scale)], 90, cv2.LINE_AA, 4)
        cv2.polylines(layer, [_cells(grid, (body + np.array([x, y])) * scale)], True, 125, 2, cv2.LINE_AA, 4)
        for dx in (-8.5, 8.5):
            stroke(layer, grid.to_cells((np.array([(x + dx, y - 5), (x + dx, y - 2)])) * scale), 6 / grid.step_mm, 150)
        stroke(layer, grid.to_cells(np.array([(x, y + 4), (x, y + 12)]) * scale), 4 / grid.step_mm, 150)
    return grid.blur(layer.astype(np.float32) / np.float32(_PER_UNIT / 1.0), 1.3)


def _shoulders(rng: np.random.Generator, grid: Grid, scale: Points) -> FloatArray:
    """Shoulder blades, whose inner borders reach the lungs, and heads of the humeri."""
    total = grid.empty()
    out = rng.uniform(-6, 12)
    blade = [
        (112, -112),
        (140, -120),
        (160, -118),
        (158, -90),
        (140, -50),
        (124, -8),
        (116, -2),
        (110, -24),
        (107, -70),
    ]
    head = [(158, -142), (178, -146), (192, -128), (188, -104), (172, -96), (160, -110)]
    for side in (-1, 1):
        shift = np.array([out + rng.normal(0, 2), rng.normal(0, 2)])
        total += 0.16 * _plate(grid, (np.array(blade) + shift) * (side, 1) * scale)
        total += 0.55 * _plate(grid, (np.array(head) + shift) * (side, 1) * scale)
        spine = (np.array([(112.0, -88), (140, -108), (166, -124)]) + shift) * (side, 1) * scale
        layer = np.zeros((grid.rows, grid.columns), np.uint8)
        stroke(layer, grid.to_cells(open_curve(spine)), 7 / grid.step_mm, 100)
        total += layer.astype(np.float32) / np.float32(_PER_UNIT)
    return total


def _plate(grid: Grid, knots: Points) -> FloatArray:
    """A flat bone with a brighter rim, 0 to 1."""
    filled = fill(grid, closed_curve(knots))
    return np.asarray(np.clip(1.5 * filled - 0.8 * grid.blur(filled, 3.0), 0, None), np.float32)


def _cells(grid: Grid, outline: Points) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return fixed(grid.to_cells(outline))
