from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from radvit.data.held import HeldPixels
from radvit.data.samples import Cohort

IMAGE = 32 * 32 * 3  # bytes of pixels and mask


@pytest.fixture
def cohort(make_cohort: Callable[..., Cohort], tmp_path: Path) -> Cohort:
    """Mapped from disk, with masks."""
    made = make_cohort(list(range(150)))
    np.save(tmp_path / "pixels.npy", made.pixels)
    np.save(tmp_path / "masks.npy", (made.pixels > 0.5).astype(np.uint8))
    pixels, masks = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("pixels", "masks"))
    return replace(made, pixels=pixels, masks=masks)


def same(held: HeldPixels, cohort: Cohort, index: int) -> bool:
    pixels, mask = held[index]
    assert mask is not None
    assert cohort.masks is not None
    return np.array_equal(pixels, cohort.pixels[index]) and np.array_equal(mask, cohort.masks[index])


@pytest.mark.parametrize(("most", "count"), [(0, 0), (IMAGE - 1, 0), (IMAGE, 1), (100 * IMAGE, 100), (1 << 40, 120)])
def test_as_many_as_fit_are_held_and_the_first_asked_for_first(cohort: Cohort, most: int, count: int) -> None:
    order = [*range(149, 29, -1), 149, 140]  # some twice
    held = HeldPixels(cohort, order, most)
    assert held.places.tolist() == sorted(order[:count])
    assert all(same(held, cohort, index) for index in range(150))


def test_what_is_held_does_not_need_the_file_any_more(cohort: Cohort) -> None:
    pixels = np.array(cohort.pixels)
    held = HeldPixels(replace(cohort, pixels=pixels), range(100), 1 << 30)
    before = pixels.copy()
    pixels[:] = 0
    assert all(np.array_equal(held[index][0], before[index]) for index in range(100))
    assert not held[120][0].any()


def test_progress_goes_to_the_end(cohort: Cohort) -> None:
    told: list[tuple[int, int]] = []
    HeldPixels(cohort, range(130), 1 << 30, lambda done, total: told.append((done, total)))
    assert told == [(64, 130), (128, 130), (130, 130)]
    HeldPixels(cohort, range(130), 0, lambda done, total: pytest.fail("nothing to hold"))


def test_without_masks_there_are_none(make_cohort: Callable[..., Cohort]) -> None:
    held = HeldPixels(make_cohort([0, 1]), [1], 1 << 20)
    assert held[0][1] is None
    assert held[1][1] is None


def test_an_empty_cohort_is_legal() -> None:
    empty = Cohort(np.zeros((0, 8, 8), np.float16), (), ("a",), "")
    assert len(HeldPixels(empty, [], 1 << 20).places) == 0


def test_a_mapped_file_travels_by_name_and_a_part_of_one_by_content(cohort: Cohort) -> None:
    held = HeldPixels(cohort, [], 0)
    packed = pickle.dumps(held)
    assert len(packed) < cohort.pixels.nbytes / 10
    assert same(pickle.loads(packed), cohort, 17)  # noqa: S301
    part = replace(cohort, pixels=cohort.pixels[5:9], masks=cohort.masks[5:9], samples=cohort.samples[5:9])  # type: ignore[index]
    back = pickle.loads(pickle.dumps(HeldPixels(part, [], 0)))  # noqa: S301
    assert same(back, part, 2)


def test_a_spawned_process_would_get_the_same_memory(cohort: Cohort) -> None:
    held = HeldPixels(cohort, range(10), 1 << 30)
    packed = ForkingPickler.dumps(held)  # as a loader sends it to a process that was not forked
    assert len(packed) < held[0][0].nbytes * 10
    there = ForkingPickler.loads(packed)
    assert same(there, cohort, 3)
    there[3][0][:] = 0.25
    assert (held[3][0] == 0.25).all()
