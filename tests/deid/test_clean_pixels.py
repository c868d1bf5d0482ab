import cv2
import numpy as np
import pytest
from pydicom import Dataset

from radvit.deid.burned_in import FOR_RELEASE, BurnedIn, Mode
from radvit.deid.clean_pixels import clean_samples, describe
from radvit.errors import DicomReadError, QuarantineError

SHAPE = 240, 400


def background():
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (60 + 30 * np.sin(columns / 60) + 20 * np.cos(rows / 45)).astype(np.uint8)


def lettered(plane):
    return cv2.putText(plane.copy(), "VANTRELLIS 4711", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)


def coloured(grey_dataset, samples, photometric="RGB", planar=0):
    dataset = grey_dataset(samples[..., 0])
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, planar
    dataset.PixelData = (np.moveaxis(samples, -1, 0) if planar else samples).tobytes()
    return dataset


@pytest.mark.parametrize("planar", [0, 1])
def test_text_in_colour_goes_from_every_channel(grey_dataset, planar):
    plain = np.stack([background(), background() + 40, 255 - background()], axis=-1)
    samples = np.stack([lettered(plain[..., channel]) for channel in range(3)], axis=-1)
    before = samples.copy()
    cleaned = clean_samples(coloured(grey_dataset, samples, planar=planar), FOR_RELEASE)
    assert (cleaned.model, cleaned.searched, cleaned.samples.shape) == ("RGB", True, (1, *samples.shape))
    assert cleaned.blanked >= 1
    ink = (samples != plain).any(axis=-1)
    assert (cleaned.samples[0][ink] != samples[ink]).any(axis=-1).mean() > 0.99
    far = np.ones(SHAPE, bool)
    far[:60] = False
    np.testing.assert_array_equal(cleaned.samples[0][far], samples[far])
    np.testing.assert_array_equal(samples, before)


def test_grey_is_searched_and_told(grey_dataset):
    cleaned = clean_samples(grey_dataset(lettered(background())), BurnedIn(Mode.ALWAYS))
    assert (cleaned.model, cleaned.searched) == ("MONOCHROME2", True)
    assert cleaned.blanked >= 1
    assert cleaned.samples[0, :50, :, 0].max() < 255


def test_where_it_is_off_nothing_is_searched_or_changed(grey_dataset):
    stored = lettered(background())
    cleaned = clean_samples(grey_dataset(stored, BurnedInAnnotation="YES"), BurnedIn(Mode.OFF))
    assert (cleaned.searched, cleaned.blanked, cleaned.allowed) == (False, 0, 0)
    np.testing.assert_array_equal(cleaned.samples[0, ..., 0], stored)


def test_what_must_hold_text_and_does_not_is_refused(grey_dataset):
    with pytest.raises(QuarantineError, match="BurnedInAnnotation YES") as caught:
        clean_samples(grey_dataset(background(), BurnedInAnnotation="YES"), FOR_RELEASE)
    assert caught.value.reason == "burned-in"


def test_a_colour_model_that_is_not_read_is_refused(grey_dataset):
    samples = np.zeros((*SHAPE, 3), np.uint8)
    with pytest.raises(DicomReadError, match="a colour model that isn't read"):
        clean_samples(coloured(grey_dataset, samples, "YBR_RCT"), BurnedIn(Mode.OFF))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_the_description_fits_what_is_written(grey_dataset, dtype):
    stored = np.arange(12).reshape(3, 4).astype(dtype)
    bits = 8 * stored.itemsize
    original = grey_dataset(stored, BitsStored=bits - 2, HighBit=bits - 3)
    safe = Dataset()
    safe.file_meta = Dataset()
    pixels = describe(safe, original, clean_samples(original, BurnedIn(Mode.OFF)))
    assert (safe.BitsAllocated, safe.HighBit) == (bits, bits - 3)
    assert pixels.dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(pixels[0, ..., 0], stored)
