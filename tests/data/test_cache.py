from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radvit.data.cache import cache_key, load_cohort
from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

FITTING = Preprocess(24)
LOADER = Loader(Pseudonymizer(b"k" * 32))


def assert_same(a: Cohort, b: Cohort) -> None:
    np.testing.assert_array_equal(a.pixels, b.pixels)
    assert (a.samples, a.labels, a.fingerprint, a.failed) == (b.samples, b.labels, b.fingerprint, b.failed)


@pytest.fixture(scope="module")
def radiographs(
    tmp_path_factory: pytest.TempPathFactory,
    write_radiograph: Callable[..., str],
    write_truth: Callable[..., Path],
    identity: tuple[bytes, ...],
) -> Path:
    """Twenty files whose very names hold a patient's name, one that is broken and one whose name sorts first."""
    folder = tmp_path_factory.mktemp("pacs")
    name = identity[0].decode()
    uids = [write_radiograph(folder / "dicom" / f"{name}-{i:02d}" / "1.dcm", i, patient=i // 2) for i in range(20)]
    (folder / "dicom" / f"A {name}.dcm").write_bytes(b"no dicom at all")
    write_truth(folder / "truth.json", uids, [[[4, 5, 20, 10]] if i % 3 == 0 else [] for i in range(20)])
    return folder


def dicom_folder(radiographs: Path, **options: Any) -> DicomFolder:
    arguments = {"loader": LOADER, "truth": radiographs / "truth.json", "labels": ("nodule",), **options}
    return DicomFolder(radiographs / "dicom", **arguments)


def test_a_cached_array_equals_a_fresh_one_bit_for_bit(source: Any, tmp_path: Path) -> None:
    cohort = load_cohort(source, FITTING, tmp_path / "cache", 0)
    assert cohort.pixels.shape == (12, 24, 24)
    assert cohort.pixels.dtype == np.float16
    assert isinstance(cohort.pixels, np.memmap)
    for index, sample in enumerate(cohort.samples):
        [fresh] = source.read(index)
        pixels, placement = FITTING.apply(fresh.image.pixels)
        np.testing.assert_array_equal(cohort.pixels[index], pixels)
        assert sample.placement == placement
        assert (sample.header, sample.lesions, sample.targets) == (fresh.image.header, fresh.lesions, fresh.targets)


def test_a_second_opening_reads_nothing(source: Any, tmp_path: Path) -> None:
    first = load_cohort(source, FITTING, tmp_path / "cache", 0)
    second = load_cohort(source, FITTING, tmp_path / "cache", 0)
    assert source.readings() == 12
    assert_same(first, second)


def test_another_source_or_size_is_another_cache_and_mean_and_std_are_not(source: Any, tmp_path: Path) -> None:
    keys = [
        cache_key(s, p) for s, p in [(source, FITTING), (replace(source, seed=1), FITTING), (source, Preprocess(25))]
    ]
    assert len(set(keys)) == 3
    assert cache_key(source, Preprocess(24, mean=0.1, std=0.9)) == keys[0]
    assert cache_key(source, Preprocess(24, crop_border=True)) not in keys
    a = load_cohort(source, FITTING, tmp_path / "cache", 0)
    b = load_cohort(replace(source, seed=1), FITTING, tmp_path / "cache", 0)
    assert a.fingerprint != b.fingerprint


def test_a_bad_item_costs_only_itself(source: Any, tmp_path: Path, identity: tuple[bytes, ...]) -> None:
    bad = replace(source, bad=(3, 7), official={"train": (0, 1, 3, 4), "val": (7, 8), "test": (11,)})
    cohort = load_cohort(bad, FITTING, tmp_path / "cache", 0)
    assert len(cohort) == 10
    assert cohort.failed == 2
    assert cohort.official == {"train": (0, 1, 3), "val": (6,), "test": (9,)}
    assert cohort.samples[6].header == source.read(8)[0].image.header
    [path] = (tmp_path / "cache").glob("*/failures.csv")
    with path.open() as file:
        assert list(csv.reader(file)) == [["position", "reason"], ["4", "not-grayscale"], ["8", "not-grayscale"]]
    assert identity[0].decode() not in path.read_text()


def test_all_bad_is_an_error_that_leaves_nothing(source: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"made up: none of 12 files could be read: not-grayscale \(12\)"):
        load_cohort(replace(source, bad=tuple(range(12))), FITTING, tmp_path / "cache", 0)
    with pytest.raises(DataError, match="there are none"):
        load_cohort(replace(source, count=0), FITTING, tmp_path / "cache", 0)
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_images_that_the_truth_does_not_name_are_told_of_as_such(source: Any, tmp_path: Path) -> None:
    class Unnamed(type(source)):  # type: ignore[misc]
        def read(self, index: int) -> Any:
            raise DataError("the truth has no such image")

    with pytest.raises(DataError, match=r"truth \(12\); truth means: not named in data\.truth, or of another size"):
        load_cohort(Unnamed(source.notes), FITTING, tmp_path / "cache", 0)


def test_the_same_image_twice_is_taken_once(source: Any, tmp_path: Path) -> None:
    class Twice(type(source)):  # type: ignore[misc]
        def read(self, index: int) -> Any:
            return super().read(index % 3)

    cohort = load_cohort(Twice(source.notes, count=5), FITTING, tmp_path / "cache", 0)
    assert len(cohort) == 3
    assert cohort.failed == 2


def test_progress_counts_to_the_end(source: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    load_cohort(source, FITTING, tmp_path / "cache", 0, lambda done, total: told.append((done, total)))
    assert told == [(i, 12) for i in range(1, 13)]


def test_two_builders_at_once_read_every_item_once(source: Any, tmp_path: Path) -> None:
    class Slow(type(source)):  # type: ignore[misc]
        def read(self, index: int) -> Any:
            time.sleep(0.02)
            return super().read(index)

    slow = Slow(source.notes)
    cohorts: list[Cohort] = []
    threads = [
        threading.Thread(target=lambda: cohorts.append(load_cohort(slow, FITTING, tmp_path / "cache", 0)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.readings() == 12
    assert len(cohorts) == 3
    assert_same(cohorts[0], cohorts[2])


@dataclass
class MaskedSource:
    """The items of a source with masks for those of some numbers."""

    inner: Any
    masked: tuple[int, ...] = tuple(range(12))
    seed: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __len__(self) -> int:
        return len(self.inner)

    def read(self, index: int) -> Any:
        [one] = self.inner.read(index)
        mask = np.random.default_rng([self.seed, index]).integers(0, 2, (20, 16)).astype(np.uint8) * 3
        return [replace(one, mask=mask if index in self.masked else None)]


def test_cached_masks_equal_fresh_ones_bit_for_bit(source: Any, tmp_path: Path) -> None:
    masked = MaskedSource(source)
    for cohort in (load_cohort(masked, FITTING, tmp_path / "cache", 0) for _ in range(2)):  # built, then opened
        assert isinstance(cohort.masks, np.memmap)
        assert (cohort.masks.shape, cohort.masks.dtype) == ((12, 24, 24), np.uint8)
        for index in range(12):
            np.testing.assert_array_equal(cohort.masks[index], FITTING.apply_mask(masked.read(index)[0].mask))


def test_masks_that_come_late_leave_earlier_images_empty_and_positives_without_one_are_told(
    source: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cohort = load_cohort(MaskedSource(source, (5, 9)), FITTING, tmp_path / "cache", 0)
    assert cohort.masks is not None
    assert [bool(mask.any()) for mask in cohort.masks] == [i in (5, 9) for i in range(12)]
    assert "3 positive images have no mask" in caplog.text  # 0, 3 and 6


def test_without_masks_there_is_no_such_file_and_the_fingerprint_covers_them(source: Any, tmp_path: Path) -> None:
    plain = load_cohort(source, FITTING, tmp_path / "plain", 0)
    assert plain.masks is None
    assert not list((tmp_path / "plain").glob("*/masks.npy"))
    prints = {plain.fingerprint}
    for name, masked in (("a", MaskedSource(source)), ("b", MaskedSource(source, seed=1))):
        prints.add(load_cohort(masked, FITTING, tmp_path / name, 0).fingerprint)
        assert len(list((tmp_path / name).glob("*/masks.npy"))) == 1
    assert len(prints) == 3


def test_a_mask_of_another_size_costs_only_its_image(source: Any, tmp_path: Path) -> None:
    class Odd(MaskedSource):
        def read(self, index: int) -> Any:
            [one] = super().read(index)
            return [replace(one, mask=one.mask[1:] if index == 2 else one.mask)]

    cohort = load_cohort(Odd(source), FITTING, tmp_path / "cache", 0)
    assert (len(cohort), cohort.failed) == (11, 1)
    [path] = (tmp_path / "cache").glob("*/failures.csv")
    assert path.read_text().split() == ["position,reason", "3,truth"]


def test_a_lost_mask_file_says_what_to_do(source: Any, tmp_path: Path) -> None:
    load_cohort(MaskedSource(source), FITTING, tmp_path / "cache", 0)
    [path] = (tmp_path / "cache").glob("*/masks.npy")
    path.unlink()
    with pytest.raises(DataError, match="delete this folder to build it again"):
        load_cohort(MaskedSource(source), FITTING, tmp_path / "cache", 0)


def test_what_a_killed_builder_left_is_cleared(source: Any, tmp_path: Path) -> None:
    left = tmp_path / "cache" / f".{cache_key(source, FITTING)}-abc"
    left.mkdir(parents=True)
    (left / "pixels.npy").write_bytes(b"half")
    assert len(load_cohort(source, FITTING, tmp_path / "cache", 0)) == 12
    assert not left.exists()


@pytest.mark.parametrize("name", ["index.json", "pixels.npy"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x93NUMPY"])
def test_a_damaged_cache_says_what_to_do(source: Any, tmp_path: Path, name: str, content: bytes) -> None:
    load_cohort(source, FITTING, tmp_path / "cache", 0)
    [path] = (tmp_path / "cache").glob(f"*/{name}")
    path.write_bytes(content)
    with pytest.raises(DataError, match="delete this folder to build it again"):
        load_cohort(source, FITTING, tmp_path / "cache", 0)


def test_processes_give_the_same_as_none_and_no_identity_reaches_the_disk(
    radiographs: Path, tmp_path: Path, identity: tuple[bytes, ...]
) -> None:
    alone = load_cohort(dicom_folder(radiographs), FITTING, tmp_path / "alone", 0)
    pooled = load_cohort(dicom_folder(radiographs), FITTING, tmp_path / "pooled", 2)
    assert_same(alone, pooled)
    assert len(pooled) == 20
    assert [bool(s.lesions) for s in pooled.samples] == [i % 3 == 0 for i in range(20)]
    files = [file for file in (tmp_path / "pooled").rglob("*") if file.is_file()]
    assert len(files) == 4
    for file in files:
        content = file.read_bytes()
        assert not [known for known in identity if known in content or known in str(file).encode()]
        assert str(radiographs).encode() not in content
    [failures] = (tmp_path / "pooled").glob("*/failures.csv")
    assert failures.read_text().split() == ["position,reason", "1,not-dicom"]


def test_anything_that_matters_changes_the_key(
    radiographs: Path, write_truth: Callable[..., Path], tmp_path: Path
) -> None:
    before = cache_key(dicom_folder(radiographs), FITTING)
    assert cache_key(dicom_folder(radiographs), FITTING) == before
    keys = {before}
    other_truth = write_truth(tmp_path / "truth.json", ["1.2"], [[]])
    for options in (
        {"loader": Loader(Pseudonymizer(b"K" * 32))},
        {"truth": other_truth},
        {"truth": None},
        {"labels": ("mass",)},
    ):
        keys.add(cache_key(dicom_folder(radiographs, **options), FITTING))
    file = next((radiographs / "dicom").rglob("1.dcm"))
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    keys.add(cache_key(dicom_folder(radiographs), FITTING))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert len(keys) == 6
    assert cache_key(dicom_folder(radiographs), FITTING) == before


def test_content_has_the_same_fingerprint_under_another_key(radiographs: Path, tmp_path: Path) -> None:
    first = load_cohort(dicom_folder(radiographs), FITTING, tmp_path, 0)
    other = load_cohort(dicom_folder(radiographs, loader=Loader(Pseudonymizer(b"K" * 32))), FITTING, tmp_path, 0)
    assert first.samples[0].header.patient != other.samples[0].header.patient
    assert first.fingerprint == other.fingerprint


CRASHING = """
import os, sys
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from radvit.data.cache import load_cohort
from radvit.data.preprocess import Preprocess
from radvit.data.sources import Labelled
from radvit.records import Geometry, Header, Image

class Crashing:
    name, labels, light, official = "made up", ("nodule",), False, None
    def fingerprint(self): return "x"
    def __len__(self): return 30
    def read(self, index):
        if index == 11:
            os._exit(9)
        header = Header("P-1", "1", "2", str(index), "DX")
        return [Labelled(Image(np.full((4, 4), index / 30, np.float32), Geometry(4, 4), header), (0.0,))]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    cohort = load_cohort(Crashing(), Preprocess(4), folder, 2)
    print([s.header.image for s in cohort.samples] == [str(i) for i in range(30) if i != 11])
    print(next(folder.glob("*/failures.csv")).read_text().split())
"""


def test_a_file_that_kills_its_process_costs_only_itself(tmp_path: Path) -> None:
    script = tmp_path / "crash.py"
    script.write_text(CRASHING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cache")], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split("\n")[:2] == ["True", "['position,reason', '12,crashed']"]
