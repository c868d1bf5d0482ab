"""Which images a model learns from, is tuned on and is measured on; no patient stands in two of the three."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radvit.data.samples import Cohort, Sample
from radvit.errors import DataError

FORMAT = "radvit.splits/1"
NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Splits:
    """Indices into a cohort's samples. images: the pseudonymous UID of every sample, in the cohort's order."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    images: tuple[str, ...]

    def __post_init__(self) -> None:
        every = [i for name in NAMES for i in self[name]]
        if len(set(every)) != len(every):
            raise DataError("an image stands in a split twice or in two splits")
        if every and not 0 <= min(every) <= max(every) < len(self.images):
            raise DataError(f"splits name image {max(every)} or {min(every)} of {len(self.images)}")

    def __getitem__(self, name: str) -> tuple[int, ...]:
        """The indices of a split by its name."""
        if name not in NAMES:
            raise DataError(f"split {name!r}; expected one of {', '.join(NAMES)}")
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    @property
    def hash(self) -> str:
        """The sha256 over the sorted image UIDs of each split, hex."""
        parts = [",".join(sorted(self.images[i] for i in self[name])) for name in NAMES]
        return hashlib.sha256(";".join(parts).encode()).hexdigest()


def split_by_patient(
    samples: Sequence[Sample], fractions: tuple[float, float, float] = (0.7, 0.1, 0.2), seed: int = 0
) -> Splits:
    """Divide patients at random, those with any positive image apart from those without.

    fractions: of the patients, for train, val and test; they add up to 1. Patients count in the order of their first
    image and not by their pseudonym, so that a split does not depend on the pseudonyms' key. Raises DataError where a
    split would be empty.
    """
    _check_fractions(fractions)
    images_of: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        images_of.setdefault(sample.header.patient, []).append(index)
    patients = list(images_of.values())
    positive = np.array([any(samples[i].positive for i in images) for images in patients], bool)
    part = _assign(positive, fractions, np.random.default_rng(seed))
    chosen = [tuple(sorted(i for p in np.flatnonzero(part == s) for i in patients[p])) for s in range(3)]
    empty = [name for name, images, want in zip(NAMES, chosen, fractions, strict=True) if want > 0 and not images]
    if empty:
        raise DataError(f"{len(patients)} patients are too few for a {' and a '.join(empty)} split of {fractions}")
    splits = Splits(chosen[0], chosen[1], chosen[2], _uids(samples))
    check_disjoint(samples, splits)
    return splits


def official_splits(cohort: Cohort) -> Splits:
    """The source's own splits. Raises DataError where it has none."""
    if cohort.official is None:
        raise DataError("the data set has no official splits; expected data.split.official=false")
    train, val, test = (tuple(cohort.official[name]) for name in NAMES)
    return Splits(train, val, test, _uids(cohort.samples))


def check_disjoint(samples: Sequence[Sample], splits: Splits) -> None:
    """Raise DataError where a patient has images in more than one split."""
    patients = [{samples[i].header.patient for i in splits[name]} for name in NAMES]
    shared = (patients[0] & patients[1]) | (patients[0] & patients[2]) | (patients[1] & patients[2])
    if shared:
        raise DataError(f"{len(shared)} patients stand in two splits, such as {min(shared)}")


def save_splits(path: Path, splits: Splits, samples: Sequence[Sample]) -> None:
    """Write the pseudonymous image UIDs of each split, and their hash, as JSON."""
    if _uids(samples) != splits.images:
        raise DataError("the splits were made for other samples than these")
    record = {
        "format": FORMAT,
        "hash": splits.hash,
        "splits": {name: [splits.images[i] for i in splits[name]] for name in NAMES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_splits(path: Path, samples: Sequence[Sample]) -> Splits:
    """Read splits and find their images among the samples.

    Raises DataError where the file is no splits file, was changed, or names images that are not there; images of no
    split are left out of all three.
    """
    record = _read(path)
    place = {uid: i for i, uid in enumerate(_uids(samples))}
    named = [uid for name in NAMES for uid in record["splits"][name]]
    missing = [uid for uid in named if uid not in place]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of its {len(named)} images are not in this data set, such as {missing[0]}; "
            "expected the data and the pseudonym key it was made with"
        )
    train, val, test = (tuple(place[uid] for uid in record["splits"][name]) for name in NAMES)
    splits = Splits(train, val, test, _uids(samples))
    if splits.hash != record["hash"]:
        raise DataError(f"{path}: the images don't match the hash beside them; the file was changed")
    return splits


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        good = record["format"] == FORMAT and isinstance(record["hash"], str)
        good = good and all(isinstance(uid, str) for name in NAMES for uid in record["splits"][name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: can't be read as splits ({type(error).__name__})") from error
    if not good:
        raise DataError(f"{path}: no splits of the form {FORMAT}")
    return dict(record)


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    if min(fractions) < 0 or not np.isclose(sum(fractions), 1):
        raise DataError(f"split fractions {fractions}; expected three numbers of at least 0 that add up to 1")


def _assign(
    positive: np.ndarray[tuple[int], np.dtype[np.bool_]],
    fractions: tuple[float, float, float],
    rng: np.random.Generator,
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Split number, 0 to 2, of every patient. positive: (P,).

    Both strata are shuffled and laid one after another; every patient then goes to the split that is furthest behind
    its share, so that sizes are off by less than one patient overall and each stratum is spread evenly.
    """
    order = np.concatenate([rng.permutation(np.flatnonzero(positive)), rng.permutation(np.flatnonzero(~positive))])
    share = np.array(fractions)
    part, filled = np.zeros(len(positive), np.int64), np.zeros(3)
    for done, patient in enumerate(order, start=1):
        behind = np.where(share > 0, share * done - filled, -np.inf)
        part[patient] = behind.argmax()
        filled[part[patient]] += 1
    return part


def _uids(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(sample.name for sample in samples)
