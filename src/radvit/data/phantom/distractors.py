"""What looks like a nodule and is none: vessels end-on, calcified ends of ribs, nipples, electrodes and their wires."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from radvit.data.phantom.anatomy import Anatomy
from radvit.data.phantom.blobs import Blob
from radvit.data.phantom.canvas import Points, fixed, open_curve
from radvit.data.phantom.pose import Pose
from radvit.data.phantom.spec import CohortSpec
from radvit.records import FloatArray

_WIRE_UNIT = 250.0  # byte value of a wire's line integral of 1


@dataclass(frozen=True, slots=True)
class Lead:
    """An electrode on the skin: a pad, a metal snap, and the wire that leaves the picture. wire: (N, 2) mm."""

    pad: Blob
    snap: Blob
    wire: tuple[tuple[float, float], ...]


def draw_lookalikes(rng: np.random.Generator, anatomy: Anatomy, spec: CohortSpec) -> tuple[Blob, ...]:
    """The patient's own: vessels end-on, calcified ends of ribs, and nipples. They stay the same over the years."""
    blobs = [_end_on(rng, anatomy) for _ in range(rng.poisson(0.55 * spec.distractors))]
    for _ in range(rng.poisson(0.45 * spec.distractors)):
        blobs += _rib_end(rng, anatomy)
    if rng.random() < spec.nipples:
        strength, radius = rng.uniform(0.07, 0.15), rng.uniform(3.4, 5.0)
        blobs += [Blob(x, y, radius, strength, edge_mm=0.9) for x, y in anatomy.nipples.tolist()]
    return tuple(blobs)


def _end_on(rng: np.random.Generator, anatomy: Anatomy) -> Blob:
    """A vessel that runs along the rays: a small, dense, sharp disc on the tree, never as large as a nodule."""
    wide = anatomy.vessels[(anatomy.vessels[:, 2] > 1.6) & (anatomy.vessels[:, 2] < 6)]
    x, y, diameter = wide[rng.integers(len(wide))]
    radius = float(np.clip(0.5 * diameter * rng.uniform(0.9, 1.2), 1.2, 2.4))
    return Blob(x, y, radius, float(rng.uniform(0.14, 0.34)), float(rng.uniform(1, 1.15)), edge_mm=0.2)


def _rib_end(rng: np.random.Generator, anatomy: Anatomy) -> list[Blob]:
    """Calcified cartilage where a front rib ends: a handful of dense flecks across the end of the rib."""
    x, y = anatomy.rib_ends[rng.integers(len(anatomy.rib_ends))]
    strength = float(rng.uniform(0.12, 0.34))
    angle = float(rng.uniform(0.5, 1.1)) * (-1 if x > 0 else 1)
    flecks = []
    for _ in range(rng.integers(4, 9)):
        along, across = rng.normal(0, 4.2), rng.normal(0, 2.4)
        dx, dy = along * np.sin(angle) + across * np.cos(angle), along * np.cos(angle) - across * np.sin(angle)
        size, stretch = float(rng.uniform(0.8, 2.3)), float(rng.uniform(1, 2.6))
        flecks.append(
            Blob(x + dx, y + dy, size, strength * float(rng.uniform(0.4, 1.0)), stretch, -angle, edge_mm=0.25)
        )
    return flecks


def draw_leads(rng: np.random.Generator, spec: CohortSpec, bedside: bool) -> tuple[Lead, ...]:
    """Electrodes of one study. bedside: patients X-rayed in bed have them more often."""
    if rng.random() >= min(spec.leads * (2.4 if bedside else 0.7), 1.0):
        return ()
    places = [(-95.0, -75.0), (95.0, -78.0), (-88.0, 62.0), (86.0, 70.0), (45.0, 30.0)]
    chosen = rng.choice(len(places), int(rng.integers(2, 5)), replace=False)
    return tuple(_lead(rng, np.array(places[i]) + rng.normal(0, 14, 2)) for i in chosen)


def _lead(rng: np.random.Generator, place: Points) -> Lead:
    x, y = place.tolist()
    pad = Blob(x, y, float(rng.uniform(7, 10.5)), float(rng.uniform(0.05, 0.13)), edge_mm=0.15)
    snap = Blob(x, y, float(rng.uniform(1.8, 2.8)), float(rng.uniform(0.7, 1.4)), edge_mm=0.1)
    side = 1 if x > 0 else -1
    away = rng.normal(0, 22, (2, 2))
    knots = [
        (x, y),
        (x + side * 40 + away[0, 0], y + 30 + away[0, 1]),
        (side * 150 + away[1, 0], y + 110),
        (side * 90, 330),
    ]
    if rng.random() < 0.5:
        knots = [(x, y), (x + away[0, 0], y - 45), (x + 0.6 * away[1, 0], y - 120), (x + away[1, 1], -330)]
    return Lead(pad, snap, tuple((float(a), float(b)) for a, b in knots))


def add_wires(image: FloatArray, leads: tuple[Lead, ...], pose: Pose) -> None:
    """Add the wires' line integrals to an image in place. image: (rows, columns)."""
    if not leads:
        return
    layer = np.zeros(image.shape, np.uint8)
    for lead in leads:
        cells = pose.to_px(open_curve(np.array(lead.wire), 24)) - 0.5
        width = max(1, round(1.3 / pose.spacing_mm))
        cv2.polylines(layer, [fixed(cells)], False, 130, width, cv2.LINE_AA, 4)
        cv2.polylines(layer, [fixed(cells)], False, 75, max(1, round(0.4 / pose.spacing_mm)), cv2.LINE_AA, 4)
    image += layer.astype(np.float32) / np.float32(_WIRE_UNIT)
