"""The chest of one patient: line integrals of attenuation through soft tissue, air and bone, in the patient plane.

A frontal radiograph is exp(-integral of mu along the ray). Here the integral is a sum of chords: a body of elliptic
section, less the air of the lungs, with heart and vessels put back, and bone on top. The shapes are drawn by hand after
textbook radiographs and varied at random; they are meant to look right, and are no measured anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from radvit.data.phantom.bones import draw_bones
from radvit.data.phantom.canvas import Grid, Points, closed_curve, clouds, fill, open_curve, stroke
from radvit.data.phantom.vessels import draw_vessels
from radvit.records import FloatArray

MU_SOFT = 0.019  # 1/mm, soft tissue at about 60 keV (NIST XCOM: 0.0205 for water)
AIRY = 0.74  # share of the lung's volume that is air
VESSELS = 2.2  # vessels lie in sheaths, and arteries beside bronchi: thicker than their blood

# Half of a chest, (|x|, y) in mm: clockwise from the apex on the picture's right.
_LUNG = np.array(
    [
        *[(44, -142), (72, -137), (101, -106), (120, -55), (130, 0), (137, 60), (139, 112), (133, 122), (120, 100)],
        *[(97, 84), (70, 79), (46, 82), (29, 82), (22, 62), (24, 25), (27, -30), (24, -75), (27, -120)],
    ],
    float,
)
_DOME = slice(7, 13)  # knots of the diaphragm


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Layers on one grid, all (rows, columns) float32, and landmarks in mm.

    attenuation: line integral of mu. air: chord of aerated lung, mm. lung: 1 inside the lungs' outlines, the recesses
    behind the diaphragm included. heart: 1 over the heart. ribs: 1 over ribs and clavicles. rib_ends: (N, 2) where
    the front ribs end. vessels: (N, 3) x, y and diameter of points on the vessels. nipples: (2, 2).
    """

    grid: Grid
    attenuation: FloatArray
    air: FloatArray
    lung: FloatArray
    heart: FloatArray
    ribs: FloatArray
    rib_ends: Points
    vessels: Points
    nipples: Points

    def extent_mm(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the lungs."""
        rows, columns = np.nonzero(self.lung > 0.5)
        step, left, top = self.grid.step_mm, self.grid.left_mm, self.grid.top_mm
        return (
            left + step * float(columns.min()),
            top + step * float(rows.min()),
            left + step * float(columns.max() + 1),
            top + step * float(rows.max() + 1),
        )


@dataclass(frozen=True, slots=True)
class Build:
    """What makes one patient's chest unlike another's. wide, tall: scale; depth_mm: front to back in the midline."""

    wide: float
    tall: float
    depth_mm: float
    female: bool
    heart: float
    tilt: float


def draw_build(rng: np.random.Generator, female: bool) -> Build:
    """Draw a patient's build."""
    wide = float(np.clip(rng.normal(0.98 if female else 1.03, 0.05), 0.86, 1.15))
    tall = float(np.clip(rng.normal(0.97 if female else 1.03, 0.05), 0.86, 1.12))
    return Build(wide, tall, float(rng.uniform(185, 255)), female, float(rng.uniform(0.85, 1.2)), float(rng.normal()))


def draw_anatomy(rng: np.random.Generator, female: bool, grid: Grid | None = None) -> Anatomy:
    """Draw a patient's chest."""
    grid = Grid() if grid is None else grid
    build = draw_build(rng, female)
    outlines = [_lung_outline(rng, side, build) for side in (-1, 1)]
    lungs = [fill(grid, outline) for outline in outlines]
    body = _body(rng, grid, build)
    air, lung = _air(grid, lungs, body)
    heart, heart_mask = _heart(rng, grid, build)
    air = np.clip(air - heart, 0, None) * (1 + 0.05 * clouds(rng, grid, (60.0, 25.0)))
    air = np.clip(air, 0, 0.78 * body)
    vessels, points = draw_vessels(rng, grid, build.wide, build.tall)
    inside = grid.blur(np.clip(air / 25, 0, 1), 0.8)
    bones, ribs, rib_ends = draw_bones(rng, grid, build.wide, build.tall)
    soft = body - AIRY * air - _airway(grid, build, body) + AIRY * VESSELS * vessels * inside
    soft += _breasts(rng, grid, build) - _stomach(rng, grid, build)
    texture = 0.012 * clouds(rng, grid, (14.0, 7.0, 3.5), 0.8) * np.clip(air / 60, 0, 1)
    texture += 0.02 * clouds(rng, grid, (50.0, 20.0), 1.0) * (body > 0)
    attenuation = np.clip(MU_SOFT * soft + bones * np.clip(body / 60, 0, 1) + texture, 0, None)
    blurred = grid.blur(attenuation.astype(np.float32), 0.45)
    return Anatomy(grid, blurred, air, lung, heart_mask, ribs, rib_ends, points, _nipples(rng, build))


def _lung_outline(rng: np.random.Generator, side: int, build: Build) -> Points:
    knots = _LUNG + rng.normal(0, 1.8, _LUNG.shape)
    knots[_DOME, 1] += rng.normal(0, 5) + (5 if side > 0 else -7)  # the liver lifts the patient's right half
    knots[_DOME, 1] += rng.normal(0, 4) * np.sin(np.linspace(0, np.pi, 6))
    return closed_curve(knots * (side * build.wide, build.tall))


def _body(rng: np.random.Generator, grid: Grid, build: Build) -> FloatArray:
    """Chord through the trunk, the shoulders and the neck, mm."""
    x, y = grid.mesh()
    trunk = (172 + rng.uniform(-4, 14)) * build.wide * np.ones_like(y)
    trunk += 50 * np.clip((-y + 20) / 120, 0, 1) ** 1.5  # towards the arms
    fall = np.clip((-122 * build.tall - y) / 66, 0, 1)
    half = trunk * np.sqrt(np.clip(1 - fall**2.2, 0, 1))  # the slope of the shoulders
    depth = build.depth_mm * (1 - 0.42 * np.clip((-y - 60) / 110, 0, 1)) * (1 + 0.06 * np.clip(y / 150, -1, 1))
    chord = depth * np.sqrt(np.clip(1 - (x / np.maximum(half, 1)) ** 2, 0, 1)) * (half > 1)
    neck_half = 58 * build.wide + 26 * np.clip((y + 190) / 45, 0, 1)
    neck = 118 * np.sqrt(np.clip(1 - (x / neck_half) ** 2, 0, 1)) * (y < -90)
    return np.asarray(np.maximum(chord, neck), np.float32)


def _air(grid: Grid, lungs: list[FloatArray], body: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Chord of lung, mm, and the outline with the recesses behind the diaphragm."""
    air, outline = grid.empty(), grid.empty()
    for lung in lungs:
        distance = cv2.distanceTransform((lung > 0.5).astype(np.uint8), cv2.DIST_L2, 5) * grid.step_mm
        rounded = np.sqrt(np.clip(1 - (1 - np.clip(distance / 58, 0, 1)) ** 2, 0, 1))
        drop = round(24 / grid.step_mm)
        recess = np.zeros_like(lung)
        recess[drop:] = lung[:-drop]
        recess = np.clip(recess - lung, 0, 1) * fill_below(grid, 40)
        air += (rounded * lung * 0.76 * body + grid.blur(recess, 3.0) * 26 * (1 - lung)).astype(np.float32)
        outline = np.maximum(outline, np.maximum(lung, recess))
    return grid.blur(air, 0.5), outline


def fill_below(grid: Grid, y_mm: float) -> FloatArray:
    """1 below a level, (rows, 1)."""
    return (grid.mesh()[1] > y_mm).astype(np.float32)


def _heart(rng: np.random.Generator, grid: Grid, build: Build) -> tuple[FloatArray, FloatArray]:
    """Air that heart and great vessels displace, mm, and where the heart lies."""
    size = build.heart
    parts = [  # centre x, y, half axes, angle in degrees, depth in mm
        (24.0 + 2 * build.tilt, 52.0, 63.0 * size, 44.0 * size, 32.0 + 4 * build.tilt, 125.0),  # ventricles
        (-9.0, 48.0, 31.0 * size, 43.0 * size, 0.0, 105.0),  # right atrium
        (22.0, 0.0, 27.0, 36.0, 0.0, 110.0),  # pulmonary trunk
    ]
    vessels = [
        (20.0, -52.0 + rng.normal(0, 4), 19.0 + rng.uniform(-2, 5), 20.0, 0.0, 120.0),  # aortic arch
        (0.0, -85.0, 27.0 + rng.uniform(-2, 5), 95.0, 0.0, 110.0),  # upper mediastinum
        (24.0, 20.0, 14.0, 110.0, 0.0, 60.0),  # descending aorta
        (36.0, 6.0, 11.0, 22.0, 20.0, 38.0),  # left hilum
        (-33.0, 10.0, 10.0, 24.0, -15.0, 36.0),  # right hilum
    ]
    heart = np.maximum.reduce([_ellipsoid(grid, part, build) for part in parts])
    other = np.maximum.reduce([_ellipsoid(grid, part, build) for part in vessels])
    return np.maximum(heart, other), np.asarray(heart > 10, np.float32)


def _ellipsoid(grid: Grid, part: tuple[float, float, float, float, float, float], build: Build) -> FloatArray:
    """Chord through an ellipsoid. part: centre x, y and half axes in mm, angle in degrees, depth in mm."""
    x0, y0, a, b, angle, depth = part
    x, y = grid.mesh()
    near = np.ix_(np.abs(y[:, 0] / build.tall - y0) < max(a, b), np.abs(x[0] / build.wide - x0) < max(a, b))
    turn = np.deg2rad(angle)
    dx, dy = x[:, near[1][0]] / build.wide - x0, y[near[0][:, 0]] / build.tall - y0
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    layer = grid.empty()
    layer[near] = depth * np.sqrt(np.clip(1 - (u / a) ** 2 - (v / b) ** 2, 0, 1))
    return layer


def _airway(grid: Grid, build: Build, body: FloatArray) -> FloatArray:
    """Trachea and main bronchi: air in the middle, mm."""
    layer = np.zeros((grid.rows, grid.columns), np.uint8)
    scale = np.array([build.wide, build.tall])
    for knots, width in (
        ([(1, -240), (0, -150), (4, -80), (2, -38)], 17.0),
        ([(2, -40), (-10, -24), (-27, -6)], 12.0),
        ([(2, -40), (16, -22), (38, -8)], 10.0),
    ):
        stroke(layer, grid.to_cells(open_curve(np.array(knots, float) * scale)), width / grid.step_mm, int(width * 8))
    return grid.blur(layer.astype(np.float32) / np.float32(8), 2.2) * np.clip(body / 80, 0, 1)


def _breasts(rng: np.random.Generator, grid: Grid, build: Build) -> FloatArray:
    thickness = rng.uniform(12, 34) if build.female else rng.uniform(0, 8)
    total = grid.empty()
    for side in (-1.0, 1.0):
        part = (side * rng.uniform(76, 84), rng.uniform(52, 78), 56.0, 52.0, 8 * side, thickness)
        total += _ellipsoid(grid, part, build)
    return grid.blur(total, 1.5)


def _stomach(rng: np.random.Generator, grid: Grid, build: Build) -> FloatArray:
    """Gas below the left half of the diaphragm, mm."""
    part = (
        rng.uniform(52, 72),
        rng.uniform(122, 132),
        rng.uniform(14, 34),
        rng.uniform(9, 17),
        0.0,
        rng.uniform(10, 55),
    )
    return grid.blur(_ellipsoid(grid, part, build), 1.5)


def _nipples(rng: np.random.Generator, build: Build) -> Points:
    x, y = rng.uniform(78, 96), rng.uniform(42, 62)
    wobble = rng.normal(0, 3, (2, 2))
    return (np.array([(-x, y), (x, y)]) + wobble) * (build.wide, build.tall)
