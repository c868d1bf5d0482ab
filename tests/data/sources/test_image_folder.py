from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radvit.data.loader import Loader
from radvit.data.samples import Cohort
from radvit.data.sources.base import Source
from radvit.data.sources.image_folder import ImageFolder
from radvit.data.sources.patients import PatientNames
from radvit.errors import DataError

WritePicture = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_picture: WritePicture) -> Path:
    names = (
        *("train/NORMAL/IM-0001.jpg", "train/NORMAL/IM-0002.jpg"),
        *("train/PNEUMONIA/person1_virus_1.jpg", "train/PNEUMONIA/person1_virus_2.jpg"),
        *("val/NORMAL/IM-0003.png", "test/PNEUMONIA/person2_virus_1.png"),
    )
    for number, name in enumerate(names):
        write_picture(tmp_path / "chest_xray" / name, number)
    (tmp_path / "chest_xray" / "README.md").write_text("hello")
    (tmp_path / "chest_xray" / "train" / ".DS_Store").write_text("hello")
    return tmp_path / "chest_xray"


def test_a_folder_is_a_class_and_those_above_are_splits(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort]
) -> None:
    cohort = cohort_of(ImageFolder(folder, loader))
    assert cohort.labels == ("NORMAL", "PNEUMONIA")
    official = cohort.official
    assert official is not None
    assert {name: len(members) for name, members in official.items()} == {"train": 4, "val": 1, "test": 1}
    assert [cohort.samples[i].targets for i in official["train"]] == [(1, 0), (1, 0), (0, 1), (0, 1)]
    assert [cohort.samples[i].targets for i in (*official["val"], *official["test"])] == [(1, 0), (0, 1)]
    assert cohort.failed == 0
    assert len({sample.header.patient for sample in cohort.samples}) == 6


def test_folders_of_other_classes_are_negatives(folder: Path, loader: Loader) -> None:
    source = ImageFolder(folder, loader, ("PNEUMONIA",))
    assert [source.read(i)[0].targets for i in range(len(source))] == [(1,), (0,), (0,), (1,), (1,), (0,)]
    with pytest.raises(DataError, match="no category covid; it has NORMAL, PNEUMONIA"):
        ImageFolder(folder, loader, ("covid",))


def test_pixels_are_those_of_the_loader(folder: Path, loader: Loader) -> None:
    source = ImageFolder(folder, loader)
    last = source.read(5)[0].image  # val/NORMAL/IM-0003.png
    with Image.open(folder / "val" / "NORMAL" / "IM-0003.png") as file:
        np.testing.assert_allclose(last.pixels, np.asarray(file) / 255, atol=1e-6)


def test_patients_by_name_stand_together(folder: Path, loader: Loader) -> None:
    source = ImageFolder(folder, loader, (), PatientNames("person([0-9]+)_"))
    patients = [source.read(i)[0].image.header.patient for i in range(len(source))]
    assert patients[0] == loader.pseudonymizer.patient("2")  # test/PNEUMONIA/person2_virus_1.png
    assert patients[3] == patients[4] == loader.pseudonymizer.patient("1")
    assert len(set(patients)) == 5
    assert source.fingerprint() != ImageFolder(folder, loader).fingerprint()


def test_without_upper_folders_there_is_no_official_split(
    tmp_path: Path, loader: Loader, write_picture: WritePicture
) -> None:
    for number, name in enumerate(("b/1.png", "a/2.png", "a/deep/3.png")):
        write_picture(tmp_path / "in" / name, number)
    source = ImageFolder(tmp_path / "in", loader)
    assert (source.labels, len(source), source.official) == (("a", "b"), 3, None)
    assert [source.read(i)[0].targets for i in range(3)] == [(1, 0), (1, 0), (0, 1)]
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    assert copy.fingerprint() == source.fingerprint()
    before = source.fingerprint()
    write_picture(tmp_path / "in" / "a" / "2.png", 9, (30, 30))
    assert ImageFolder(tmp_path / "in", loader).fingerprint() != before


def test_a_folder_without_folders_is_refused(tmp_path: Path, loader: Loader, write_picture: WritePicture) -> None:
    write_picture(tmp_path / "flat" / "1.png")
    for where in ("flat", "nowhere"):
        with pytest.raises(DataError, match=rf"{where}: no files in folders; expected a folder a class"):
            ImageFolder(tmp_path / where, loader)
