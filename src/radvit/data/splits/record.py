"""Which images a model learns from, is tuned on and is measured on, in memory and as splits.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvit.data.samples import Sample
from radvit.errors import DataError
from radvit.plural import counted

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


def check_disjoint(samples: Sequence[Sample], splits: Splits) -> None:
    """Raise DataError where a patient has images in more than one split."""
    patients = [{samples[i].header.patient for i in splits[name]} for name in NAMES]
    shared = (patients[0] & patients[1]) | (patients[0] & patients[2]) | (patients[1] & patients[2])
    if shared:
        raise DataError(f"{counted(len(shared), 'patient')} in two splits, such as {min(shared)}")


def save_splits(path: Path, splits: Splits, samples: Sequence[Sample]) -> None:
    """Write the pseudonymous image UIDs of each split, and their hash, as JSON."""
    if uids(samples) != splits.images:
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
    place = {uid: i for i, uid in enumerate(uids(samples))}
    named = [uid for name in NAMES for uid in record["splits"][name]]
    missing = [uid for uid in named if uid not in place]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of its {len(named)} images are not in this data set, such as {missing[0]}; "
            "expected the data and the pseudonym key it was made with"
        )
    train, val, test = (tuple(place[uid] for uid in record["splits"][name]) for name in NAMES)
    splits = Splits(train, val, test, uids(samples))
    if splits.hash != record["hash"]:
        raise DataError(f"{path}: the images don't match the hash beside them; the file was changed")
    return splits


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        good = record["format"] == FORMAT and isinstance(record["hash"], str)
        good = good and all(isinstance(uid, str) for name in NAMES for uid in record["splits"][name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: can't be read as splits ({type(error).__name__}); expected a run's splits.json, or a CSV"
        ) from error
    if not good:
        raise DataError(f"{path}: no splits of the form {FORMAT}")
    return dict(record)


def uids(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The pseudonymous UID of every sample."""
    return tuple(sample.name for sample in samples)
