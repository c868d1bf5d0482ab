"""Write radiographs as DICOM: plain records in, a valid CR or DX file out.

Modules follow PS3.3 A.2 (CR Image) and A.26 (Digital X-Ray Image - For Presentation). The records hold identity on
purpose: they are for invented patients, so that de-identification has something to remove.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, config
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from radvit.dicom.write_modules import dx_modules, patient_modules, study_modules
from radvit.dicom.written import Capture, Coding, Person, Visit
from radvit.errors import DataError

IMPLEMENTATION_UID = "2.25.104563208219870311862110953475215908221"
SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg2000": JPEG2000Lossless,
}


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One image to write. stored: (rows, columns) uint16, all below 2 ** coding.bits."""

    person: Person
    visit: Visit
    capture: Capture
    coding: Coding
    stored: npt.NDArray[np.uint16]


def write_radiograph(path: Path, radiograph: Radiograph) -> None:
    """Write one file. Raises DataError where a stored value needs more bits than the coding says."""
    dataset = to_dataset(radiograph)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def to_dataset(radiograph: Radiograph) -> Dataset:
    """The data set of one image, pixel data encoded."""
    coding, capture = radiograph.coding, radiograph.capture
    if int(radiograph.stored.max()) >> coding.bits:
        raise DataError(f"stored value {radiograph.stored.max()}; expected less than 2 ** {coding.bits}")
    dataset = Dataset()
    dataset.file_meta = _file_meta(capture)
    dataset.SpecificCharacterSet = radiograph.person.character_set
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of odd names, which are here on purpose
        patient_modules(dataset, radiograph.person, radiograph.visit)
        study_modules(dataset, radiograph.person, radiograph.visit, capture)
        _image(dataset, capture)
        if capture.kind == "DX":
            dx_modules(dataset, capture)
        _pixels(dataset, coding, radiograph.stored)
        _look(dataset, coding, capture.kind)
        _encode(dataset, coding, radiograph.stored)
    return dataset


def _file_meta(capture: Capture) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = (
        DigitalXRayImageStorageForPresentation if capture.kind == "DX" else ComputedRadiographyImageStorage
    )
    meta.MediaStorageSOPInstanceUID = capture.sop_uid
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "RADVIT_PHANTOM"
    return meta


def _image(dataset: Dataset, capture: Capture) -> None:
    """General Image, SOP Common, and CR Series and Image (PS3.3 C.7.6.1, C.12.1, C.8.1.1, C.8.1.2)."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = capture.sop_uid
    dataset.InstanceNumber = capture.number
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PatientOrientation = ["L", "F"]
    dataset.BurnedInAnnotation = "YES" if capture.burned_in else "NO"
    dataset.LossyImageCompression = "00"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = capture.view
    if capture.comments:
        dataset.ImageComments = capture.comments
    dataset.KVP = capture.kvp
    dataset.DistanceSourceToDetector = capture.source_to_detector_mm
    dataset.ExposureTime = capture.exposure_ms
    dataset.Exposure = capture.exposure_mas
    if capture.kind == "CR":
        dataset.CassetteSize = "35CMX43CM"
        dataset.PlateID = capture.detector_id
    _spacing(dataset, capture)


def _spacing(dataset: Dataset, capture: Capture) -> None:
    """Pixel sizes: at the detector, in the patient, or both (PS3.3 10.7.1)."""
    if capture.imager_mm is not None:
        dataset.ImagerPixelSpacing = [_ds(capture.imager_mm)] * 2
    if capture.patient_mm is not None:
        dataset.PixelSpacing = [_ds(capture.patient_mm)] * 2
        if capture.imager_mm is not None:
            dataset.PixelSpacingCalibrationType = "GEOMETRY"
            dataset.PixelSpacingCalibrationDescription = "Assumed object at isocentre"
    elif capture.kind == "DX":
        dataset.DistanceSourceToPatient = _ds(capture.source_to_detector_mm / capture.magnification)
        dataset.EstimatedRadiographicMagnificationFactor = _ds(capture.magnification)


def _ds(value: float) -> str:
    return f"{value:.6g}"


def _pixels(dataset: Dataset, coding: Coding, stored: npt.NDArray[np.uint16]) -> None:
    """Image Pixel (PS3.3 C.7.6.3)."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = coding.photometric
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, coding.bits, coding.bits - 1
    dataset.PixelRepresentation = 0


def _look(dataset: Dataset, coding: Coding, kind: str) -> None:
    """Modality and VOI (PS3.3 C.11.1, C.11.2); a DX image must also say how its values relate to X-rays (C.8.11.3)."""
    if coding.rescale is not None:
        slope, intercept = coding.rescale
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = _ds(slope), _ds(intercept), "US"
    if coding.windows:
        centers, widths, names = ([_plain(window[i]) for window in coding.windows] for i in range(3))
        dataset.WindowCenter, dataset.WindowWidth = centers, widths
        if all(names):
            dataset.WindowCenterWidthExplanation = names
        if coding.voi_function != "LINEAR":
            dataset.VOILUTFunction = coding.voi_function
    if kind == "DX":
        dark = coding.photometric == "MONOCHROME1"
        dataset.PresentationLUTShape = "INVERSE" if dark else "IDENTITY"
        dataset.PixelIntensityRelationship = "LOG"
        dataset.PixelIntensityRelationshipSign = 1 if dark else -1


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else _ds(value)


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Hold back what OpenJPEG's encoder prints (`tile number 1 / 1`) past Python's own streams."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # the encoder's words wait in C's own buffer
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _encode(dataset: Dataset, coding: Coding, stored: npt.NDArray[np.uint16]) -> None:
    syntax = SYNTAXES[coding.syntax]
    if not syntax.is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
        return
    options: dict[str, Any] = {"encoding_plugin": "pylibjpeg", "generate_instance_uid": False}
    with _unvalidated(), silent_stdout():
        dataset.compress(syntax, stored, **options)


class _unvalidated:  # noqa: N801 - reads as a statement
    """pydicom checks every value again while it compresses: off, as all are ours."""

    def __enter__(self) -> None:
        self._mode = config.settings.writing_validation_mode
        config.settings.writing_validation_mode = config.IGNORE

    def __exit__(self, *error: object) -> None:
        config.settings.writing_validation_mode = self._mode
