from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut, apply_windowing, pixel_array

from radvit.deid.scrub import scrub
from radvit.dicom.coding import Coding
from radvit.dicom.pixels import decode, to_grey
from radvit.dicom.read import read
from radvit.errors import DicomReadError

FILES = Path(pydicom.data.__file__).parent / "test_files"


def bundled(name):
    return FILES / name


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_whole_pipeline_against_a_slow_loop(grey_dataset, slow_window, dtype, function, photometric):
    rng = np.random.default_rng(0)
    pixels = rng.integers(-100 if np.dtype(dtype).kind == "i" else 0, 120, (5, 7)).astype(dtype)
    dataset = grey_dataset(
        pixels,
        RescaleSlope="2.5",
        RescaleIntercept="-30",
        WindowCenter="60",
        WindowWidth="90",
        VOILUTFunction=function,
        PhotometricInterpretation=photometric,
    )
    ((grey, words),) = to_grey(dataset)
    expected = np.array([[slow_window(2.5 * float(v) - 30, 60, 90, function) for v in row] for row in pixels])
    expected = 1 - expected if photometric == "MONOCHROME1" else expected
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, expected, atol=1e-6)
    assert words == f"window {function}, center 60, width 90"


@pytest.mark.parametrize("name", ["693_J2KI.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm"])
def test_agrees_with_pydicoms_own_windowing(name):
    dataset = read(bundled(name))
    reference = apply_windowing(apply_modality_lut(pixel_array(dataset), dataset), dataset)
    low, high = (apply_windowing(np.array([edge]), dataset)[0] for edge in (-1e9, 1e9))
    ((grey, _),) = to_grey(dataset)
    np.testing.assert_allclose(grey, (reference - low) / (high - low), atol=1e-5)


def test_byte_orders_and_codecs_give_the_same_pixels():
    frames = [
        to_grey(read(bundled(name)))[0][0] for name in ("MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm")
    ]
    np.testing.assert_array_equal(frames[0], frames[1])
    np.testing.assert_array_equal(frames[0], frames[2])


@pytest.mark.parametrize("representation", [0, 1])
def test_junk_above_the_stored_bits_is_ignored(grey_dataset, slow_window, representation):
    values = np.array([[0, 5, 100, 1023]], np.uint16)
    window = {
        "WindowCenter": 0,
        "WindowWidth": 1200,
        "BitsStored": 10,
        "HighBit": 9,
        "PixelRepresentation": representation,
    }
    clean, junk = (to_grey(grey_dataset(v, **window))[0][0] for v in (values, values | 0xA400))
    np.testing.assert_array_equal(clean, junk)
    signed = np.where(values > 511, values.astype(int) - 1024, values) if representation else values.astype(int)
    expected = [[slow_window(float(v), 0, 1200, "LINEAR") for v in signed[0]]]
    np.testing.assert_allclose(clean, expected, atol=1e-6)


def test_high_bit_above_the_low_bits_shifts(grey_dataset):
    values = np.array([[1, 2, 900]], np.uint16)
    window = {"WindowCenter": 512, "WindowWidth": 1024, "BitsStored": 10}
    low = to_grey(grey_dataset(values, HighBit=9, **window))[0][0]
    high = to_grey(grey_dataset(values << 6 | 0b11, HighBit=15, **window))[0][0]
    np.testing.assert_array_equal(low, high)


def lut(entries, first=0, bits=8):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return [item]


def test_modality_and_voi_tables(grey_dataset):
    pixels = np.array([[0, 9, 10, 11, 12, 200]], np.uint8)
    dataset = grey_dataset(
        pixels, ModalityLUTSequence=lut([100, 50, 0], first=10), VOILUTSequence=lut([255, 51], first=50)
    )
    ((grey, words),) = to_grey(dataset)
    # modality: below the first entry 100, then 100, 50, 0 and 0 above; VOI: 50 and less to 255, above to 51, of 255
    np.testing.assert_allclose(grey, [[0.2, 0.2, 0.2, 1, 1, 1]], atol=1e-6)
    assert words == "VOI look-up table"


def test_tables_of_bytes_of_lists_and_of_a_negative_first_value(grey_dataset):
    pixels = np.array([[-3, -2, -1, 0]], np.int16)
    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [3, -2, 8])
    item.add_new("LUTData", "US", [0, 102, 255])
    ((grey, _),) = to_grey(grey_dataset(pixels, VOILUTSequence=[item]))
    np.testing.assert_allclose(grey, [[0, 0, 0.4, 1]], atol=1e-6)
    packed = Dataset()
    packed.add_new("LUTDescriptor", "US", [4, 0, 8])
    packed.add_new("LUTData", "OW", bytes([0, 51, 102, 255]))
    ((grey, _),) = to_grey(grey_dataset(np.arange(4, dtype=np.uint8)[None], VOILUTSequence=[packed]))
    np.testing.assert_allclose(grey, [[0, 0.2, 0.4, 1]], atol=1e-6)


def test_a_table_shorter_than_it_says_is_refused(grey_dataset):
    broken = lut([1, 2, 3])
    broken[0].LUTDescriptor = [5, 0, 16]
    with pytest.raises(DicomReadError) as caught:
        to_grey(grey_dataset(np.zeros((2, 2), np.uint8), VOILUTSequence=broken))
    assert caught.value.reason == "bad-pixels"


def test_the_first_of_several_windows(grey_dataset):
    dataset = grey_dataset(np.array([[10, 90]], np.uint8), WindowCenter=["50", "20"], WindowWidth=["101", "7"])
    ((grey, words),) = to_grey(dataset)
    assert words == "window LINEAR, center 50, width 101"
    np.testing.assert_allclose(grey, [[0.105, 0.905]], atol=1e-6)


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": 50, "WindowWidth": 0}, {"WindowCenter": 50, "WindowWidth": -4}]
)
def test_percentiles_where_no_window_is_usable(grey_dataset, window):
    pixels = np.arange(1000, dtype=np.uint16).reshape(25, 40)
    ((grey, words),) = to_grey(grey_dataset(pixels, **window))
    assert words == "percentiles 0.5 to 99.5 (4 to 994); the file has no usable window"
    np.testing.assert_allclose(grey, np.clip((pixels - 4.0) / 990, 0, 1), atol=1e-6)


def test_padding_is_left_out_of_the_percentiles(grey_dataset):
    pixels = np.arange(1000, dtype=np.int16).reshape(25, 40)
    padded = pixels.copy()
    padded[:10] = -2000
    padded[10:20, :5] = -1990
    ((_, words),) = to_grey(grey_dataset(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990))
    kept = np.sort(padded[padded > -1990])
    low, high = kept[int(np.ceil(0.005 * len(kept))) - 1], kept[int(np.ceil(0.995 * len(kept))) - 1]
    assert f"({low} to {high})" in words


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_a_flat_image_and_a_single_pixel(grey_dataset, dtype):
    for shape in ((4, 4), (1, 1)):
        ((grey, _),) = to_grey(grey_dataset(np.full(shape, 7, dtype)))
        assert np.isfinite(grey).all()
        assert 0 <= grey.min() <= grey.max() <= 1


def test_every_frame_with_one_window_for_all(grey_dataset):
    pixels = np.stack([np.full((3, 4), level, np.uint8) for level in (0, 100, 200)])
    frames = to_grey(grey_dataset(pixels))
    assert [float(grey.mean()) for grey, _ in frames] == pytest.approx([0, 0.5, 1])


def test_functional_groups_override_frame_by_frame(grey_dataset):
    def group(keyword, **attributes):
        holder, item = Dataset(), Dataset()
        for name, value in attributes.items():
            setattr(item, name, value)
        setattr(holder, keyword, [item])
        return holder

    pixels = np.full((2, 2, 2), 50, np.uint8)
    shared = group("PixelValueTransformationSequence", RescaleSlope=2, RescaleIntercept=0)
    windows = [
        group("FrameVOILUTSequence", WindowCenter=c, WindowWidth=101, VOILUTFunction="LINEAR_EXACT") for c in (100, 150)
    ]
    dataset = grey_dataset(pixels, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=windows)
    (first, _), (second, _) = to_grey(dataset)
    assert first[0, 0] == pytest.approx(0.5)
    assert second[0, 0] == pytest.approx(0.5 - 50 / 101)


def test_the_input_stays_as_it_is(grey_dataset):
    dataset = grey_dataset(
        np.arange(16, dtype=np.uint16).reshape(4, 4), BitsStored=10, HighBit=9, WindowCenter=5, WindowWidth=9
    )
    before, stored = dataset.to_json(), decode(dataset)
    kept = stored.copy()
    to_grey(dataset, stored)
    assert dataset.to_json() == before
    np.testing.assert_array_equal(stored, kept)


def test_broken_compressed_data_is_refused():
    dataset = read(bundled("MR_small_RLE.dcm"))
    dataset.PixelData = dataset.PixelData[:100]
    with pytest.raises(DicomReadError) as caught:
        decode(dataset)
    assert caught.value.reason == "decode-failed"


SHAPES = [
    ("MONOCHROME2", None, False, ""),
    ("MONOCHROME1", None, True, ""),
    ("MONOCHROME2", "IDENTITY", False, ""),
    ("MONOCHROME1", "INVERSE", True, ""),
    ("MONOCHROME2", "INVERSE", True, ", Presentation LUT Shape INVERSE"),
    ("MONOCHROME1", "IDENTITY", False, ", Presentation LUT Shape IDENTITY"),
    ("MONOCHROME1", "LIN OD", True, ""),
]


@pytest.mark.parametrize(("photometric", "shape", "inverted", "said"), SHAPES)
def test_presentation_lut_shape_inverts_once(grey_dataset, photometric, shape, inverted, said):
    dataset = grey_dataset(
        np.array([[0, 64, 255]], np.uint8),
        PhotometricInterpretation=photometric,
        WindowCenter="127.5",
        WindowWidth="255",
        VOILUTFunction="LINEAR_EXACT",
    )
    if shape:
        dataset.PresentationLUTShape = shape
    ((grey, words),) = to_grey(dataset)
    expected = np.array([[0, 64 / 255, 1]])
    np.testing.assert_allclose(grey, 1 - expected if inverted else expected, atol=1e-6)
    assert words == f"window LINEAR_EXACT, center 127.5, width 255{said}"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_presentation_table(grey_dataset, pseudonymizer, photometric):
    dataset = grey_dataset(
        np.array([[0, 85, 170, 255]], np.uint8),
        PhotometricInterpretation=photometric,
        WindowCenter="127.5",
        WindowWidth="255",
        VOILUTFunction="LINEAR_EXACT",
        PresentationLUTSequence=lut([0, 10, 100, 255], first=0),
    )
    ((grey, words),) = to_grey(scrub(dataset, pseudonymizer))
    np.testing.assert_allclose(grey, np.array([[0, 10, 100, 255]]) / 255, atol=1e-6)
    assert words.endswith(", Presentation LUT")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_padding_is_black(grey_dataset, photometric, dtype):
    pixels = np.array([[-2000, -1990, -1995, 0, 100, 50]], dtype)
    dataset = grey_dataset(
        pixels, PhotometricInterpretation=photometric, WindowCenter=50, WindowWidth=100, VOILUTFunction="LINEAR_EXACT"
    )
    mapped = np.array([0, 1, 0.5]) if photometric == "MONOCHROME2" else np.array([1, 0, 0.5])
    below = 0 if photometric == "MONOCHROME2" else 1
    dataset.PixelPaddingValue = -2000
    np.testing.assert_allclose(to_grey(dataset)[0][0], [[0, below, below, *mapped]], atol=1e-6)
    dataset.PixelPaddingRangeLimit = -1991
    np.testing.assert_allclose(to_grey(dataset)[0][0], [[0, below, 0, *mapped]], atol=1e-6)


def test_padding_written_with_the_wrong_sign(grey_dataset):
    dataset = grey_dataset(np.array([[-2000, 0, 100]], np.int16), WindowCenter=50, WindowWidth=101)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    np.testing.assert_allclose(to_grey(dataset)[0][0], [[0, 0.995, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "signed"), [(1, 0), *((bits, signed) for bits in (2, 6, 7, 8, 10, 12, 13, 15, 16) for signed in (0, 1))]
)
def test_every_number_of_bits_stored(grey_dataset, slow_window, bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = np.linspace(low, high, 12).round().astype(np.int64).reshape(3, 4)
    codes = (values & ((1 << bits) - 1)).astype(np.uint16)
    center, width = (low + high) / 2, max(high - low, 1)
    dataset = grey_dataset(
        codes,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=signed,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction="LINEAR_EXACT",
    )
    expected = [[slow_window(float(v), center, width, "LINEAR_EXACT") for v in row] for row in values]
    np.testing.assert_allclose(to_grey(dataset)[0][0], expected, atol=1e-6)


@pytest.mark.parametrize("big_endian", [False, True])
def test_single_bits_are_unpacked(grey_dataset, big_endian):
    """Frames of 3 x 5 bits, which don't end at a byte (PS3.5 8.1.1, 8.2)."""
    bits = np.random.default_rng(0).integers(0, 2, (3, 3, 5), dtype=np.uint8)
    dataset = grey_dataset(bits, big_endian, BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset["PixelData"].VR = "OB"
    frames = to_grey(dataset)
    np.testing.assert_array_equal(np.stack([grey for grey, _ in frames]), bits)


def test_a_table_whose_first_value_was_read_unsigned(grey_dataset):
    pixels = np.array([[0, 1022, 1023, 1024, 1025, 4000]], np.uint16)
    item = lut([0, 51, 102, 255], first=65534)[0]  # -2
    dataset = grey_dataset(pixels, RescaleSlope=1, RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    dataset.VOILUTSequence = [item]
    ((grey, _),) = to_grey(dataset)
    np.testing.assert_allclose(grey, [[0, 0, 0.2, 0.4, 1, 1]], atol=1e-6)
    high = grey_dataset(np.array([[40000, 40001]], np.uint16), VOILUTSequence=lut([0, 255], first=40000))
    np.testing.assert_array_equal(to_grey(high)[0][0], [[0, 1]])


def test_frames_of_different_slopes_share_a_percentile_window(grey_dataset):
    def rescaled(slope):
        holder, item = Dataset(), Dataset()
        item.RescaleSlope, item.RescaleIntercept = slope, 0
        holder.PixelValueTransformationSequence = [item]
        return holder

    pixels = np.stack([np.full((10, 10), 100, np.uint16), np.full((10, 10), 100, np.uint16)])
    dataset = grey_dataset(pixels, PerFrameFunctionalGroupsSequence=[rescaled(1), rescaled(3)])
    (first, said), (second, also) = to_grey(dataset)
    assert said == also == "percentiles 0.5 to 99.5 (100 to 300); the file has no usable window"
    assert (first.max(), second.min()) == (0, 1)


@pytest.mark.parametrize("columns", [1, 7, 50001])
def test_rows_of_any_length_are_looked_up(grey_dataset, columns):
    pixels = np.random.default_rng(0).integers(0, 1 << 16, (2, 3, columns), dtype=np.uint16)
    dataset = grey_dataset(pixels, WindowCenter=32767.5, WindowWidth=65535, VOILUTFunction="LINEAR_EXACT")
    for (grey, _), frame in zip(to_grey(dataset), pixels, strict=True):
        np.testing.assert_allclose(grey, frame / 65535, atol=1e-6)
    transposed = decode(dataset).transpose(0, 2, 1)
    np.testing.assert_allclose(to_grey(dataset, transposed)[0][0], pixels[0].T / 65535, atol=1e-6)


@pytest.mark.parametrize(("bits", "signed"), [(8, 0), (10, 1), (16, 0), (16, 1), (32, 1)])
def test_a_histogram_counts_values(grey_dataset, bits, signed):
    dtype = {8: np.uint8, 32: np.int32}.get(bits, np.uint16)
    pixels = np.random.default_rng(0).integers(0, 1 << min(bits, 16), (3, 50, 70)).astype(dtype)
    coding = Coding.of(grey_dataset(pixels, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=signed))
    values, counts = coding.counts(pixels)
    expected, how_many = np.unique(coding.values(pixels), return_counts=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(counts, how_many)
    np.testing.assert_array_equal(coding.counts(pixels[:, ::2].transpose(2, 0, 1))[1].sum(), pixels[:, ::2].size)


def test_a_histogram_of_more_pixels_than_float32_counts():
    pixels = np.full((1 << 13, (1 << 11) + 3), 7, np.uint8)
    pixels[0, 0] = 9
    values, counts = Coding(8, 8, 0, False).counts(pixels)
    assert (values.tolist(), counts.tolist()) == ([7, 9], [pixels.size - 1, 1])
