import pickle
from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
import pydicom.data
import pytest
import SimpleITK

from radvit.data.loader import Loader
from radvit.data.study_index import Place, StudyIndex
from radvit.deid.burned_in import BurnedIn, Mode
from radvit.dicom.read import Limits
from radvit.dicom.select import parse_rules
from radvit.dicom.voi import Voi
from radvit.errors import DeidError, DicomReadError
from radvit.records import SpacingPlane

DATA = Path(pydicom.data.__file__).parent
BUNDLED = sorted(
    path for folder in ("test_files", "charset_files") for path in (DATA / folder).rglob("*") if path.is_file()
)


@pytest.fixture
def loader(pseudonymizer):
    return Loader(pseudonymizer)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.name)
def test_every_bundled_file_loads_or_is_refused_properly(loader, path):
    try:
        images = loader.load(path)
    except (DicomReadError, DeidError):
        return
    for image in images:
        assert image.pixels.dtype == np.float32
        assert np.isfinite(image.pixels).all()
        assert 0 <= image.pixels.min() <= image.pixels.max() <= 1


@pytest.mark.parametrize(
    ("name", "modality", "plane", "shape"),
    [
        ("CT_small.dcm", "CT", SpacingPlane.PATIENT, (128, 128)),
        ("MR_small.dcm", "MR", SpacingPlane.PATIENT, (64, 64)),
        ("dicomdirtests/77654033/CR1/6154", "CR", SpacingPlane.DETECTOR, None),
    ],
)
def test_ct_mr_and_cr_load(loader, name, modality, plane, shape):
    (image,) = loader.load(DATA / "test_files" / name)
    assert image.header.modality == modality
    assert image.geometry.plane is plane
    assert shape is None or image.pixels.shape == shape
    assert image.pixels.std() > 0.01


def test_header_comes_from_the_scrubbed_data_set(grey_file, loader, pseudonymizer):
    path = grey_file(
        np.arange(12, dtype=np.uint8).reshape(3, 4), PatientName="ROE^JANE", PatientID="4711", BodyPartExamined="CHEST",
        ViewPosition="PA", StudyDate="20200105", PatientSex="F", PatientAge="093Y", Manufacturer="Philips of Jane",
        PatientOrientation=["L", "F"], WindowCenter="6", WindowWidth="12", ImagerPixelSpacing=[0.1, 0.2],
    )  # fmt: skip
    (image,) = loader.load(path)
    header = image.header
    assert header.patient == pseudonymizer.patient("4711")
    assert (header.study, header.image) == (pseudonymizer.uid("1.2.3.5"), pseudonymizer.uid("1.2.3.4"))
    assert (header.body_part, header.view, header.sex, header.age) == ("CHEST", "PA", "F", "090Y")
    assert header.patient_orientation == ("L", "F")
    assert header.manufacturer == "PHILIPS"
    assert header.window == "window LINEAR, center 6, width 12"
    assert header.study_date is not None
    assert len(header.study_date) == 10
    assert header.study_date < "2020-01-05"
    assert image.geometry.spacing_mm == (0.1, 0.2)
    assert not any("4711" in str(v) or "JANE" in str(v).upper() for v in astuple(header))


def test_orientation_from_direction_cosines(grey_file, loader):
    path = grey_file(np.zeros((3, 4), np.uint8), ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    assert loader.load(path)[0].header.patient_orientation == ("L", "F")


def test_every_frame_is_an_image(grey_file, loader):
    images = loader.load(grey_file(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)))
    assert [image.header.frame for image in images] == [0, 1]
    assert images[0].pixels.mean() < images[1].pixels.mean()


def test_a_minimal_file(grey_file, loader):
    (image,) = loader.load(grey_file(np.zeros((1, 1), np.uint8)))
    assert (image.header.study_date, image.header.body_part, image.header.patient_orientation) == (None, None, None)


def test_settings_reach_the_parts(grey_file, pseudonymizer):
    path = grey_file(np.zeros((8, 8), np.uint8), BurnedInAnnotation="YES")
    with pytest.raises(DeidError, match="no text was found"):
        Loader(pseudonymizer).load(path)
    assert Loader(pseudonymizer, burned_in=BurnedIn(Mode.OFF)).load(path)
    with pytest.raises(DicomReadError, match="the limit is"):
        Loader(pseudonymizer, Limits(pixel_bytes=63)).load(path)


def test_a_window_is_chosen_by_words_that_de_identification_removes(grey_file, pseudonymizer):
    path = grey_file(
        np.array([[10, 90]], np.uint8),
        WindowCenter=["50", "20"],
        WindowWidth=["101", "7"],
        WindowCenterWidthExplanation=["BONE OF ROE^JANE", "LUNG"],
    )
    (plain,), (chosen,) = (Loader(pseudonymizer, voi=voi).load(path) for voi in (Voi(), Voi(explanation="lung")))
    assert plain.header.window == "window LINEAR, center 50, width 101"
    assert chosen.header.window == "window LINEAR, center 20, width 7"
    np.testing.assert_array_equal(chosen.pixels, [[0, 1]])


def test_rules_leave_a_file_out_by_words_that_de_identification_removes(grey_file, pseudonymizer):
    path = grey_file(np.zeros((8, 8), np.uint8), SeriesDescription="Scout of Jane")
    assert len(Loader(pseudonymizer, selection=parse_rules({"exclude": [{"Modality": "CT"}]})).load(path)) == 1
    scouts = parse_rules({"exclude": [{"SeriesDescription": {"regex": "scout"}}]})
    with pytest.raises(DicomReadError) as caught:
        Loader(pseudonymizer, selection=scouts).load(path)
    assert caught.value.reason == "not-selected"
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "CT_small.dcm"])
def test_noise_in_a_file_gives_only_our_errors(loader, tmp_path, name):
    """Random bytes of a file overwritten: it loads, or is refused properly."""
    whole = np.fromfile(DATA / "test_files" / name, np.uint8)
    rng, outcomes, path = np.random.default_rng(0), set(), tmp_path / "broken.dcm"
    for _ in range(150):
        broken = whole.copy()
        broken[rng.integers(132, 2500, 6)] = rng.integers(0, 256, 6)
        path.write_bytes(broken.tobytes())
        try:
            outcomes.add(len(loader.load(path)))
        except (DicomReadError, DeidError) as error:
            outcomes.add(getattr(error, "reason", "deid"))
    assert len(outcomes) > 2


def test_several_words_give_the_first_known(grey_file, loader):
    path = grey_file(np.zeros((3, 4), np.uint8), BodyPartExamined=["JANE", "CHEST", "RIB"])
    assert loader.load(path)[0].header.body_part == "CHEST"


def test_pickles_and_loads_the_same(grey_file, loader):
    path = grey_file(np.arange(12, dtype=np.uint8).reshape(3, 4))
    again = pickle.loads(pickle.dumps(loader))  # noqa: S301
    assert again.load(path)[0].header == loader.load(path)[0].header


def test_the_real_radiograph(real_cr, loader):
    (image,) = loader.load(real_cr)
    assert image.pixels.shape == (1760, 2140)
    assert image.geometry.spacing_mm == (0.2, 0.2)
    assert image.geometry.plane is SpacingPlane.DETECTOR
    assert (image.header.modality, image.header.body_part, image.header.age) == ("CR", "CHEST", "037Y")
    # MONOCHROME1: the air beside the neck is dark, the abdomen bright.
    assert image.pixels[60:200, 40:200].mean() < 0.1 < 0.5 < image.pixels[1500:1700, 600:900].mean()


def test_pictures_come_through_the_same_door(tmp_path, loader):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    path = tmp_path / "Doe^John.dcm"  # told by its content, not by its name
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    (image,) = loader.load(path)
    np.testing.assert_allclose(image.pixels, values / 255, atol=1e-6)
    assert (image.header.modality, image.header.patient[:2]) == ("OT", "P-")
    assert StudyIndex(loader.pseudonymizer).place(path) == Place(image.header.study, True)
    assert (
        not StudyIndex(loader.pseudonymizer, selection=parse_rules({"include": [{"Modality": "CR"}]}))
        .place(path)
        .selected
    )
    again = tmp_path / "again.png"
    again.write_bytes(path.read_bytes())
    assert loader.load(again)[0].header == image.header


def test_a_volume_is_a_study_of_slices_from_the_feet_to_the_head(tmp_path, loader):
    volume = SimpleITK.GetImageFromArray(np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5))
    volume.SetSpacing((0.7, 0.8, 2.5))
    volume.SetOrigin((1.0, 2.0, -10.0))
    SimpleITK.WriteImage(volume, str(tmp_path / "v.nii.gz"))
    images = loader.load(tmp_path / "v.nii.gz")
    assert [image.geometry.position_mm for image in images] == [(1.0, 2.0, z) for z in (-10.0, -7.5, -5.0)]
    assert images[0].geometry.spacing_mm == pytest.approx((0.8, 0.7))
    assert images[0].geometry.plane is SpacingPlane.PATIENT
    assert images[0].header.patient_orientation == ("L", "P")
    assert images[0].pixels.max() < images[2].pixels.min()
