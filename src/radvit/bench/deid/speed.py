"""Files a second on one core: large uncompressed radiographs, read to written and searched again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from radvit.bench.deid.people import Rng, da, draw_subject, draw_visits, make_uid
from radvit.bench.deid.tool import scrubber
from radvit.bench.machine import one_thread

ROWS, COLUMNS = 2140, 1760
_FILES = 6  # of a pass
_BITS = 12


@dataclass(frozen=True, slots=True)
class Rate:
    """One way to copy the files: the median over the passes, files a second, and over the plain copy's."""

    what: str
    files_per_s: float
    ratio: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def rates(folder: Path, passes: int, seed: int) -> list[Rate]:
    """Measure radvit with and without search for burned-in text, and pydicom's plain copy, in turn.

    folder: to work in. passes: over the same files; one more, the first, warms up. The disk's cache is warm, and what
    is written is removed by the next pass.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = radiographs(folder / "original", seed)
    ways = (
        ("radvit", _radvit(folder / "plain", search_pixels=False)),
        ("radvit, pixels searched", _radvit(folder / "searched", search_pixels=True)),
        ("pydicom: dcmread, save_as", _copy(folder / "copied")),
    )
    with one_thread():
        seconds = np.array([_pass([way for _, way in ways], files) for _ in range(passes + 1)][1:])  # (passes, ways)
    medians = [float(np.median(column)) for column in seconds.T]
    return [
        Rate(name, len(files) / median, medians[-1] / median) for (name, _), median in zip(ways, medians, strict=True)
    ]


def _pass(ways: Sequence[Callable[[Path], object]], files: Sequence[Path]) -> list[float]:
    """Seconds of each way for all files; each file goes through all ways in turn."""
    seconds = [0.0] * len(ways)
    for file in files:
        for place, way in enumerate(ways):
            started = time.perf_counter()
            way(file)
            seconds[place] += time.perf_counter() - started
    return seconds


def _radvit(folder: Path, search_pixels: bool) -> Callable[[Path], object]:
    work = scrubber(search_pixels)
    return lambda file: work.write(file, folder)


def _copy(folder: Path) -> Callable[[Path], object]:
    folder.mkdir(parents=True, exist_ok=True)
    return lambda file: pydicom.dcmread(file).save_as(folder / file.name)


def radiographs(folder: Path, seed: int) -> list[Path]:
    """Uncompressed CRs of 16 bits a pixel, each of another patient."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    files = []
    for number in range(_FILES):
        path = folder / f"{number}.dcm"
        _radiograph(rng, seed, number).save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def _radiograph(rng: Rng, seed: int, number: int) -> Dataset:
    subject = draw_subject(rng, number)
    (visit,) = draw_visits(rng, seed, subject, 1)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = subject.character_set
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, make_uid("speed", seed, number)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = visit.uid, make_uid("speed series", seed, number)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = subject.name, subject.id, da(subject.birth)
    dataset.StudyDate, dataset.StudyTime, dataset.Modality = da(visit.date), visit.time, "CR"
    dataset.StudyDescription = f"XR CHEST {subject.family}"
    dataset.ReferringPhysicianName, dataset.AccessionNumber = visit.referring, visit.accession
    dataset.InstitutionName, dataset.Manufacturer = subject.institution.name, "RADVIT"
    _pixels(dataset, rng)
    return dataset


def _pixels(dataset: Dataset, rng: Rng) -> None:
    """A chest-like shadow with grain (PS3.3 C.7.6.3)."""
    y, x = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    shadow = 0.2 + 0.5 * np.exp(-2 * (x**2 + y**2)) + 0.01 * rng.standard_normal((ROWS, COLUMNS))
    stored = np.clip((2**_BITS - 1) * shadow, 0, 2**_BITS - 1).astype("<u2")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, _BITS, _BITS - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
