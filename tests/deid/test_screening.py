import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from radvit.deid.screening import captured_as, is_flagged

NOISE = np.random.default_rng(0).integers(0, 256, (1, 40, 40)).astype(np.uint8)
WINDOW = np.where(np.arange(40) < 30, 7, NOISE[0])[None].astype(np.uint8)


def header(**attributes):
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("dataset", "stored", "kind"),
    [(header(), NOISE, ""), (header(SOPClassUID=CTImageStorage, Modality="CT"), NOISE, ""),
     (header(Modality="US"), NOISE, "ultrasound"), (header(Modality="IVUS"), NOISE, "ultrasound"),
     (header(SOPClassUID=UltrasoundMultiFrameImageStorage), NOISE, "ultrasound"),
     (header(SOPClassUID=SecondaryCaptureImageStorage), NOISE, "capture"),
     (header(SOPClassUID=SecondaryCaptureImageStorage + ".4"), NOISE, "capture"),
     (header(SOPClassUID=SecondaryCaptureImageStorage + "7.1.1"), NOISE, ""),
     (header(ConversionType="DF"), NOISE, "capture"), (header(ConversionType="odd"), NOISE, ""),
     (header(ImageType=["DERIVED", "PRIMARY", "SCREEN SAVE"]), NOISE, "screenshot"),
     (header(ImageType=["DERIVED", "SECONDARY"]), NOISE, ""),
     (header(ImageType=["DERIVED", "SECONDARY"]), WINDOW, "screenshot"),
     (header(ImageType=["ORIGINAL", "PRIMARY"]), WINDOW, ""),
     (header(ImageType=["DERIVED", "SECONDARY"]), WINDOW.astype(np.uint16), "")],
)  # fmt: skip
def test_what_kind_of_image_it_is(dataset, stored, kind):
    assert captured_as(dataset, stored) == kind


@pytest.mark.parametrize(
    ("value", "flagged"), [("YES", True), ("yes", True), ("NO", False), ("", False), (None, False)]
)
def test_flagged(value, flagged):
    assert is_flagged(header(BurnedInAnnotation=value)) == flagged
