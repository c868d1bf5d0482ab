import gzip
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import GREY, GREY16, pil, refused, volume

from radvit.data.picture_kinds import Kind, picture_kind
from radvit.data.pictures import read_picture
from radvit.dicom.colour import as_grey
from radvit.dicom.limits import Limits
from radvit.dicom.pixels import decode, to_grey
from radvit.errors import DicomReadError


def test_dicom_and_other_files_are_no_pictures(tmp_path, grey_file):
    assert picture_kind(grey_file(GREY)) is None
    disguised = tmp_path / "both"
    disguised.write_bytes(b"II*\0" + bytes(124) + b"DICM")  # PS3.10 lets the preamble be a TIFF header
    for content in (b"", b"GIF89a", b"hello", gzip.compress(b"hello" * 999), b"\x1f\x8b\x08broken"):
        (tmp_path / "x").write_bytes(content)
        assert picture_kind(tmp_path / "x") is None
        refused(tmp_path / "x", "bad-picture")
    assert picture_kind(disguised) is None
    refused(tmp_path / "none", "not-a-file")
    with pytest.raises(DicomReadError, match="can't read"):
        picture_kind(tmp_path / "none")


def png_of(width, height, bits=8, data=b""):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def tiff_of(width, height, following=0, bits=8):
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, 64)]
    entries = b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", len(tags))
        + entries
        + struct.pack("<I", following)
        + bytes(64)
    )


def test_sizes_are_refused_before_pixels(tmp_path):
    path = tmp_path / "a"
    for content in (png_of(2**31 - 1, 2**31 - 1), png_of(60000, 60000), tiff_of(2**31, 2**31), tiff_of(60000, 60000)):
        path.write_bytes(content)
        refused(path, "too-large", "bad-picture")
    path.write_bytes(png_of(30000, 30000))
    refused(path, "too-large")
    path.write_bytes(png_of(8, 6, data=bytes(54)))
    assert read_picture(path).Columns == 8
    refused(path, "too-large", limits=Limits(side=7))
    refused(path, "too-large", limits=Limits(pixel_bytes=47))
    refused(path, "too-large", limits=Limits(file_bytes=9))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha"])
def test_volumes_above_the_limits(tmp_path, name):
    path = volume(tmp_path / name)
    refused(path, "too-large", limits=Limits(pixel_bytes=239))
    assert read_picture(path, Limits(pixel_bytes=240)).NumberOfFrames == 4
    refused(path, "too-large", limits=Limits(frames=3))


def test_a_gzip_of_zeros_is_inflated_only_within_the_limit(tmp_path):
    header = bytearray(volume(tmp_path / "a.nii").read_bytes()[:352])
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(bytes(header) + bytes(1 << 24)))
    assert path.stat().st_size < 50_000
    refused(path, "too-large", limits=Limits(inflated_bytes=1 << 20))
    path.write_bytes(gzip.compress(bytes(1 << 20)))
    refused(path, "bad-picture")


@pytest.mark.parametrize(
    "header",
    [
        b"ElementDataFile = /etc/passwd\n",
        b" ElementDataFile = /etc/passwd\nElementDataFile = LOCAL\n",
        b"Comment = ElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
        b"ElementDataFile = LOCAL.raw\n",
        b"ElementDataFile = LIST\n",
        b"ElementDataFile = %03d.raw 1 9 1\n",
        b"ElementDataFile: /etc/passwd\n",
        b"ElementDataFile = LOCAL /etc/passwd\n",
        b"",
    ],
)
def test_a_metaimage_opens_no_other_file(tmp_path, header):
    start = b"ObjectType = Image\nNDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\n"
    (tmp_path / "a.mhd").write_bytes(start + header + bytes(64))
    refused(tmp_path / "a.mhd", "bad-picture")
    (tmp_path / "a.mhd").write_bytes(start + b"ElementDataFile = LOCAL\n" + bytes(range(16)))
    assert np.array_equal(decode(read_picture(tmp_path / "a.mhd"))[0].ravel(), np.arange(16))


@pytest.mark.parametrize(
    "line", [b"NDims = 100", b"NDims = -1", b"CompressedDataSize = 99999999999", b"HeaderSize = 99999999999", b"junk"]
)
def test_a_metaimage_with_an_evil_header(tmp_path, line):
    text = b"ObjectType = Image\nNDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    changed = text.replace(b"NDims = 2", line) if line.startswith(b"NDims") else text.replace(b"DimS", line + b"\nDimS")
    (tmp_path / "a").write_bytes(changed + bytes(16))
    refused(tmp_path / "a", "bad-picture", "truncated")


def test_pairs_of_files_are_refused(tmp_path):
    volume(tmp_path / "a.img")
    assert "another file" in refused(tmp_path / "a.hdr", "bad-picture")
    volume(tmp_path / "b.mhd")
    assert "another file" in refused(tmp_path / "b.mhd", "bad-picture")


@pytest.mark.parametrize(
    ("form", "place", "value"),
    [
        ("<f", 108, 2e9),  # where the voxels begin
        ("<f", 108, float("nan")),
        ("<f", 108, 0.0),
        ("<h", 70, 1792),  # complex numbers
        ("<h", 40, 4),  # dimensions, of which the fourth follows
        ("<h", 42, -6),
        ("<h", 42, 0),
        ("<i", 0, 349),
        ("<h", 72, 8),  # bits that contradict the data type
    ],
)
def test_a_nifti_with_an_evil_header(tmp_path, form, place, value):
    content = bytearray(volume(tmp_path / "a.nii").read_bytes())
    struct.pack_into(form, content, place, value)
    struct.pack_into("<h", content, 48, 5)
    (tmp_path / "a.nii").write_bytes(content)
    refused(tmp_path / "a.nii", "bad-picture", "truncated")


def test_a_tiff_whose_pages_form_a_loop(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_of(8, 8, following=8))
    assert "loop" in refused(tmp_path / "a.tif", "bad-picture")


def test_vectors_are_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.float32), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    refused(tmp_path / "a.mha", "bad-picture")


REASONS = {None, "bad-picture", "truncated", "too-large", "memory", "not-grayscale", "bad-pixels"}


def reason_of(path, limits=Limits()):  # noqa: B008
    """Why a picture can't be brought to grey; None where it can. An error of another class goes through."""
    try:
        for grey, _ in to_grey(as_grey(read_picture(path, limits))):
            assert np.isfinite(grey).all()
    except DicomReadError as error:
        return error.reason
    return None


def samples(folder: Path) -> dict[Kind, bytes]:
    paths = [
        pil(folder / "s.png", GREY16),
        pil(folder / "s.jpg", cv2.resize(GREY, (40, 30))),
        pil(folder / "s.tif", GREY16, compression="tiff_lzw"),
        volume(folder / "s.nii"),
        volume(folder / "s.nii.gz"),
        volume(folder / "s.mha", useCompression=True),
    ]
    return {picture_kind(path): path.read_bytes() for path in paths}


def test_truncated_anywhere_is_refused_without_a_word(tmp_path, capfd):
    for kind, content in samples(tmp_path).items():
        cuts = sorted({*range(0, len(content), 1 + len(content) // 40), len(content) - 1, len(content) - 2})
        for cut in cuts:
            (tmp_path / "cut").write_bytes(content[:cut])
            assert reason_of(tmp_path / "cut") is not None, f"{kind} cut at {cut} of {len(content)} was read"
    broken = bytearray(samples(tmp_path)[Kind.JPEG])
    broken[-40:-20] = bytes(range(20))  # libjpeg complains of it, and ITK reads on
    (tmp_path / "broken").write_bytes(broken)
    assert reason_of(tmp_path / "broken") is None
    assert capfd.readouterr() == ("", "")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_pictures_give_read_errors_alone(tmp_path, data):
    folder = tmp_path / "samples"
    if not folder.exists():
        folder.mkdir()
        samples(folder)
    content = bytearray(data.draw(st.sampled_from(sorted(folder.iterdir()))).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        size = data.draw(st.integers(0, 8))
        content[place : place + size] = data.draw(st.binary(max_size=8))
        if not content:
            break
    path = tmp_path / "damaged"
    path.write_bytes(content)
    assert reason_of(path, Limits(pixel_bytes=1 << 22, inflated_bytes=1 << 22)) in REASONS
