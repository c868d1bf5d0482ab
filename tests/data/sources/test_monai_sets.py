"""MONAI's classes say where their archives are; the tests put small archives of their form in that place."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort
from radvit.data.sources.base import Source
from radvit.data.sources.monai_sets import decathlon, mednist
from radvit.data.sources.slices import Slices
from radvit.errors import DataError

SPLEEN = "Task09_Spleen"


def packed(folder: Path, archive: Path, mode: str) -> tuple[str, str]:
    """Pack a folder. Returns URL and MD5."""
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        tar.add(folder, folder.name)
    return archive.as_uri(), hashlib.md5(archive.read_bytes()).hexdigest()


def test_mednist_is_downloaded_and_its_folders_are_classes(
    tmp_path: Path,
    loader: Loader,
    monkeypatch: pytest.MonkeyPatch,
    write_picture: Callable[..., Path],
    cohort_of: Callable[[Source], Cohort],
) -> None:
    for number, name in enumerate(("AbdomenCT/000000.jpeg", "CXR/000000.jpeg", "CXR/000001.jpeg", "Hand/0.jpeg")):
        write_picture(tmp_path / "made" / "MedNIST" / name, number, (64, 64))
    url, md5 = packed(tmp_path / "made" / "MedNIST", tmp_path / "there.tar.gz", "w:gz")
    from monai.apps import MedNISTDataset  # here, since collecting the tests must not take its seconds

    monkeypatch.setattr(MedNISTDataset, "resource", url)
    monkeypatch.setattr(MedNISTDataset, "md5", md5)
    with pytest.raises(DataError, match=r"MedNIST: no such folder; expected data\.download=true, or file:.* as .*gz"):
        mednist(tmp_path / "data", loader, (), download=False)
    cohort = cohort_of(mednist(tmp_path / "data", loader, (), download=True))
    assert cohort.labels == ("AbdomenCT", "CXR", "Hand")
    assert [sample.targets for sample in cohort.samples] == [(1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 1)]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task as the Decathlon publishes it: two labelled volumes and one of the test set."""
    folder = tmp_path / "made" / SPLEEN
    (folder / "labelsTr").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, name in (("imagesTr", "spleen_2"), ("imagesTr", "spleen_3"), ("imagesTs", "spleen_1")):
        (folder / part).mkdir(exist_ok=True)
        volume = rng.normal(0, 200, (12, 10, 5)).astype(np.float32)
        nib.save(nib.Nifti1Image(volume, np.eye(4)), folder / part / f"{name}.nii.gz")
    label = np.zeros((12, 10, 5), np.uint8)
    for name in ("spleen_2", "spleen_3"):
        nib.save(nib.Nifti1Image(label, np.eye(4)), folder / "labelsTr" / f"{name}.nii.gz")
        label[2:6, 3:5, 2] = 1
    pairs = [{"image": f"./imagesTr/spleen_{n}.nii.gz", "label": f"./labelsTr/spleen_{n}.nii.gz"} for n in (2, 3)]
    properties = {"name": "Spleen", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}}
    lists = {"numTraining": 2, "numTest": 1, "training": pairs, "test": ["./imagesTs/spleen_1.nii.gz"]}
    (folder / "dataset.json").write_text(json.dumps(properties | lists))
    return folder


def test_a_task_of_the_decathlon_is_slices_with_masks_and_boxes(
    tmp_path: Path,
    task: Path,
    loader: Loader,
    monkeypatch: pytest.MonkeyPatch,
    cohort_of: Callable[[Source], Cohort],
) -> None:
    url, md5 = packed(task, tmp_path / "there.tar", "w")
    from monai.apps import DecathlonDataset

    monkeypatch.setitem(DecathlonDataset.resource, SPLEEN, url)
    monkeypatch.setitem(DecathlonDataset.md5, SPLEEN, md5)
    with pytest.raises(DataError, match=rf"{SPLEEN}: no such folder; .* as .*{SPLEEN}\.tar"):
        decathlon(tmp_path / "data", SPLEEN, loader)
    source = decathlon(tmp_path / "data", SPLEEN, loader, slices=Slices(every=2), download=True)
    cohort = cohort_of(source)
    assert cohort.labels == ("spleen",)
    assert [sample.header.frame for sample in cohort.samples] == [0, 2, 4, 0, 2, 3]
    assert [sample.targets for sample in cohort.samples] == [(0,)] * 4 + [(1,), (0,)]
    [lesion] = cohort.samples[4].lesions
    assert lesion.box_px == (6.0, 5.0, 10.0, 7.0)  # x 2:6 of 12 and y 3:5 of 10, turned to LPS
    mask = source.read(1)[1].mask
    assert mask is not None
    assert mask.sum() == mask[5:7, 6:10].sum() == 8
    assert len({sample.header.patient for sample in cohort.samples}) == 2


def test_unknown_tasks_and_broken_lists_are_named(tmp_path: Path, task: Path, loader: Loader) -> None:
    for name in (None, "Task11_Knee"):
        with pytest.raises(DataError, match=rf"data\.task={name}; expected one of Task01_BrainTumour, "):
            decathlon(tmp_path, name, loader)
    (task / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match=r"dataset\.json: no list of volumes"):
        decathlon(task.parent, SPLEEN, loader)
