"""Small files in the forms that data sets are published in, and the cohorts that come of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radvit.data.cache import load_cohort
from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Labelled, Source
from radvit.deid.burned_in import BurnedIn, Mode
from radvit.deid.pseudonym import Pseudonymizer

Read = Callable[[Source], dict[str, Labelled]]


@pytest.fixture(scope="session")
def loader() -> Loader:
    return Loader(Pseudonymizer(b"k" * 32), burned_in=BurnedIn(Mode.OFF))


@pytest.fixture(scope="session")
def write_picture() -> Callable[..., Path]:
    """Write a picture of noise, of a seed and (rows, columns), in the format that its name says."""

    def write(path: Path, seed: int = 0, shape: tuple[int, ...] = (24, 32)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def write_lines() -> Callable[..., Path]:
    """Write lines of text; line ends as Windows has them, as in most published CSV files."""

    def write(path: Path, lines: Iterable[str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\r\n")
        return path

    return write


@pytest.fixture
def cohort_of(tmp_path: Path) -> Callable[[Source], Cohort]:
    """The cohort of a source, through the cache, in this process."""

    def build(source: Source) -> Cohort:
        return load_cohort(source, Preprocess(32), tmp_path / "cache", 0)

    return build


@pytest.fixture
def boxes_of() -> Callable[[Sample], list[tuple[int, tuple[float, ...]]]]:
    """Class and box of each lesion of a sample."""
    return lambda sample: [(lesion.label, lesion.box_px) for lesion in sample.lesions]
