from pathlib import Path
from struct import pack_into

import imagecodecs
import jpegls
import numpy as np
import pydicom.data
import pytest
from corpus_files import SHAPE, Format, codes_of, compressed, values_of
from corpus_syntaxes import CODECS, FORMATS
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder

from radvit.dicom import codecs
from radvit.dicom.codestream import inspect_j2k, inspect_jpeg
from radvit.dicom.coding import Coding
from radvit.dicom.pixels import decode
from radvit.dicom.read import read
from radvit.errors import DicomReadError

FILES = Path(pydicom.data.__file__).parent / "test_files"


def encoded(codec, name):
    """A data set of a codec, its format and its values."""
    syntax, encode, _, tolerance = CODECS[codec]
    kind = FORMATS[name]
    values = values_of(kind, smooth=tolerance > 0)
    frames = [encode(np.ascontiguousarray(frame), kind) for frame in codes_of(values, kind)]
    return compressed(frames, kind, syntax), frames


def refusal(dataset):
    with pytest.raises(DicomReadError) as caught:
        decode(dataset)
    return caught.value


EACH = [(codec, names[0]) for codec, (_, _, names, _) in CODECS.items()]
WITH_HEADERS = [each for each in EACH if each[0] != "rle"]


@pytest.mark.parametrize(
    ("name", "reference", "mask"),
    [
        ("JPGExtended.dcm", imagecodecs.jpeg8_decode, 0xFFFF),
        ("JPEG-lossy.dcm", imagecodecs.jpeg8_decode, 0xFFFF),
        ("JPEG2000.dcm", imagecodecs.jpeg2k_decode, 0xFFFF),
        ("693_J2KI.dcm", imagecodecs.jpeg2k_decode, 0xFFFF),
        ("J2K_pixelrep_mismatch.dcm", imagecodecs.jpeg2k_decode, 0x1FFF),  # unsigned 13 bits in a signed file
        ("JPEGLSNearLossless_08.dcm", imagecodecs.jpegls_decode, 0xFF),
        ("JPEGLSNearLossless_16.dcm", imagecodecs.jpegls_decode, 0xFFFF),
    ],
)
def test_real_files_decode_as_an_independent_decoder_says(name, reference, mask):
    dataset = dcmread(FILES / name)
    expected = reference(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    np.testing.assert_array_equal(decode(dataset)[0].astype(int) & mask, expected.astype(int) & mask)


@pytest.mark.parametrize(("codec", "name"), WITH_HEADERS)
def test_a_codestream_of_another_size_is_refused(codec, name):
    dataset, _ = encoded(codec, name)
    rows, columns = SHAPE
    for changed in ((columns, rows), (rows // 2, columns), (rows * 100, columns * 100)):
        dataset.Rows, dataset.Columns = changed
        error = refusal(dataset)
        assert error.reason == "decode-failed"
        assert f"a frame of {rows} x {columns} x 1" in str(error)


@pytest.mark.parametrize(("codec", "name"), WITH_HEADERS)
def test_a_codestream_of_another_number_of_samples_is_refused(codec, name):
    dataset, _ = encoded(codec, name)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    with pytest.raises(DicomReadError, match="a frame of"):
        codecs.decode_samples(dataset)


@pytest.mark.parametrize("codec", ["jpeg lossless 1", "jpeg-ls", "j2k", "htj2k"])
def test_a_codestream_of_more_bits_than_are_allocated_is_refused(codec):
    dataset, _ = encoded(codec, "u16")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    assert "the header says" in str(refusal(dataset))


@pytest.mark.parametrize("codec", ["jpeg-ls", "j2k", "htj2k"])
def test_values_of_more_bits_than_are_stored_are_refused(codec):
    dataset, _ = encoded(codec, "u16")
    dataset.BitsStored, dataset.HighBit = 12, 11
    assert "values of 16 bits; the header says 12" in str(refusal(dataset))


def test_wider_codestreams_of_narrow_values_are_read():
    kind = Format(12)
    values = values_of(kind)
    frame = bytes(imagecodecs.jpegls_encode(values[0].astype(np.uint16)))  # of 16 bits
    assert inspect_jpeg(frame).precision == 16
    np.testing.assert_array_equal(decode(compressed([frame], kind, uid.JPEGLSLossless)), values)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16])
def test_jpeg_ls_of_every_number_of_bits(bits, signed):
    for allocated in (8, 16) if bits <= 8 else (16,):
        kind = Format(bits, allocated, signed)
        values = values_of(kind)
        codes = (values & ((1 << bits) - 1))[0]
        dataset = compressed([jpegls.encode(codes, bits)], kind, uid.JPEGLSLossless)
        np.testing.assert_array_equal(Coding.of(dataset).values(decode(dataset)), values)


@pytest.mark.parametrize("bits", [6, 7])
def test_jpeg_ls_of_bits_that_its_decoder_lacks_is_refused(bits):
    dataset = compressed([jpegls.encode(values_of(Format(bits, 8))[0], bits)], Format(bits, 8), uid.JPEGLSLossless)
    assert refusal(dataset).reason == "decode-failed"


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("near", [0, 1, 3])
def test_the_slow_jpeg_ls_encoder_writes_what_charls_reads(bits, near):
    values = values_of(Format(bits))[0]
    decoded = imagecodecs.jpegls_decode(jpegls.encode(values, bits, near)).astype(int)
    assert np.abs(decoded - values).max() <= near


@pytest.mark.parametrize(("codec", "name"), EACH)
def test_a_cut_frame_is_refused(codec, name):
    dataset, frames = encoded(codec, name)
    for share in (0.0, 0.1, 0.5):
        cut = frames[0][: int(len(frames[0]) * share)]
        dataset.PixelData = encapsulate([cut or b"\0\0"])
        assert refusal(dataset).reason == "decode-failed"


@pytest.mark.parametrize(("codec", "name"), EACH)
def test_frames_too_few_and_too_many(codec, name):
    dataset, frames = encoded(codec, name)
    once = decode(dataset)
    dataset.PixelData = encapsulate([frames[0], frames[0]])
    np.testing.assert_array_equal(decode(dataset), once)  # what is beyond NumberOfFrames is left alone
    dataset.NumberOfFrames = 3
    assert refusal(dataset).reason == "decode-failed"


@pytest.mark.parametrize("codec", ["jpeg", "jpeg lossless 1", "jpeg-ls"])
def test_a_codestream_of_a_gigapixel_never_reaches_a_decoder(codec):
    dataset, frames = encoded(codec, "u8")
    frame = bytearray(frames[0])
    start = next(frame.index(bytes([0xFF, sof])) for sof in (0xF7, 0xC3, 0xC0) if bytes([0xFF, sof]) in frame)
    pack_into(">HH", frame, start + 5, 65535, 65535)
    dataset.PixelData = encapsulate([bytes(frame)])
    assert "a frame of 65535 x 65535 x 1" in str(refusal(dataset))


def test_jpeg_2000_of_countless_tiles_never_reaches_a_decoder():
    dataset, frames = encoded("j2k", "u8")
    frame = bytearray(frames[0])
    pack_into(">II", frame, 24, 1, 1)  # XTsiz and YTsiz
    pack_into(">II", frame, 8, 40000, 40000)
    dataset.PixelData = encapsulate([bytes(frame)])
    assert "tiles" in str(refusal(dataset))


def test_the_jpeg_process_is_taken_from_the_codestream():
    kind = Format(12)
    values = values_of(kind)
    frame = bytes(imagecodecs.jpeg8_encode(values[0].astype(np.uint16), lossless=True, predictor=1, bitspersample=12))
    for syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1):
        np.testing.assert_array_equal(decode(compressed([frame], kind, syntax)), values)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.HTJ2KLossless])
def test_a_jp2_file_in_place_of_a_codestream_is_read(syntax):
    kind = Format(8, 8)
    values = values_of(kind)
    frame = bytes(imagecodecs.jpeg2k_encode(values[0].astype(np.uint8), codecformat="jp2", reversible=True, level=0))
    assert inspect_j2k(frame).rows == SHAPE[0]
    np.testing.assert_array_equal(decode(compressed([frame], kind, syntax)), values)


@pytest.mark.parametrize("frame", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x0b\x08", b"\xff\xd8" + b"\xff" * 9])
def test_jpeg_without_a_frame_header(frame):
    with pytest.raises(DicomReadError, match="without a JPEG header"):
        inspect_jpeg(frame)


@pytest.mark.parametrize("codec", ["jpeg extended", "jpeg lossless 1"])
@pytest.mark.parametrize("spoil", ["gap", "revision", "adobe"])
def test_headers_at_which_gdcm_would_end_the_process_are_refused(codec, spoil):
    dataset, (frame,) = encoded(codec, "u12")
    start = frame[:2]
    spoilt = {
        "gap": start + b"\xff\xfe\0\4ab" + b"gap" + frame[2:],
        "revision": start + b"\xff\xe0\0\x10JFIF\0\7\1" + bytes(7) + frame[2:],
        "adobe": start + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x09" + frame[2:],
    }
    dataset.PixelData = encapsulate([spoilt[spoil] + b"\0" * (len(spoilt[spoil]) % 2)])
    assert refusal(dataset).reason == "decode-failed"


@pytest.mark.parametrize("length", [0, 4, 41, 44])
def test_jpeg_2000_without_a_size(length):
    _, (frame,) = encoded("j2k", "u8")
    with pytest.raises(DicomReadError, match="without a JPEG 2000 header"):
        inspect_j2k(frame[:length])


def test_nothing_is_printed(capfd):
    decode(encoded("jpeg extended", "u12")[0])
    with pytest.raises(DicomReadError):
        decode(dcmread(FILES / "JPEG2000-embedded-sequence-delimiter.dcm"))
    dataset, frames = encoded("j2k", "u12")
    dataset.PixelData = encapsulate([frames[0][:200]])
    refusal(dataset)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("raised", "reason"), [(MemoryError(), "memory"), (ValueError("Smith"), "decode-failed")])
def test_what_a_decoder_raises_becomes_a_reason(monkeypatch, raised, reason):
    def failing(*_, **__):
        raise raised

    monkeypatch.setattr(codecs.rle.utils, "decode_pixel_data", failing)
    error = refusal(encoded("rle", "u12")[0])
    assert error.reason == reason
    assert "Smith" not in str(error)


def test_a_decoder_that_panics_is_caught(monkeypatch):
    class PanicException(BaseException):
        pass

    def panicking(*_, **__):
        raise PanicException

    monkeypatch.setattr(codecs.rle.utils, "decode_pixel_data", panicking)
    assert refusal(encoded("rle", "u12")[0]).reason == "decode-failed"


def undecodable():
    for syntax in uid.AllTransferSyntaxes:
        try:
            get_decoder(syntax)
        except NotImplementedError:
            yield syntax


@pytest.mark.parametrize("syntax", list(undecodable()), ids=lambda syntax: syntax.name)
def test_every_other_transfer_syntax_is_refused_by_name(syntax, tmp_path):
    dataset = compressed([b"\0\0\1\xba" * 50], Format(8, 8), syntax)
    dataset.save_as(tmp_path / "video.dcm", enforce_file_format=True)
    with pytest.raises(DicomReadError) as caught:
        read(tmp_path / "video.dcm")
    assert caught.value.reason == "bad-syntax"
    assert syntax.name.split(" (")[0] in str(caught.value)
