from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.nifti import NiftiVolumes, label_values, nifti_cases
from radvit.data.sources.patients import PatientNames
from radvit.data.sources.slices import Slices
from radvit.errors import DataError, DicomReadError

RAS = np.diag([1.0, 1.0, 2.0, 1.0])  # nibabel's world: x to the right, y to the front, z to the head
SHAPE = (10, 8, 4)  # x, y, z


def save(path: Path, values: NDArray[Any], affine: NDArray[np.float64] = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def label_map() -> NDArray[np.uint8]:
    """Two parts of 1 in slice 1, one of 2 in slice 2, both in slice 3."""
    values = np.zeros(SHAPE, np.uint8)
    values[0:2, 0:3, 1], values[6:9, 5:8, 1] = 1, 1
    values[3:5, 2:4, 2] = 2
    values[0, 0, 3], values[9, 7, 3] = 1, 2
    return values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("case_a", "case_b", "unlabelled"):
        save(tmp_path / "images" / f"{name}.nii.gz", rng.normal(0, 300, SHAPE).astype(np.int16))
    save(tmp_path / "labels" / "case_a.nii.gz", label_map())
    save(tmp_path / "labels" / "case_b.nii.gz", np.zeros(SHAPE, np.uint8))
    return tmp_path


def open_nifti(folder: Path, loader: Loader, **options: Any) -> NiftiVolumes:
    values = label_values(("liver", "tumour"), folder)
    return NiftiVolumes(str(folder), nifti_cases(folder / "images", folder / "labels"), loader, values, **options)


def in_lps(plane: NDArray[Any]) -> NDArray[Any]:
    """A slice of nibabel's (x, y), to the right and to the front, as rows and columns of LPS."""
    return plane[::-1, ::-1].T


def test_slices_masks_and_boxes_of_components(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort], boxes_of: Callable[[Sample], object]
) -> None:
    source = open_nifti(folder, loader)
    slices = source.read(0)
    for z, one in enumerate(slices):
        expected = in_lps(label_map()[:, :, z])
        np.testing.assert_array_equal(one.mask, np.where(expected == 1, 1, 0) | np.where(expected == 2, 2, 0))
    assert [one.targets for one in slices] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    cohort = cohort_of(source)
    assert (len(cohort), cohort.failed) == (8, 0)  # the volume without a map is left out
    assert len({sample.header.patient for sample in cohort.samples}) == 2
    assert boxes_of(cohort.samples[0]) == []
    # x 0:2, y 0:3 of ten columns and eight rows become columns 8 to 9 and rows 5 to 7
    assert boxes_of(cohort.samples[1]) == [(0, (1.0, 0.0, 4.0, 3.0)), (0, (8.0, 5.0, 10.0, 8.0))]
    assert boxes_of(cohort.samples[3]) == [(0, (9.0, 7.0, 10.0, 8.0)), (1, (0.0, 0.0, 1.0, 1.0))]


def test_a_map_stored_in_another_orientation_is_turned_as_its_volume_is(folder: Path, loader: Loader) -> None:
    """Source: nibabel's own orientation of the same image."""
    turned = nib.as_closest_canonical(nib.Nifti1Image(label_map(), RAS))
    flipped = nib.Nifti1Image(
        np.ascontiguousarray(label_map()[::-1]),
        RAS @ np.array([[-1, 0, 0, SHAPE[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    )
    np.testing.assert_array_equal(nib.as_closest_canonical(flipped).dataobj, turned.dataobj)
    before = [one.mask for one in open_nifti(folder, loader).read(0)]
    nib.save(flipped, folder / "labels" / "case_a.nii.gz")
    for one, mask in zip(open_nifti(folder, loader).read(0), before, strict=True):
        np.testing.assert_array_equal(one.mask, mask)


def test_which_slices(folder: Path, loader: Loader) -> None:
    source = open_nifti(folder, loader, slices=Slices(every=3))
    assert [[x.image.header.frame for x in source.read(i)] for i in range(2)] == [[0, 1, 2, 3], [0, 3]]
    assert [x.image.header.frame for x in replace(source, slices=Slices(central=2, every=0)).read(0)] == [1, 2]
    assert replace(source, slices=Slices()).fingerprint() != source.fingerprint()
    assert pickle.loads(pickle.dumps(source)).fingerprint() == source.fingerprint()  # noqa: S301


def test_a_map_of_another_volume_is_refused(folder: Path, loader: Loader) -> None:
    label = folder / "labels" / "case_a.nii.gz"
    for values, affine, message in (
        (np.zeros((10, 8, 3), np.uint8), RAS, r"label map of \(3, 8, 10\) slices, rows and columns; .* \(4, 8, 10\)"),
        (label_map(), RAS + np.array([[0, 0, 0, 9.0]] + [[0.0] * 4] * 3), "lies elsewhere"),
        (label_map() * np.float32(0.5), RAS, "no whole numbers"),
    ):
        save(label, values, affine)
        with pytest.raises(DataError, match=message):
            open_nifti(folder, loader).read(0)


def test_one_channel_of_a_volume_with_several(folder: Path, loader: Loader) -> None:
    several = np.random.default_rng(1).normal(0, 300, (*SHAPE, 2)).astype(np.int16)
    save(folder / "images" / "case_a.nii.gz", several)
    second = [x.image.pixels for x in open_nifti(folder, loader, channel=1).read(0)]
    save(folder / "images" / "case_a.nii.gz", several[..., 1])
    for one, other in zip(second, open_nifti(folder, loader).read(0), strict=True):
        np.testing.assert_array_equal(one, other.image.pixels)
    save(folder / "images" / "case_a.nii.gz", several)
    with pytest.raises(DicomReadError, match="2 channels; expected one numbered 2"):
        open_nifti(folder, loader, channel=2).read(0)


def test_files_named_as_nnunet_names_them(tmp_path: Path) -> None:
    for name in ("case_0000", "case_0001", "other_0000"):
        save(tmp_path / "imagesTr" / f"{name}.nii.gz", np.zeros(SHAPE, np.uint8))
    save(tmp_path / "labelsTr" / "case.nii.gz", np.zeros(SHAPE, np.uint8))
    for channel in (0, 1):
        [case] = nifti_cases(tmp_path / "imagesTr", tmp_path / "labelsTr", channel)
        assert case.image.name == f"case_{channel:04d}.nii.gz"
    with pytest.raises(DataError, match="no label map has the name of a volume"):
        nifti_cases(tmp_path / "imagesTr", tmp_path / "labelsTr", 2)
    assert [case.label_map for case in nifti_cases(tmp_path / "imagesTr", None)] == [None] * 3


@pytest.mark.parametrize(
    ("told", "wanted", "values"),
    [
        ({"0": "background", "1": "liver", "2": "cancer"}, (), {"liver": (1,), "cancer": (2,)}),
        ({"0": "background", "1": "liver", "2": "cancer"}, ("cancer",), {"cancer": (2,)}),
        ({"background": 0, "whole": [1, 2], "core": 2}, (), {"whole": (1, 2), "core": (2,)}),
    ],
)
def test_labels_of_a_dataset_json(tmp_path: Path, told: object, wanted: tuple[str, ...], values: object) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": told}))
    assert label_values(wanted, tmp_path / "imagesTr", tmp_path) == values


def test_labels_without_a_dataset_json_or_with_a_broken_one(tmp_path: Path) -> None:
    assert label_values(("a", "b"), tmp_path) == {"a": (1,), "b": (2,)}
    with pytest.raises(DataError, match=r"no dataset\.json; expected data\.labels"):
        label_values((), tmp_path)
    for text, message in (("{", "no labels"), ('{"labels": {"1": "liver"}}', "no label lung; it has liver")):
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(DataError, match=message):
            label_values(("lung",), tmp_path)


def test_without_maps_nothing_is_known(folder: Path, loader: Loader) -> None:
    cases = nifti_cases(folder / "images", None)
    source = NiftiVolumes("x", cases, loader, {"liver": (1,)}, patients=PatientNames("case_([ab])"))
    slices = source.read(0)
    assert len(slices) == 4
    assert np.isnan(slices[0].targets).all()
    assert slices[0].image.header.patient == loader.pseudonymizer.patient("a")
    assert slices[0].mask is None


def test_what_can_not_be_read_is_refused(folder: Path, loader: Loader) -> None:
    (folder / "images" / "case_a.nii.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(DicomReadError):
        open_nifti(folder, loader).read(0)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        nifti_cases(folder / "nowhere", None)
    with pytest.raises(DataError, match="x: no volumes"):
        NiftiVolumes("x", (), loader, {"liver": (1,)})
    with pytest.raises(DataError, match="masks of 9 labels"):
        NiftiVolumes("x", (), loader, {str(k): (k,) for k in range(9)})
