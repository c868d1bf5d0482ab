from dataclasses import replace

import cv2
import numpy as np
import pytest

from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.seen import overlaps, training_images
from radvit.data.splits import Splits
from radvit.records import Geometry, Header
from radvit.run.unseen import confirmed

SIDE = 128


def drawn(seed, ground=99):
    """A picture of low frequencies, which hashes are made of, and fine detail, which tells images apart."""
    low, fine = (np.random.default_rng(one).random((n, n), np.float32) for one, n in ((ground, 22), (seed, 64)))
    low, fine = (cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for one in (low, fine))
    return low + fine - cv2.GaussianBlur(fine, (0, 0), 2.0)


@pytest.fixture
def cohort():
    """Six images: the fourth shares its low frequencies with the first, the sixth is the first, dimmed."""
    pictures = [drawn(0), drawn(1, 11), drawn(2, 12), drawn(3), drawn(4, 14), 0.9 * drawn(0)]
    samples = tuple(
        Sample(
            Header(f"P-{i}", f"2.25.1{i}", "2.25.2", f"2.25.3{i}", "CR"),
            Geometry(SIDE, SIDE),
            Preprocess(SIDE).placement((SIDE, SIDE)),
            (0.0,),
            (),
        )
        for i in range(len(pictures))
    )
    pixels = (np.stack(pictures).clip(-1.5, 2.5) + 1.5) / 4
    return Cohort(pixels.astype(np.float16), samples, ("nodule",), "f")


def splits_of(cohort, *test):
    return Splits((0, 1), (2,), test, tuple(sample.name for sample in cohort.samples))


def test_what_looks_alike_by_its_hash_alone_was_not_seen(cohort):
    splits = splits_of(cohort, 3, 4)
    found = overlaps(training_images(cohort, splits), cohort, splits.test)
    assert [(one.split, one.look_alikes) for one in found] == [("train", 1)]  # the hash takes it for the first
    assert confirmed(found, cohort, splits, "test") == []


def test_what_looks_alike_in_truth_stays_seen(cohort):
    splits = splits_of(cohort, 3, 5)
    found = overlaps(training_images(cohort, splits), cohort, splits.test)
    assert [one.look_alikes for one in found] == [2]
    (left,) = confirmed(found, cohort, splits, "test")
    assert (left.split, left.images, left.patients, left.look_alikes) == ("train", 0, 0, 1)


def test_what_an_earlier_training_saw_can_not_be_confirmed_here_and_stays(cohort):
    splits = splits_of(cohort, 3, 4)
    (found,) = overlaps(training_images(cohort, splits), cohort, splits.test)
    (left,) = confirmed([replace(found, look_alikes=found.look_alikes + 1)], cohort, splits, "test")
    assert left.look_alikes == 1
