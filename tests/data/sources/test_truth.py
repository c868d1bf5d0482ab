from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radvit.data.sources.truth import Columns, Known, Mark, Runs, Truth, TruthFiles, by_name, names_of
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError
from radvit.records import Geometry, Header, Image

IMAGE = Image(np.zeros((6, 8), np.float32), Geometry(6, 8), Header("P-1", "1", "2", "3", "OT", sex="F"))


def test_names_from_the_strictest() -> None:
    assert names_of("train/a.b.png") == ("train/a.b.png", "train/a.b", "a.b.png", "a.b")
    assert names_of("a") == ("a",)
    assert names_of(".hidden") == (".hidden",)


def test_a_name_that_is_a_uid_counts_as_one_too() -> None:
    key = Pseudonymizer(b"k" * 32)
    uids = ["1.2.840.1", "2.25.288473462532400298916825173795391533919"]  # the second as DICOM makes one of a UUID
    found = by_name(dict.fromkeys([*uids, "00000001_000.png", "1.5"], Known()), key)
    names = {(name, 0) for name in (*uids, "00000001_000.png", "1.5")}
    assert set(found) == names | {(key.uid(uid), 0) for uid in uids}


def test_present_classes_and_marked_ones_are_targets() -> None:
    truth = Truth({("a", 0): Known((Mark(2, (0, 0, 2, 2)),), frozenset({0}))}, 4)
    found = truth.labelled(("a", 0), IMAGE)
    assert found.targets == (1, 0, 1, 0)
    assert found.mask is None
    assert truth.key(("x", "a"), 0) == ("a", 0)
    assert truth.key(("a",), 1) is None


def test_what_is_told_of_the_patient_goes_into_the_header() -> None:
    told = Known(patient="P-2", view="AP", sex="M", age="050Y")
    truth = Truth({("a", 0): told, ("b", 0): Known()}, 1)
    header = truth.labelled(("a", 0), IMAGE).image.header
    assert (header.patient, header.view, header.sex, header.age) == ("P-2", "AP", "M", "050Y")
    removed = truth.labelled(("a", 0), replace(IMAGE, header=replace(IMAGE.header, sex=None)), characteristics=False)
    assert (removed.image.header.patient, removed.image.header.sex, removed.image.header.age) == ("P-2", None, None)
    assert truth.labelled(("b", 0), IMAGE).image.header == IMAGE.header


def test_runs_of_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    for counts in ([3, 4, 10, 2], [0, 48], [], [5], [1] * 20):
        flat = np.zeros(48, bool)
        place, inside = 0, False
        for count in counts:
            flat[place : place + count] = inside
            place, inside = place + count, not inside
        np.testing.assert_array_equal(Runs.of_counts(counts, 6, 8).plane(), flat.reshape(8, 6).T)
    for counts in ([49], [40, 9], [5, -1]):
        with pytest.raises(DataError, match="run lengths that leave an image of 6 x 8 pixels"):
            Runs.of_counts(counts, 6, 8)
    mask = rng.random((6, 8)) < 0.5
    with pytest.raises(DataError, match=r"image of \(6, 8\) pixels; the mask is of \(8, 6\)"):
        Mark(0, runs=Runs.of_counts([0, int(mask.sum())], 8, 6)).lesions(6, 8)


def test_a_hash_over_all_that_the_truth_is_read_from(tmp_path: Path) -> None:
    main, boxes = tmp_path / "truth.csv", tmp_path / "elsewhere" / "boxes.csv"
    boxes.parent.mkdir()
    main.write_text("a")
    boxes.write_text("b")
    files = TruthFiles(main, boxes)
    digests = {files.digest(), TruthFiles(main).digest()}
    digests |= {replace(files, agreement=2).digest(), replace(files, columns=Columns("x")).digest()}
    boxes.write_text("c")
    digests.add(files.digest())
    (tmp_path / "test_list.txt").write_text("x")
    digests.add(files.digest())
    assert len(digests) == 6
    folder = TruthFiles(boxes.parent)
    (boxes.parent / "a.txt").write_text("x")
    before = folder.digest()
    (boxes.parent / "a.txt").rename(boxes.parent / "b.txt")
    assert folder.digest() != before
