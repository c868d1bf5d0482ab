"""Pictures for tests, and what a refusal must look like."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from radvit.data.pictures import read_picture
from radvit.dicom.limits import Limits
from radvit.dicom.pixels import decode
from radvit.errors import DicomReadError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
GREY16 = GREY.astype(np.uint16) * 257 + 3
COLOUR = np.stack([GREY, GREY // 2, 255 - GREY], -1)
VOLUME = np.arange(-60, 60, dtype=np.int16).reshape(4, 5, 6)  # z, y, x


def pil(path, pixels, mode=None, **options):
    Image.fromarray(pixels, mode).save(path, **options)
    return path


def volume(
    path, values=VOLUME, spacing=(0.5, 0.7, 2.0), origin=(1, 2, 3), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1), **options
):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path), **options)
    return path


def values_of(dataset):
    """What the pixels mean, through the same rescale that all DICOM takes."""
    stored = decode(dataset)
    return stored * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))


def refused(path, *reasons, limits=Limits()):  # noqa: B008
    with pytest.raises(DicomReadError) as error:
        read_picture(path, limits)
    assert error.value.reason in reasons, (error.value.reason, str(error.value))
    return str(error.value)
