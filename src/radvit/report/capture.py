"""A pictured image with its findings drawn in, as a DICOM Secondary Capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radvit.errors import GeometryError
from radvit.report.build import Report
from radvit.report.dicom_header import (
    MANUFACTURER,
    SHORT_TEXT,
    clean,
    code_string,
    coded,
    new_object,
    orientation,
    source_of,
    to_bytes,
)
from radvit.report.wording import words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pydicom import Dataset

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
UNPAIRED = frozenset(("CHEST", "ABDOMEN", "PELVIS", "HEAD", "SKULL", "NECK", "SPINE"))
MOST_PX = 65535  # Rows and Columns are 16-bit


def to_capture(report: Report, image_number: int, canvas: npt.NDArray[np.uint8], language: str = "en") -> bytes:
    """A Secondary Capture of one image of the report.

    image_number: of the report's image. canvas: (rows, columns, 3) uint8, BGR, as `Drawing.bgr` gives it; the file
    holds it in RGB, uncompressed. Its pixels aren't the detector's any more, so no spacing is stated.
    Raises DataError where the report has no such image, GeometryError where the canvas has another shape or type.
    Source: DICOM PS3.3 A.8.1, C.8.6.
    """
    if (
        canvas.ndim != 3
        or canvas.shape[2] != 3
        or canvas.dtype != "uint8"
        or not 0 < min(canvas.shape) <= max(canvas.shape) <= MOST_PX
    ):
        raise GeometryError(f"canvas of {canvas.dtype} {canvas.shape}; expected uint8 (rows, columns, 3)")
    dataset = new_object(report, SOP_CLASS, f"capture {language}", image_number)
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"
    dataset.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    _image(dataset, report, image_number, language)
    _pixels(dataset, canvas)
    return to_bytes(dataset)


def _image(dataset: Dataset, report: Report, number: int, language: str) -> None:
    """General Image (PS3.3 C.7.6.1).

    BurnedInAnnotation is about annotation "to identify the patient and date the image was acquired": boxes, numbers
    and confidences don't, and what text the original had was looked for when it was de-identified, so it is NO.
    """
    w = words(language)
    source = source_of(report, number).reference()
    image = next(image for image in report.images if image.number == number)
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = orientation(image)
    if part := code_string(image.header.body_part):
        dataset.BodyPartExamined = part
    if part not in UNPAIRED:
        dataset.Laterality = ""  # of a part that may be paired, it must be stated or left empty (PS3.3 C.7.3.1)
    dataset.BurnedInAnnotation = "NO"
    dataset.DerivationDescription = clean(w["image.alt"].format(n=number), SHORT_TEXT)
    dataset.ImageComments = clean(w["research"], SHORT_TEXT)
    purpose = coded("121322", "DCM", "Source image for image processing operation")
    source.PurposeOfReferenceCodeSequence = [purpose]
    dataset.SourceImageSequence = [source]


def _pixels(dataset: Dataset, canvas: npt.NDArray[np.uint8]) -> None:
    """Image Pixel (PS3.3 C.7.6.3): RGB, colour by pixel, an even number of bytes."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = canvas.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    stored = canvas[..., ::-1].tobytes()
    dataset.PixelData = stored + b"\0" * (len(stored) % 2)
