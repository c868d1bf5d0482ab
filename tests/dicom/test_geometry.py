import numpy as np
import pytest
from pydicom import Dataset

from radvit.dicom.geometry import geometry
from radvit.records import SpacingPlane

PATIENT, DETECTOR, UNKNOWN = SpacingPlane.PATIENT, SpacingPlane.DETECTOR, SpacingPlane.UNKNOWN


@pytest.mark.parametrize(
    ("modality", "attributes", "spacing", "plane"),
    [
        ("CT", {"PixelSpacing": [0.7, 0.8]}, (0.7, 0.8), PATIENT),
        ("MR", {"PixelSpacing": [0.7, 0.8]}, (0.7, 0.8), PATIENT),
        ("CR", {}, None, UNKNOWN),
        ("CR", {"ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2), DETECTOR),
        ("DX", {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2), DETECTOR),
        ("DX", {"PixelSpacing": [0.18, 0.18], "ImagerPixelSpacing": [0.2, 0.2]}, (0.18, 0.18), PATIENT),
        ("DX", {"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), UNKNOWN),
        ("CR", {"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "GEOMETRY"}, (0.2, 0.2), PATIENT),
        ("OT", {"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"}, (0.2, 0.2), PATIENT),
        ("OT", {"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), UNKNOWN),
        ("CT", {"PixelSpacing": [0, 0.8]}, None, UNKNOWN),
        ("CT", {"PixelSpacing": 0.8}, None, UNKNOWN),
    ],
)
def test_which_plane(grey_dataset, modality, attributes, spacing, plane):
    found = geometry(grey_dataset(np.zeros((3, 5), np.uint8), Modality=modality, **attributes))
    assert (found.rows, found.columns) == (3, 5)
    assert found.spacing_mm == spacing
    assert found.plane is plane


def test_spacing_of_a_frame_from_its_functional_groups(grey_dataset):
    def measures(spacing):
        holder, item = Dataset(), Dataset()
        item.PixelSpacing = [spacing, spacing]
        holder.PixelMeasuresSequence = [item]
        return holder

    pixels = np.zeros((2, 3, 3), np.uint8)
    shared = grey_dataset(pixels, Modality="CT", SharedFunctionalGroupsSequence=[measures(0.5)])
    assert geometry(shared, 1).spacing_mm == (0.5, 0.5)
    shared.PerFrameFunctionalGroupsSequence = [measures(0.6), measures(0.7)]
    assert [geometry(shared, frame).spacing_mm[0] for frame in (0, 1)] == [0.6, 0.7]
