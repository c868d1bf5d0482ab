"""How fast images come from the cache, next to decoding their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from radvit.bench.timing import interleaved
from radvit.data.cache import load_cohort
from radvit.data.datamodule import CohortImages
from radvit.data.decoding import Decoder, Failure
from radvit.data.held import HeldPixels
from radvit.data.loader import Loader
from radvit.data.phantom import CohortSpec, write_cohort
from radvit.data.preprocess import Preprocess
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

LABELS = ("nodule",)
MOST = 1 << 32  # bytes; more than any of these cohorts


@dataclass(frozen=True, slots=True)
class LoadingRow:
    """Images a second, one process, medians. ratio: over decoding."""

    how: str
    size: int
    images: int
    images_per_s: float
    ratio: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"part": "loading", **asdict(self)}


def measure(size: int, repeats: int, patients: int = 4) -> list[LoadingRow]:
    """Phantom radiographs to normalised arrays of size x size: decoded each time, and from the cache."""
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        folder = Path(made)
        write_cohort(folder / "phantom", CohortSpec(patients, 0), 0)
        loader = Loader(Pseudonymizer(bytes(32)))  # this key is no secret: nothing that it makes is kept
        source = DicomFolder(folder / "phantom" / "dicom", loader, folder / "phantom" / "truth.json", LABELS)
        return measure_source(source, Preprocess(size), folder / "cache", repeats)


def measure_source(source: DicomFolder, preprocess: Preprocess, folder: Path, repeats: int) -> list[LoadingRow]:
    """The same for the files of a folder. folder: where the cache goes. Raises DataError where a file can't be read."""
    cohort = load_cohort(source, preprocess, folder, 0)
    everything = range(len(cohort))
    held, mapped = (
        CohortImages(cohort, everything, preprocess, HeldPixels(cohort, everything, most)) for most in (MOST, 0)
    )
    decoder = Decoder(source, preprocess)

    def decode() -> None:
        for index in range(len(source)):
            found = decoder(index)
            if isinstance(found, Failure):
                raise DataError(f"file {index} of {source.name} can't be read: {found.reason}")
            for one in found:
                preprocess.normalise(one.pixels)

    calls: list[Callable[[], object]] = [
        decode,
        lambda: [held[i] for i in everything],
        lambda: [mapped[i] for i in everything],
    ]
    medians = [float(np.median(one)) for one in interleaved(calls, repeats)]
    names = ("decoded", "cached, in memory", "cached, mapped from disk")
    return [
        LoadingRow(name, preprocess.size, len(cohort), len(cohort) / one, medians[0] / one)
        for name, one in zip(names, medians, strict=True)
    ]
