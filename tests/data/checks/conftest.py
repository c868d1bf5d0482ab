"""Pictures with structure at every scale, as radiographs have, and what happens to pictures in practice."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from radvit.data.preprocess import Placement
from radvit.data.samples import Cohort, Sample
from radvit.records import FloatArray, Geometry, Header

SIDE = 64


@pytest.fixture(scope="session")
def picture() -> Callable[[int], FloatArray]:
    """Fractal noise under a frame that all pictures share, (64, 64) in [0, 1]."""

    def draw(seed: int) -> FloatArray:
        rng = np.random.default_rng(seed)
        octaves = (cv2.resize(rng.random((n, n), np.float32), (SIDE, SIDE)) * 4 / n for n in (4, 8, 16, 32))
        image = sum(octaves, np.zeros((SIDE, SIDE), np.float32))
        image = 0.1 + 0.7 * (image - image.min()) / np.ptp(image)
        image[:4], image[-4:] = 1, 0
        return np.asarray(image, np.float32)

    return draw


@pytest.fixture(scope="session")
def stacked() -> Callable[..., Cohort]:
    """A cohort of these pictures, (64, 64) each; patients: a number for each, else all are of one's own."""

    def make(pictures: list[FloatArray], patients: list[int] | None = None) -> Cohort:
        who = patients or list(range(len(pictures)))
        headers = [
            Header(f"P-{p:016d}", f"2.25.1{p}", f"2.25.2{p}", f"2.25.3{i:03d}", "DX", "CHEST")
            for i, p in enumerate(who)
        ]
        geometry, placement = Geometry(SIDE, SIDE, (0.2, 0.2)), Placement(1, 0, 0)
        samples = [Sample(header, geometry, placement, (float(i % 2),)) for i, header in enumerate(headers)]
        pixels = np.array(pictures, np.float16).reshape(-1, SIDE, SIDE)
        return Cohort(pixels, tuple(samples), ("nodule",), "made up")

    return make
