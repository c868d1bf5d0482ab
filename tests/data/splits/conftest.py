"""Samples of made-up patients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from radvit.data.preprocess import Placement
from radvit.data.samples import Sample
from radvit.records import Geometry, Header


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    """An image of a patient, by their numbers; further fields are the header's."""

    def make(number: int, whose: int, targets: tuple[float, ...] = (0.0,), **header: Any) -> Sample:
        given = {"patient": f"P-{whose}", "study": "2.25.1", "series": "2.25.2", "image": f"2.25.3{number:03d}"}
        filled = given | {"modality": "DX"} | header
        return Sample(Header(**filled), Geometry(8, 8), Placement(1, 0, 0), targets)

    return make
