from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radvit.data.samples import Cohort
from radvit.data.sources import medmnist_subsets
from radvit.data.sources.base import Source
from radvit.data.sources.medmnist import MedMnist
from radvit.data.sources.medmnist_subsets import SUBSETS, Target, remote
from radvit.data.sources.slices import Slices
from radvit.errors import DataError

SHARED = Path(os.environ.get("RADVIT_SHARED", Path(__file__).parents[3].parent / "shared" / "data"))
REAL = SHARED / "pneumoniamnist.npz"


def write(path: Path, classes: int = 2, channels: tuple[int, ...] = (), **replaced: object) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {}
    for split, n in [("train", 6), ("val", 3), ("test", 4)]:
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 9, 9, *channels), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n, dtype=np.uint8) % classes)[:, None]
    arrays |= replaced
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})  # type: ignore[arg-type]
    return path


def test_images_come_split_after_split_with_their_labels(tmp_path: Path) -> None:
    source = MedMnist(write(tmp_path / "pneumoniamnist.npz"))
    assert source.labels == ("pneumonia",)
    assert source.official == {"train": (0, 1, 2, 3, 4, 5), "val": (6, 7, 8), "test": (9, 10, 11, 12)}
    with np.load(source.path) as file:
        for index, split, position in [(0, "train", 0), (5, "train", 5), (6, "val", 0), (8, "val", 2), (12, "test", 3)]:
            [one] = source.read(index)
            np.testing.assert_allclose(one.image.pixels * 255, file[f"{split}_images"][position], atol=1e-4)
            assert one.targets == tuple(file[f"{split}_labels"][position])
            assert one.lesions == ()
    header = source.read(0)[0].image.header
    assert (header.modality, header.body_part, header.view) == ("DX", "CHEST", None)


def test_each_image_is_a_patient_of_its_own_whatever_the_machine(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    here = MedMnist(write(tmp_path / "pneumoniamnist.npz"))
    there = MedMnist(write(tmp_path / "elsewhere" / "pneumoniamnist.npz"))
    headers = [here.read(i)[0].image.header for i in range(len(here))]
    assert len({h.patient for h in headers}) == len({h.image for h in headers}) == 13
    assert headers == [there.read(i)[0].image.header for i in range(13)]
    assert all(len(h.patient) == 18 and h.patient.startswith("P-") for h in headers)
    assert here.fingerprint() == there.fingerprint()


def test_several_classes_are_one_hot_and_colours_become_grey(tmp_path: Path) -> None:
    source = MedMnist(write(tmp_path / "othermnist.npz", classes=3, channels=(3,)))
    assert source.labels == ("class_0", "class_1", "class_2")
    assert [source.read(i)[0].targets for i in range(3)] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    with np.load(source.path) as file:
        rgb = file["train_images"][1].astype(float) / 255
    grey = source.read(1)[0].image.pixels
    np.testing.assert_allclose(grey, 0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2], atol=1e-5)


def test_a_binary_subset_of_unknown_name_has_the_class_of_value_1(tmp_path: Path) -> None:
    source = MedMnist(write(tmp_path / "othermnist.npz"))
    assert source.labels == ("class_1",)
    assert [source.read(i)[0].targets for i in range(2)] == [(0,), (1,)]


def test_several_labels_at_once_stay_as_they_are(tmp_path: Path) -> None:
    labels = {f"{s}_labels": np.eye(n, 14, dtype=np.uint8) for s, n in [("train", 6), ("val", 3), ("test", 4)]}
    source = MedMnist(write(tmp_path / "chestmnist_64.npz", **labels))
    assert source.labels[:2] == ("atelectasis", "cardiomegaly")
    assert source.read(1)[0].targets == (0, 1, *(0,) * 12)


def test_a_changed_file_is_another(tmp_path: Path) -> None:
    before = MedMnist(write(tmp_path / "a.npz")).fingerprint()
    assert MedMnist(write(tmp_path / "a.npz", train_labels=np.ones((6, 1), np.uint8))).fingerprint() != before
    assert pickle.loads(pickle.dumps(MedMnist(tmp_path / "a.npz"))) == MedMnist(tmp_path / "a.npz")  # noqa: S301


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"val_images": None}, "KeyError"),
        ({"val_images": np.array([{"a": 1}], object)}, "ValueError"),
        ({"val_images": np.zeros((3, 9, 9))}, r"val_images of shape \(3, 9, 9\) and type float64"),
        ({"val_images": np.zeros((3, 9), np.uint8)}, r"expected uint8 of shape"),
        ({"val_labels": np.zeros((2, 1), np.uint8)}, r"val_labels of shape \(2, 1\)"),
        ({"val_labels": np.zeros(3, np.uint8)}, r"expected integers of shape \(3, 1\)"),
        ({"val_labels": np.zeros((3, 2), np.uint8)}, r"as many columns"),
    ],
)
def test_arrays_that_are_missing_or_odd_are_named(tmp_path: Path, replaced: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        MedMnist(write(tmp_path / "a.npz", **replaced))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x04]\x94.", b"\x93NUMPY"])
def test_a_broken_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npz: can't be read as a MedMNIST npz.*expected") as caught:
        MedMnist(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_a_truncated_file_and_a_plain_array_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.save(tmp_path / "plain.npy", np.zeros(3))
    for name in ("cut.npz", "plain.npy"):
        with pytest.raises(DataError, match="can't be read as a MedMNIST npz"):
            MedMnist(tmp_path / name)
    with pytest.raises(DataError, match=r"none\.npz: no such file"):
        MedMnist(tmp_path / "none.npz")


@pytest.mark.parametrize("name", sorted(SUBSETS))
@pytest.mark.parametrize("side", [28, 64])
def test_each_subset_has_its_labels_and_one_target_a_label(tmp_path: Path, name: str, side: int) -> None:
    subset = SUBSETS[name]
    k = len(subset.labels)
    several = subset.target is Target.SEVERAL
    columns = k if several else 1
    highest = 1 if several or subset.target is Target.BINARY else k - 2  # so that no image shows the last class
    labels = {
        f"{s}_labels": np.full((n, columns), highest, np.uint8) for s, n in (("train", 6), ("val", 3), ("test", 4))
    }
    images = {f"{s}_images": np.zeros((n, 5, 6, 7), np.uint8) for s, n in (("train", 6), ("val", 3), ("test", 4))}
    suffix = "" if side == 28 else f"_{side}"
    source = MedMnist(write(tmp_path / f"{name}{suffix}.npz", **labels, **(images if subset.volumes else {})))
    assert source.labels == subset.labels
    expected = (1.0,) * k if highest == 1 and subset.target is not Target.CLASS else np.eye(k)[highest]
    assert source.read(0)[0].targets == tuple(expected)
    assert source.read(0)[0].image.header.modality == subset.modality
    assert len(source.read(0)) == (5 if subset.volumes else 1)


def test_the_subsets_are_those_of_version_3(tmp_path: Path) -> None:
    """Source: Table 1 of MedMNIST v2: 12 subsets of images and 6 of volumes, and the sizes of MedMNIST+."""
    assert (len(SUBSETS), sum(s.volumes for s in SUBSETS.values())) == (18, 6)
    assert {tuple(s.md5) for s in SUBSETS.values() if s.volumes} == {(28, 64)}
    assert {tuple(s.md5) for s in SUBSETS.values() if not s.volumes} == {(28, 64, 128, 224)}
    assert len({md5 for s in SUBSETS.values() for md5 in s.md5.values()}) == 12 * 4 + 6 * 2
    found = remote("pneumoniamnist_224.npz")
    assert found is not None
    assert found.url == f"{medmnist_subsets.RECORD}/pneumoniamnist_224.npz?download=1"
    assert found.md5 == SUBSETS["pneumoniamnist"].md5[224]
    assert [remote(name) for name in ("mine.npz", "nodulemnist3d_224.npz", "chestmnist_x.npz")] == [None] * 3


def test_a_volume_is_the_chosen_slices_of_one_patient(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    volumes = {
        s: rng.integers(0, 256, (n, 5, 6, 7), dtype=np.uint8) for s, n in (("train", 6), ("val", 3), ("test", 4))
    }
    path = write(tmp_path / "nodulemnist3d.npz", **{f"{s}_images": v for s, v in volumes.items()})
    source = MedMnist(path, Slices(central=3))
    assert source.labels == ("malignant",)
    assert len(source) == 13
    slices = source.read(7)  # the second of val
    assert [one.image.header.frame for one in slices] == [1, 2, 3]
    assert [one.targets for one in slices] == [(1.0,)] * 3
    for z, one in enumerate(slices, start=1):
        np.testing.assert_allclose(one.image.pixels * 255, volumes["val"][1, z], atol=1e-4)
    assert len({one.image.header.patient for one in slices}) == 1
    assert len(MedMnist(path).read(0)) == 5
    assert source.fingerprint() != MedMnist(path).fingerprint()


def test_cohorts_of_classes_and_of_volumes(tmp_path: Path, cohort_of: Callable[[Source], Cohort]) -> None:
    grades = cohort_of(MedMnist(write(tmp_path / "retinamnist.npz", classes=3, channels=(3,))))
    assert grades.labels == ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4")
    assert grades.samples[2].targets == (0, 0, 1, 0, 0)
    volumes = {f"{s}_images": np.zeros((n, 4, 6, 7), np.uint8) for s, n in (("train", 6), ("val", 3), ("test", 4))}
    slices = cohort_of(MedMnist(write(tmp_path / "vesselmnist3d.npz", **volumes), Slices(central=2)))
    assert (slices.labels, len(slices)) == (("aneurysm",), 26)
    assert slices.official is not None
    assert {name: len(members) for name, members in slices.official.items()} == {"train": 12, "val": 6, "test": 8}
    assert [sample.targets for sample in slices.samples[:4]] == [(0,), (0,), (1,), (1,)]


def test_pixels_that_end_early_cost_only_their_images(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["val_images.npy"] = members["val_images.npy"][:-81]
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    source = MedMnist(path)
    before = source.read(7)[0].image.pixels
    with pytest.raises(DataError, match=r"val_images\.npy is damaged \(ValueError\)"):
        source.read(8)
    np.testing.assert_array_equal(source.read(7)[0].image.pixels, before)


def test_images_are_found_in_any_order(tmp_path: Path) -> None:
    source = MedMnist(write(tmp_path / "a.npz"))
    in_order = [source.read(i)[0].image.pixels for i in range(len(source))]
    for index in (12, 3, 3, 0, 11, 5, 4):
        np.testing.assert_array_equal(source.read(index)[0].image.pixels, in_order[index])


def test_a_class_that_the_subset_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a label of 11; expected one of 11 classes"):
        MedMnist(write(tmp_path / "organamnist.npz", train_labels=np.full((6, 1), 11, np.uint8)))


@pytest.mark.skipif(not REAL.is_file(), reason=f"no {REAL}; set RADVIT_SHARED to the folder of pneumoniamnist.npz")
def test_the_real_file_has_its_published_counts() -> None:
    source = MedMnist(REAL)
    assert {name: len(members) for name, members in source.official.items()} == {"train": 4708, "val": 524, "test": 624}
    positive = {name: sum(source.read(i)[0].targets[0] for i in source.official[name]) for name in ("val", "test")}
    assert positive == {"val": 389, "test": 390}
    mean = np.mean([source.read(i)[0].image.pixels.mean() for i in source.official["train"]])
    assert mean == pytest.approx(0.5719, abs=1e-4)
