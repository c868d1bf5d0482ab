"""Small radiographs with invented identities, and sources that count how often they are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.sources import Labelled
from radvit.errors import DicomReadError
from radvit.records import Geometry, Header, Image, Lesion

sys.path.insert(0, str(Path(__file__).parent))  # for files here that are no tests and are imported by name

FAMILY_NAME = "Quellmalz-Ibarra"
PATIENT_ID = "MRN-7741-83"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


MakeCohort = Callable[..., Cohort]


@pytest.fixture(scope="session")
def write_radiograph() -> Callable[..., str]:
    return _write_radiograph


@pytest.fixture(scope="session")
def write_truth() -> Callable[..., Path]:
    return _write_truth


@pytest.fixture(scope="session")
def make_cohort() -> MakeCohort:
    return _make_cohort


@pytest.fixture(scope="session")
def identity() -> tuple[bytes, ...]:
    """What must never be found on disk."""
    return FAMILY_NAME.encode(), PATIENT_ID.encode(), b"1.2.826.0.1.3680043", b"20200229", b"2020-02-29"


def _write_radiograph(
    path: Path, number: int, patient: int = 0, frames: int = 1, shape: tuple[int, int] = (80, 64)
) -> str:
    """Write a made-up radiograph. Returns its original SOPInstanceUID."""
    uid = f"1.2.826.0.1.3680043.8.498.{number + 1}"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, DX
    meta.MediaStorageSOPInstanceUID = uid
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = DX, uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{uid}.7", f"{uid}.8"
    ds.PatientName, ds.PatientID = f"{FAMILY_NAME}^Ada", f"{PATIENT_ID}-{patient}"
    ds.Modality, ds.BodyPartExamined, ds.StudyDate = "DX", "CHEST", "20200229"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.Rows, ds.Columns = shape
    if frames > 1:
        ds.NumberOfFrames = frames
    values = np.random.default_rng(number).integers(0, 4096, (frames, *shape), dtype=np.uint16)
    ds.PixelData = values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return uid


def _write_truth(path: Path, uids: list[str], boxes: list[list[list[float]]], **image: int) -> Path:
    """Write COCO boxes: boxes[i] are [x, y, w, h] of image i."""
    flat = [(i, box) for i, of_image in enumerate(boxes) for box in of_image]
    record = {
        "images": [{"id": i, "sop_instance_uid": uid, **image} for i, uid in enumerate(uids)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 4, "bbox": box, "size_mm": 9.5} for n, (i, box) in enumerate(flat)
        ],
        "categories": [{"id": 3, "name": "mass"}, {"id": 4, "name": "nodule"}],
    }
    path.write_text(json.dumps(record))
    return path


def _header(number: int, patient: int | None = None, frame: int = 0) -> Header:
    who = number if patient is None else patient
    return Header(f"P-{who:016d}", f"2.25.1{number}", f"2.25.2{number}", f"2.25.3{number}", "DX", "CHEST", frame=frame)


@dataclass
class CountingSource:
    """Items of made-up pixels; notes each reading in a folder, so that readings in other processes count too."""

    notes: Path
    count: int = 12
    bad: tuple[int, ...] = ()
    seed: int = 0
    labels: tuple[str, ...] = ("nodule",)
    light: bool = False
    name: str = "made up"
    official: dict[str, tuple[int, ...]] | None = field(default=None)

    def fingerprint(self) -> str:
        return f"{self.count}/{self.seed}"

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> list[Labelled]:
        with (self.notes / f"{index}").open("a") as file:
            file.write("x")
        if index in self.bad:
            raise DicomReadError("not-grayscale", f"{FAMILY_NAME} has a colour image")
        pixels = np.random.default_rng([self.seed, index]).random((20, 16), np.float32)
        positive = index % 3 == 0
        lesions = (Lesion((2.0, 3.0, 8.0, 9.0), 0, 5.0),) if positive else ()
        return [Labelled(Image(pixels, Geometry(20, 16), _header(index)), (float(positive),), lesions)]

    def readings(self) -> int:
        return sum(len(note.read_text()) for note in self.notes.iterdir())


@pytest.fixture
def source(tmp_path: Path) -> CountingSource:
    notes = tmp_path / "notes"
    notes.mkdir()
    return CountingSource(notes)


def _make_cohort(patients: list[int], size: int = 32, positive: list[bool] | None = None) -> Cohort:
    """A cohort with one image for each entry of patients; positives have a bright square with a box."""
    positive = positive or [i % 2 == 0 for i in range(len(patients))]
    fitting = Preprocess(size)
    pixels, samples = [], []
    for number, (patient, has) in enumerate(zip(patients, positive, strict=True)):
        image = np.random.default_rng(number).random((40, 30), np.float32) * 0.3
        lesions = (Lesion((10.0, 12.0, 18.0, 20.0), 0, 4.0),) if has else ()
        if has:
            image[12:20, 10:18] = 1
        square, placement = fitting.apply(image)
        pixels.append(square)
        samples.append(Sample(_header(number, patient), Geometry(40, 30), placement, (float(has),), lesions))
    stack = np.array(pixels, np.float16).reshape(-1, size, size)
    return Cohort(stack, tuple(samples), ("nodule",), "made up")
