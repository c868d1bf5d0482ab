from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import Dataset, dcmread

from radvit.deid.scrub import scrub
from radvit.dicom.colour import as_grey
from radvit.dicom.copying import changed
from radvit.dicom.pixels import to_grey
from radvit.errors import DicomReadError

FILES = Path(pydicom.data.__file__).parent / "test_files"
WEIGHTS = np.array([299, 587, 114])  # of R, G, B in the luminance, in thousandths (BT.601)


def rgb_dataset(make, rgb, photometric="RGB", planar=0, **attributes):
    """A colour data set from (frames, rows, columns, 3) or (rows, columns, 3)."""
    frames = rgb if rgb.ndim == 4 else rgb[None]
    dataset = make(frames[..., 0], SamplesPerPixel=3, PhotometricInterpretation=photometric, **attributes)
    stored = frames.transpose(0, 3, 1, 2) if planar else frames
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    dataset.PlanarConfiguration = planar
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    return dataset


def grey_rgb(dtype=np.uint8, frames=1, seed=0):
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (frames, 6, 8), endpoint=True)
    return np.repeat(values.astype(dtype)[..., None], 3, axis=-1)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_equal_channels_become_their_value(grey_dataset, planar, big_endian, frames, dtype):
    rgb = grey_rgb(dtype, frames)
    grey = as_grey(rgb_dataset(grey_dataset, rgb, planar=planar, big_endian=big_endian))
    assert grey.PhotometricInterpretation == "MONOCHROME2"
    top = np.iinfo(dtype).max
    for (pixels, words), frame in zip(to_grey(grey), rgb, strict=True):
        np.testing.assert_allclose(pixels, frame[..., 0] / top, atol=1e-6)
        assert words.startswith("window LINEAR_EXACT")


def test_a_coloured_mark_is_read_by_its_luminance(grey_dataset):
    rgb = np.full((20, 20, 3), 50, np.uint8)
    rgb[3, 4], rgb[7, 7], rgb[0, 0] = (255, 0, 0), (10, 200, 30), (60, 50, 55)
    grey = as_grey(rgb_dataset(grey_dataset, rgb))
    stored = np.frombuffer(grey.PixelData, np.uint8).reshape(20, 20)
    assert [int(stored[at]) for at in ((3, 4), (7, 7), (0, 0), (1, 1))] == [76, 124, 54, 50]


def test_more_than_a_mark_is_refused(grey_dataset):
    rgb = np.full((20, 20, 3), 50, np.uint8)
    rgb[:5, :, 0] = 250
    with pytest.raises(DicomReadError, match="25 % of the pixels are coloured") as caught:
        as_grey(rgb_dataset(grey_dataset, rgb))
    assert caught.value.reason == "not-grayscale"


def test_slight_tints_of_a_codec_are_no_colour(grey_dataset):
    rgb = grey_rgb().astype(int) // 2 + 60
    tinted = (rgb + np.random.default_rng(1).integers(-7, 8, rgb.shape)).astype(np.uint8)
    stored = np.frombuffer(as_grey(rgb_dataset(grey_dataset, tinted)).PixelData, np.uint8)
    np.testing.assert_allclose(stored, (tinted.reshape(-1, 3) @ WEIGHTS) / 1000, atol=0.5)


def test_the_y_of_ybr_is_the_luminance(grey_dataset):
    ybr = np.full((1, 4, 6, 3), 128, np.uint8)
    ybr[..., 0] = np.arange(24).reshape(4, 6) * 10
    grey = as_grey(rgb_dataset(grey_dataset, ybr, "YBR_FULL"))
    np.testing.assert_array_equal(np.frombuffer(grey.PixelData, np.uint8), ybr[..., 0].ravel())
    ybr[..., 2] = 140  # R - Y = 17, more than a sixteenth
    with pytest.raises(DicomReadError, match="100 % of the pixels"):
        as_grey(rgb_dataset(grey_dataset, ybr, "YBR_FULL"))


def test_ybr_422_is_unpacked(grey_dataset):
    luminance = np.arange(24, dtype=np.uint8).reshape(4, 6)
    pairs = np.full((12, 4), 128, np.uint8)  # Y1 Y2 Cb Cr, PS3.3 C.7.6.3.1.2
    pairs[:, :2] = luminance.reshape(-1, 2)
    dataset = rgb_dataset(grey_dataset, np.zeros((4, 6, 3), np.uint8), "YBR_FULL_422")
    dataset.PixelData = pairs.tobytes()
    np.testing.assert_array_equal(np.frombuffer(as_grey(dataset).PixelData, np.uint8), luminance.ravel())


def palette(dataset, red, green, blue, first=0, bits=16):
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for name, entries in (("Red", red), ("Green", green), ("Blue", blue)):
        descriptor = [len(entries), first, bits]
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", descriptor)
        setattr(dataset, f"{name}PaletteColorLookupTableData", np.asarray(entries, "<u2").tobytes())
    return dataset


def test_a_grey_palette_is_looked_up(grey_dataset):
    indices = np.array([[0, 1, 2, 3], [4, 4, 9, 255]], np.uint8)
    grey = as_grey(palette(grey_dataset(indices), *[[1000, 2000, 3000]] * 3, first=2))
    # Below the first entry the first, above the last the last (PS3.3 C.7.6.3.1.5).
    expected = np.array([[1000, 1000, 1000, 2000], [3000] * 4]) / 65535
    np.testing.assert_allclose(to_grey(grey)[0][0], expected, atol=1e-6)


def test_a_colour_palette_is_refused(grey_dataset):
    with pytest.raises(DicomReadError, match="50 % of the pixels"):
        as_grey(palette(grey_dataset(np.array([[0, 1]], np.uint8)), [0, 60000], [0, 100], [0, 100]))


def test_a_broken_palette_is_refused(grey_dataset):
    dataset = palette(grey_dataset(np.zeros((2, 2), np.uint8)), [1], [1], [1])
    del dataset.RedPaletteColorLookupTableData
    with pytest.raises(DicomReadError) as caught:
        as_grey(dataset)
    assert caught.value.reason == "decode-failed"


@pytest.mark.parametrize("photometric", ["HSV", "YBR_PARTIAL_422", "CMYK"])
def test_other_colour_models_are_refused(grey_dataset, photometric):
    with pytest.raises(DicomReadError, match="colour model") as caught:
        as_grey(rgb_dataset(grey_dataset, grey_rgb(), photometric))
    assert caught.value.reason == "not-grayscale"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_is_given_back_itself(grey_dataset, photometric):
    dataset = grey_dataset(np.zeros((2, 3), np.uint8), PhotometricInterpretation=photometric)
    assert as_grey(dataset) is dataset


def test_what_maps_grey_values_is_not_applied_to_a_luminance(grey_dataset):
    group, voi = Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = 1, 2
    group.FrameVOILUTSequence = [voi]
    rgb = grey_rgb()
    dataset = rgb_dataset(grey_dataset, rgb, WindowCenter=3, WindowWidth=4, RescaleSlope=2, RescaleIntercept=5)
    dataset.PixelPaddingValue, dataset.PresentationLUTShape = 0, "INVERSE"
    dataset.SharedFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence = [group]
    ((pixels, _),) = to_grey(as_grey(dataset))
    np.testing.assert_allclose(pixels, rgb[0, ..., 0] / 255, atol=1e-6)


def test_the_input_stays_as_it_is(grey_dataset):
    dataset = rgb_dataset(grey_dataset, grey_rgb(), WindowCenter=3, WindowWidth=4)
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    before, meta = dataset.to_json(), dataset.file_meta.to_json()
    as_grey(dataset)
    assert dataset.to_json() == before
    assert dataset.file_meta.to_json() == meta


def test_compressed_colour_and_its_uncompressed_twin(pseudonymizer):
    ((pixels, _),) = to_grey(scrub(as_grey(dcmread(FILES / "SC_rgb_jpeg.dcm")), pseudonymizer))
    ((twin, _),) = to_grey(as_grey(dcmread(FILES / "SC_rgb_jpeg_dcmd.dcm")))
    np.testing.assert_allclose(pixels, twin, atol=0.02)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_jls_lossy_line.dcm"])
def test_compressed_colour_is_seen(name):
    with pytest.raises(DicomReadError, match="60 % of the pixels"):
        as_grey(dcmread(FILES / name))


def test_a_name_beyond_ascii_gives_the_same_pseudonym(grey_dataset, pseudonymizer, tmp_path):
    dataset = rgb_dataset(grey_dataset, grey_rgb(), SpecificCharacterSet="ISO_IR 192", PatientID="Zoë 7")
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    direct = scrub(dcmread(tmp_path / "a.dcm"), pseudonymizer).PatientID
    assert scrub(as_grey(dcmread(tmp_path / "a.dcm")), pseudonymizer).PatientID == direct
    assert scrub(changed(dcmread(tmp_path / "a.dcm")), pseudonymizer).PatientID == direct
