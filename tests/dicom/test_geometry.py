from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from radvit.dicom.geometry import geometry, patient_to_pixel, pixel_to_patient
from radvit.errors import GeometryError
from radvit.records import Geometry, SpacingPlane, is_orthonormal

PATIENT, DETECTOR, UNKNOWN = SpacingPlane.PATIENT, SpacingPlane.DETECTOR, SpacingPlane.UNKNOWN
IMAGER = {"ImagerPixelSpacing": [0.22, 0.2]}
SAME = {"PixelSpacing": [0.22, 0.2], **IMAGER}
FACTOR = "EstimatedRadiographicMagnificationFactor"
CALIBRATED = {"PixelSpacingCalibrationType": "GEOMETRY"}


@pytest.mark.parametrize(
    ("modality", "attributes", "spacing", "plane", "source"),
    [
        ("CT", {"PixelSpacing": [0.7, 0.8]}, (0.7, 0.8), PATIENT, "PixelSpacing"),
        ("MR", {"PixelSpacing": [0.7, 0.8]}, (0.7, 0.8), PATIENT, "PixelSpacing"),
        ("CR", {}, None, UNKNOWN, ""),
        ("CR", IMAGER, (0.22, 0.2), DETECTOR, "ImagerPixelSpacing"),
        ("DX", SAME, (0.22, 0.2), DETECTOR, "ImagerPixelSpacing"),
        ("DX", {**SAME, FACTOR: 1.25}, (0.176, 0.16), PATIENT, f"ImagerPixelSpacing / {FACTOR} 1.25"),
        ("MG", {**IMAGER, FACTOR: 2}, (0.11, 0.1), PATIENT, f"ImagerPixelSpacing / {FACTOR} 2"),
        ("DX", {**IMAGER, FACTOR: 1}, (0.22, 0.2), DETECTOR, "ImagerPixelSpacing"),
        ("DX", {**IMAGER, FACTOR: 0.8}, (0.22, 0.2), DETECTOR, "ImagerPixelSpacing"),
        ("DX", {**IMAGER, FACTOR: 40}, (0.22, 0.2), DETECTOR, "ImagerPixelSpacing"),
        ("DX", {**IMAGER, FACTOR: [1.5, 2]}, (0.22, 0.2), DETECTOR, "ImagerPixelSpacing"),
        (
            "DX",
            {"PixelSpacing": [0.18, 0.18], **IMAGER, FACTOR: 1.5},
            (0.18, 0.18),
            PATIENT,
            "PixelSpacing, differs from ImagerPixelSpacing",
        ),
        ("DX", {"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), DETECTOR, "PixelSpacing, not calibrated"),
        ("CR", {**SAME, **CALIBRATED, FACTOR: 1.5}, (0.22, 0.2), PATIENT, "PixelSpacing, calibrated (GEOMETRY)"),
        ("OT", {"PixelSpacing": [0.2, 0.2], **CALIBRATED}, (0.2, 0.2), PATIENT, "PixelSpacing, calibrated (GEOMETRY)"),
        ("OT", {"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), UNKNOWN, "PixelSpacing"),
        ("CR", {"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), DETECTOR, "NominalScannedPixelSpacing"),
        ("CT", {"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), UNKNOWN, "NominalScannedPixelSpacing"),
        ("CT", {"PixelSpacing": [0, 0.8]}, None, UNKNOWN, ""),
        ("CT", {"PixelSpacing": 0.8}, None, UNKNOWN, ""),
    ],
)
def test_which_plane(grey_dataset, modality, attributes, spacing, plane, source):
    found = geometry(grey_dataset(np.zeros((3, 5), np.uint8), Modality=modality, **attributes))
    assert (found.rows, found.columns) == (3, 5)
    assert found.spacing_mm == (spacing if spacing is None else pytest.approx(spacing))
    assert found.plane is plane
    assert found.spacing_source == source


def group(keyword, **attributes):
    holder, item = Dataset(), Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    setattr(holder, keyword, [item])
    return holder


def test_spacing_of_a_frame_from_its_functional_groups(grey_dataset):
    def measures(spacing):
        return group("PixelMeasuresSequence", PixelSpacing=[spacing, spacing])

    pixels = np.zeros((2, 3, 3), np.uint8)
    shared = grey_dataset(pixels, Modality="CT", SharedFunctionalGroupsSequence=[measures(0.5)])
    assert geometry(shared, 1).spacing_mm == (0.5, 0.5)
    shared.PerFrameFunctionalGroupsSequence = [measures(0.6), measures(0.7)]
    assert [geometry(shared, frame).spacing_mm[0] for frame in (0, 1)] == [0.6, 0.7]


def test_place_of_a_frame_from_its_functional_groups(grey_dataset):
    dataset = grey_dataset(
        np.zeros((2, 3, 3), np.uint8),
        ImagePositionPatient=[9, 9, 9],
        SharedFunctionalGroupsSequence=[group("PlaneOrientationSequence", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])],
        PerFrameFunctionalGroupsSequence=[group("PlanePositionSequence", ImagePositionPatient=[1, 2, 3]), Dataset()],
    )
    assert geometry(dataset, 0).position_mm == (1, 2, 3)
    assert geometry(dataset, 0).axes == (0, 1, 0, 0, 0, -1)
    assert geometry(dataset, 1).position_mm is None  # the top level tells the first frame's at most


@pytest.mark.parametrize(
    ("attributes", "position", "axes"),
    [
        (
            {"ImagePositionPatient": [-1.5, 2, 3], "ImageOrientationPatient": [0.707, 0.707, 0, 0, 0, -1]},
            (-1.5, 2, 3),
            (0.707, 0.707, 0, 0, 0, -1),
        ),
        ({}, None, None),
        ({"ImagePositionPatient": [1, 2], "ImageOrientationPatient": [1, 0, 0, 0, 1]}, None, None),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, None, None),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}, None, None),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, None, None),
    ],
)
def test_place_of_a_single_image(grey_dataset, attributes, position, axes):
    found = geometry(grey_dataset(np.zeros((3, 5), np.uint8), Modality="CT", **attributes))
    assert (found.position_mm, found.axes) == (position, axes)


SAGITTAL = Geometry(4, 6, (2.0, 0.5), PATIENT, "", (10.0, -20.0, 30.0), (0, 1, 0, 0, 0, -1))


def test_pixels_of_a_sagittal_slice_lie_where_they_should():
    # Columns run to the back (+y) at 0.5 mm, rows to the feet (-z) at 2 mm.
    np.testing.assert_allclose(
        pixel_to_patient([[0, 0], [1, 0], [0, 1], [3, 5]], SAGITTAL),
        [[10, -20, 30], [10, -20, 28], [10, -19.5, 30], [10, -17.5, 24]],
    )
    # A point beside the slice belongs to the pixel below it.
    np.testing.assert_allclose(patient_to_pixel([[14, -17.5, 24]], SAGITTAL), [[3, 5]], atol=1e-9)
    assert pixel_to_patient(np.zeros((0, 2)), SAGITTAL).shape == (0, 3)


def test_against_the_standards_matrix():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    x, y, s = axes[0], axes[1], np.array([5.0, -7.0, 11.0])
    place = Geometry(9, 9, (0.7, 0.3), PATIENT, "", tuple(s), (*x, *y))
    # Equation C.7.6.2.1-1: i is the column index, its spacing the second value of Pixel Spacing.
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = x * 0.3, y * 0.7, 0, s
    expected = [(matrix @ [i, j, 0, 1])[:3] for j, i in [(0, 0), (2, 5), (8, 1)]]
    np.testing.assert_allclose(pixel_to_patient([(0, 0), (2, 5), (8, 1)], place), expected)


numbers = st.floats(-1000, 1000)


@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5),
    st.tuples(numbers, numbers, numbers),
    st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)),
    st.integers(0, 2**32 - 1),
)
def test_there_and_back(rc, position, spacing, seed):
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    rounded = tuple(float(v) for v in axes[:2].round(4).ravel())  # as a file writes them
    place = Geometry(10, 10, spacing, PATIENT, "", position, rounded)
    np.testing.assert_allclose(patient_to_pixel(pixel_to_patient(rc, place), place), rc, atol=1e-6)


@pytest.mark.parametrize("unknown", ["spacing_mm", "position_mm", "axes"])
def test_what_is_unknown_is_said(unknown):
    with pytest.raises(GeometryError, match="unknown; expected all three"):
        pixel_to_patient([[0, 0]], replace(SAGITTAL, **{unknown: None}))


def test_the_record_checks_itself():
    with pytest.raises(GeometryError, match="direction cosines"):
        replace(SAGITTAL, axes=(1, 0, 0, 1, 0, 0))
    with pytest.raises(GeometryError, match="position"):
        replace(SAGITTAL, position_mm=(0, float("nan"), 0))
    assert not is_orthonormal((1, 0, 0))
