"""What a model was trained on, as a record small enough to travel with it, and what of other images it knows.

The record holds digests of pixels, patients' pseudonyms and looks, sorted: it can tell that an image is known, not what
it shows or whose it is. 48 bytes an image and 8 a patient, in base 64 by a third more.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radvit.data.checks.duplicates import SIDE, digest, perceptual_hash, thumbnails
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import DataError
from radvit.plural import counted

FORMAT = "radvit.training-images/1"
PARTS = ("train", "val")
FREQUENCIES = 16  # so 256 bits: without the pixels at hand, 64 take different patients for one
WORDS = FREQUENCIES**2 // 64  # of a look
MOST_BITS = 28  # that may differ; see docs/check.md

Numbers = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Known:
    """Images of one split as numbers. pixels: (N,), sorted. patients: (P,), sorted. looks: (M, 4), sorted."""

    pixels: Numbers
    patients: Numbers
    looks: Numbers


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of some images a model knows. images, patients: of the measured ones; look_alikes: of the images.

    split: whether it was `train` or `val` that knew them.
    """

    split: str
    images: int
    patients: int
    look_alikes: int

    def __str__(self) -> str:
        parts = {
            "equal image": self.images,
            "image that looks the same": self.look_alikes,
            "patient": self.patients,
        }
        many = {"image that looks the same": "images that look the same"}
        told = [counted(count, noun, many.get(noun, "")) for noun, count in parts.items() if count]
        return f"{' and '.join(told)} {'trained on' if self.split == 'train' else 'tuned on'}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {"images": self.images, "look_alikes": self.look_alikes, "patients": self.patients}
        return {"split": self.split, **values}


def known_images(cohort: Cohort, indices: Sequence[int]) -> Known:
    """The digests of some images."""
    pixels = np.frombuffer(b"".join(digest(cohort.pixels[i]) for i in indices), np.uint64)
    patients = {cohort.samples[i].header.patient for i in indices}
    names = (hashlib.blake2b(patient.encode(), digest_size=8).digest() for patient in patients)
    looks = perceptual_hash(thumbnails(cohort, indices, SIDE), FREQUENCIES)
    order = np.lexsort(looks.T)
    return Known(np.sort(pixels), np.sort(np.frombuffer(b"".join(names), np.uint64)), looks[order])


def training_images(cohort: Cohort, splits: Splits) -> dict[str, Known]:
    """What a model that is trained on these splits knows, by split."""
    return {name: known_images(cohort, splits[name]) for name in PARTS}


def united(one: Mapping[str, Known], other: Mapping[str, Known]) -> dict[str, Known]:
    """What either of two records knows, by split."""
    return {name: _united(one[name], other[name]) for name in PARTS}


def overlaps(known: Mapping[str, Known], cohort: Cohort, indices: Sequence[int]) -> list[Overlap]:
    """What of some images is known, of train first; an empty list where nothing is."""
    asked = known_images(cohort, indices)
    found = [_overlap(name, known[name], asked) for name in PARTS]
    return [one for one in found if one.images or one.patients or one.look_alikes]


def save_training_images(path: Path, known: Mapping[str, Known]) -> None:
    """Write the record as JSON."""
    parts = {
        name: {"pixels": _text(one.pixels), "patients": _text(one.patients), "looks": _text(one.looks)}
        for name, one in known.items()
    }
    path.write_text(json.dumps({"format": FORMAT, **parts}, indent=1) + "\n", encoding="utf-8")


def load_training_images(path: Path) -> dict[str, Known]:
    """Read a record. Raises DataError where the file is missing or none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise DataError(f"{path}: no record of the form {FORMAT}")
        return {name: _known(record[name]) for name in PARTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: can't be read as a record of training images ({type(error).__name__})") from error


def _united(one: Known, other: Known) -> Known:
    looks = np.unique(np.concatenate([one.looks, other.looks]), axis=0)
    return Known(np.union1d(one.pixels, other.pixels), np.union1d(one.patients, other.patients), looks)


def _overlap(split: str, known: Known, asked: Known) -> Overlap:
    patients = int(np.isin(asked.patients, known.patients).sum())
    equal = int(np.isin(asked.pixels, known.pixels).sum())
    near = sum(_is_near(look, known.looks) for look in asked.looks)
    return Overlap(split, equal, patients, max(0, near - equal))


def _is_near(look: Numbers, others: Numbers) -> bool:
    """Whether a look, (4,), differs in few bits from one of others, (N, 4)."""
    bits = np.bitwise_count(look ^ others).sum(1, dtype=np.int64)
    return bool((bits <= MOST_BITS).any())


def _text(numbers: Numbers) -> str:
    return base64.b64encode(numbers.astype(">u8").tobytes()).decode("ascii")


def _known(record: Mapping[str, str]) -> Known:
    pixels, patients, looks = (
        np.frombuffer(base64.b64decode(record[name], validate=True), ">u8").astype(np.uint64)
        for name in ("pixels", "patients", "looks")
    )
    return Known(pixels, patients, looks.reshape(-1, WORDS))
