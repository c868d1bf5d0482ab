import itertools
import struct

import cv2
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from picture_files import COLOUR, GREY, GREY16, VOLUME, pil, refused, values_of, volume
from PIL import Image

from radvit.data.picture_kinds import picture_kind
from radvit.data.pictures import content_uids, read_picture
from radvit.deid.scrub import scrub
from radvit.dicom.colour import as_grey
from radvit.dicom.geometry import geometry
from radvit.dicom.limits import Limits
from radvit.dicom.pixels import decode, to_grey
from radvit.errors import DicomReadError
from radvit.records import SpacingPlane


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.dcm", "without"])
@pytest.mark.parametrize("pixels", [GREY, GREY16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_lossless_pictures_keep_their_values_whatever_their_name(tmp_path, name, pixels, form):
    path = pil(tmp_path / name, pixels, format=form)
    dataset = read_picture(path)
    assert picture_kind(path).value == form
    assert np.array_equal(decode(dataset)[0], pixels)
    assert (dataset.BitsStored, dataset.Modality) == (8 * pixels.itemsize, "OT")
    assert geometry(dataset).spacing_mm is None


def test_eight_bits_keep_their_grey_and_sixteen_take_percentiles(tmp_path):
    ((grey, words),) = to_grey(read_picture(pil(tmp_path / "8.png", GREY)))
    assert np.allclose(grey, GREY / 255, atol=1e-6)
    assert "127.5" in words
    ((grey, words),) = to_grey(read_picture(pil(tmp_path / "16.png", GREY16)))
    assert (grey.min(), grey.max()) == (0, 1)
    assert "percentiles" in words


def test_jpeg_is_near_and_has_no_size(tmp_path):
    smooth = cv2.resize(GREY, (64, 48))
    dataset = read_picture(pil(tmp_path / "a.jpg", smooth, quality=95, dpi=(181, 181)))
    assert np.abs(decode(dataset)[0].astype(int) - smooth).max() <= 4
    assert geometry(dataset).spacing_mm is None


@pytest.mark.parametrize("options", [{"compression": c} for c in ("tiff_lzw", "tiff_deflate", "packbits")])
def test_compressed_tiff(tmp_path, options):
    assert np.array_equal(decode(read_picture(pil(tmp_path / "a.tif", GREY16, **options)))[0], GREY16)


def test_a_tiff_of_several_pages_gives_as_many_frames(tmp_path):
    pages = [GREY, 255 - GREY, GREY // 3]
    path = pil(tmp_path / "a.tif", pages[0], save_all=True, append_images=[Image.fromarray(p) for p in pages[1:]])
    dataset = read_picture(path)
    assert np.array_equal(decode(dataset), pages)
    assert np.allclose([grey for grey, _ in to_grey(dataset)], np.array(pages) / 255, atol=1e-6)
    refused(path, "too-large", limits=Limits(frames=2))


def test_a_tiff_whose_pages_differ_is_refused(tmp_path):
    path = pil(tmp_path / "a.tif", GREY, save_all=True, append_images=[Image.fromarray(GREY[:4])])
    assert "differ" in refused(path, "bad-picture")


def test_a_tiff_in_which_zero_is_white(tmp_path):
    path = pil(tmp_path / "a.tif", GREY, tiffinfo={262: 0})
    with Image.open(path) as reference:
        expected = np.asarray(reference.convert("L"))
    ((grey, _),) = to_grey(read_picture(path))
    assert np.allclose(grey, expected / 255, atol=1e-6)


def test_a_tiff_of_floats(tmp_path):
    values = GREY.astype(np.float32) / 7 - 3
    values[0, :2] = np.nan, np.inf
    dataset = read_picture(pil(tmp_path / "a.tif", values))
    finite = np.isfinite(values)
    assert np.abs(values_of(dataset)[0] - values)[finite].max() < 1e-3
    assert (decode(dataset)[0][~finite] == dataset.PixelPaddingValue).all()
    assert (to_grey(dataset)[0][0][~finite] == 0).all()


@pytest.mark.parametrize("form", ["png", "tif"])
def test_colour_goes_to_where_it_is_judged_without_its_transparency(tmp_path, form):
    plain = read_picture(pil(tmp_path / f"a.{form}", COLOUR))
    assert plain.PhotometricInterpretation == "RGB"
    assert plain.PixelData == COLOUR.tobytes()
    clear = read_picture(pil(tmp_path / f"b.{form}", np.dstack([COLOUR, GREY])))
    assert clear.PixelData == plain.PixelData
    with pytest.raises(DicomReadError) as error:
        as_grey(plain)
    assert error.value.reason == "not-grayscale"
    grey = as_grey(read_picture(pil(tmp_path / f"c.{form}", np.stack([GREY] * 3, -1))))
    assert np.allclose(to_grey(grey)[0][0], GREY / 255, atol=1e-6)


@pytest.mark.parametrize("options", [{"mode": "LA"}, {"transparency": 0}])
def test_grey_with_transparency(tmp_path, options):
    pixels = np.dstack([GREY, 255 - GREY]) if "mode" in options else GREY
    dataset = read_picture(pil(tmp_path / "a.png", pixels, **options))
    assert np.array_equal(decode(dataset)[0], GREY)


def test_palettes_and_single_bits(tmp_path):
    palette = Image.fromarray(GREY).convert("P")
    palette.save(tmp_path / "p.png")
    assert np.array_equal(decode(as_grey(read_picture(tmp_path / "p.png")))[0], GREY)
    bits = Image.fromarray(GREY > 100)
    for name in ("b.png", "b.tif"):
        bits.save(tmp_path / name)
        assert np.array_equal(decode(as_grey(read_picture(tmp_path / name)))[0] > 127, GREY > 100)


@pytest.mark.parametrize(
    ("dpi", "spacing"),
    [
        (181.43, 25.4 / 181.43),
        (254, 0.1),
        (72, None),
        (96, None),
        (300, None),
        (600, None),
        (25.4, None),
        (5, None),
        (9999, None),
    ],
)
@pytest.mark.parametrize("form", ["png", "tif"])
def test_a_resolution_counts_unless_programs_write_it_unasked(tmp_path, dpi, spacing, form):
    found = geometry(read_picture(pil(tmp_path / f"a.{form}", GREY, dpi=(dpi, dpi))))
    assert found.plane is SpacingPlane.UNKNOWN
    if spacing is None:
        assert found.spacing_mm is None
    else:
        assert found.spacing_mm == pytest.approx((spacing, spacing), rel=1e-3)


def test_a_resolution_that_differs_by_direction(tmp_path):
    found = geometry(read_picture(pil(tmp_path / "a.tif", GREY, dpi=(127, 254))))  # across, down
    assert found.spacing_mm == pytest.approx((0.1, 0.2), rel=1e-3)


NAMES = ["a.nii", "a.nii.gz", "a.mha", "c.mha"]


@pytest.mark.parametrize("name", NAMES)
def test_volumes_become_axial_slices_from_the_feet_to_the_head(tmp_path, name):
    # Stored sagittally: x runs to the back, y to the feet, z to the left.
    direction = (0, 0, 1, 1, 0, 0, 0, -1, 0)
    path = volume(tmp_path / name, direction=direction, useCompression=name == "c.mha")
    dataset = read_picture(path)
    # Array (left, feet, back) to (head, back, left).
    expected = VOLUME.transpose(1, 2, 0)[::-1]
    assert np.array_equal(values_of(dataset), expected)
    first, last = geometry(dataset, 0), geometry(dataset, 4)
    assert first.axes == pytest.approx((1, 0, 0, 0, 1, 0))
    assert first.spacing_mm == pytest.approx((0.5, 2.0))
    # Origin is the voxel at the head end: 4 steps of 0.7 mm above the first slice.
    assert first.position_mm == pytest.approx((1, 2, 3 - 4 * 0.7))
    assert last.position_mm == pytest.approx((1, 2, 3))
    assert dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices == pytest.approx(0.7)


def test_every_voxel_stays_where_it_was_in_an_oblique_volume(tmp_path):
    from radvit.dicom.geometry import pixel_to_patient

    angle = np.deg2rad(20)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]) @ np.array(
        [[0, 0, -1], [1, 0, 0], [0, -1, 0]]
    )
    path = volume(tmp_path / "a.mha", direction=tuple(turned.ravel()))
    image, dataset = sitk.ReadImage(str(path)), read_picture(path)
    found = values_of(dataset)
    for z, y, x in itertools.product(range(4), range(5), range(6)):
        frame, row, column = (int(i[0]) for i in np.nonzero(found == VOLUME[z, y, x]))
        there = pixel_to_patient([(row, column)], geometry(dataset, frame))[0]
        assert there == pytest.approx(image.TransformIndexToPhysicalPoint((x, y, z)), abs=1e-6)


@pytest.mark.parametrize("name", ["a.nii", "a.mha"])
def test_flat_images_of_volume_formats(tmp_path, name):
    image = sitk.GetImageFromArray(GREY16)
    image.SetSpacing((0.2, 0.3))
    sitk.WriteImage(image, str(tmp_path / name))
    dataset = read_picture(tmp_path / name)
    assert np.array_equal(decode(dataset)[0], GREY16)
    assert geometry(dataset).spacing_mm == pytest.approx((0.3, 0.2))
    assert geometry(dataset).position_mm is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
def test_whole_numbers_that_fit_are_kept_exactly(tmp_path, dtype):
    values = np.abs(VOLUME).astype(dtype) if np.dtype(dtype).kind == "u" else VOLUME.astype(dtype)
    assert np.array_equal(values_of(read_picture(volume(tmp_path / "a.mha", values))), values)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_other_numbers_are_kept_to_a_65535th_of_their_range(tmp_path, scale):
    values = np.random.default_rng(0).normal(size=(3, 4, 5)) * scale
    found = values_of(read_picture(volume(tmp_path / "a.mha", values)))
    assert np.abs(found - values).max() <= 0.51 * np.ptp(values) / 65535


def test_a_constant_volume_and_one_voxel(tmp_path):
    flat = np.full((2, 3, 4), 0.125)
    assert np.array_equal(values_of(read_picture(volume(tmp_path / "a.mha", flat))), flat)
    one = np.full((1, 1, 1), -7, np.int16)
    assert np.array_equal(values_of(read_picture(volume(tmp_path / "b.nii", one))), one)


def test_niftis_slope_is_applied_and_bytes_of_a_volume_take_percentiles(tmp_path):
    content = bytearray(volume(tmp_path / "a.nii").read_bytes())
    struct.pack_into("<ff", content, 112, 2.0, 10.0)
    (tmp_path / "a.nii").write_bytes(content)
    assert np.array_equal(values_of(read_picture(tmp_path / "a.nii")), VOLUME * 2 + 10)
    dataset = read_picture(volume(tmp_path / "b.nii", (VOLUME + 60).astype(np.uint8)))
    assert "percentiles" in to_grey(dataset)[0][1]


def test_a_metaimage_without_spacing_has_none(tmp_path):
    path = volume(tmp_path / "a.mha")
    lines = [line for line in path.read_bytes().split(b"\n", 13) if not line.startswith(b"ElementSpacing")]
    path.write_bytes(b"\n".join(lines))
    assert geometry(read_picture(path)).spacing_mm is None


def test_identifiers_follow_from_the_content_and_metadata_is_left_behind(tmp_path, pseudonymizer):
    secret = "Doe^Jane 1970"
    info = Image.Exif()
    info[270] = secret
    path = pil(tmp_path / "a.tif", GREY, tiffinfo={270: secret, 315: secret})
    copy = tmp_path / "b.dat"
    copy.write_bytes(path.read_bytes())
    dataset, again = read_picture(path), read_picture(copy)
    assert dataset == again
    assert secret not in dataset.to_json()
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert uids == content_uids(path)
    assert len(set(uids)) == 3
    assert all(len(uid) <= 64 for uid in uids)
    assert "PatientID" not in dataset
    other = read_picture(pil(tmp_path / "c.png", 255 - GREY))
    assert scrub(dataset, pseudonymizer).PatientID != scrub(other, pseudonymizer).PatientID
    jpeg = pil(tmp_path / "a.jpg", GREY, exif=info)
    assert secret.encode() in jpeg.read_bytes()
    assert secret not in read_picture(jpeg).to_json()


def test_a_volume_survives_scrubbing_and_saving(tmp_path, pseudonymizer):
    import pydicom

    safe = scrub(read_picture(volume(tmp_path / "a.nii.gz")), pseudonymizer)
    safe.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    again = pydicom.dcmread(tmp_path / "a.dcm")
    assert np.array_equal(values_of(again), VOLUME)
    assert geometry(again, 1).position_mm == (1, 2, 5)
