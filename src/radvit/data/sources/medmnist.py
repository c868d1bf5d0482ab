"""MedMNIST's npz files (Yang et al., MedMNIST v2, Scientific Data 2023): small images with official splits."""

from __future__ import annotations

import base64
import hashlib
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radvit.data.sources.base import Labelled
from radvit.errors import DataError
from radvit.records import FloatArray, Geometry, Header, Image

SPLITS = ("train", "val", "test")
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in PIL's mode L


@dataclass(frozen=True, slots=True)
class Subset:
    """What is known of a MedMNIST subset: class names, and the header of its images (the file has none)."""

    labels: tuple[str, ...]
    modality: str = "OT"
    body_part: str | None = None


CHEST = (
    "atelectasis",
    "cardiomegaly",
    "effusion",
    "infiltration",
    "mass",
    "nodule",
    "pneumonia",
    "pneumothorax",
    "consolidation",
    "edema",
    "emphysema",
    "fibrosis",
    "pleural",
    "hernia",
)

# A binary subset has one label: the class of value 1. Names from medmnist/info.py of MedMNIST v2.
SUBSETS = {
    "pneumoniamnist": Subset(("pneumonia",), "DX", "CHEST"),
    "chestmnist": Subset(CHEST, "DX", "CHEST"),
}


@dataclass(frozen=True)
class Arrays:
    """The content of a file: images uint8, (N, R, C) or (N, R, C, 3), and targets (N, K), in the order of SPLITS."""

    images: tuple[npt.NDArray[np.uint8], ...]
    targets: tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True)
class MedMnist:
    """One MedMNIST file, such as pneumoniamnist.npz. Raises DataError where it is missing or something else.

    Patients are unknown in these files, so that each image counts as a patient of its own.
    """

    path: Path

    def __post_init__(self) -> None:
        self._arrays()

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names where the subset is known, else class_0 and so on; class_1 alone for a binary subset."""
        k = self._arrays().targets[0].shape[1]
        known = self._subset().labels
        if len(known) == k:
            return known
        return ("class_1",) if k == 1 else tuple(f"class_{i}" for i in range(k))

    @property
    def light(self) -> bool:
        """True: all images are in memory."""
        return True

    @property
    def official(self) -> Mapping[str, tuple[int, ...]]:
        """The published splits."""
        ends = self._ends()
        return {s: tuple(range(*span)) for s, span in zip(SPLITS, pairwise([0, *ends]), strict=True)}

    def fingerprint(self) -> str:
        """The sha256 of the file and its subset's name."""
        digest = hashlib.sha256(self._stem().encode())
        digest.update(self.path.read_bytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return sum(len(x) for x in self._arrays().images)

    def read(self, index: int) -> list[Labelled]:
        """One image with its targets."""
        arrays = self._arrays()
        ends = self._ends()
        at = bisect_right(ends, index)
        position = index - (0, *ends)[at]
        pixels = _grey(arrays.images[at][position])
        image = Image(pixels, Geometry(*pixels.shape), self._header(SPLITS[at], position))
        return [Labelled(image, tuple(float(t) for t in arrays.targets[at][position]))]

    def _header(self, split: str, position: int) -> Header:
        # every UID is derived from the place in the published file, so that it is the same for everybody
        pseudonym, *uids = (
            hashlib.sha256(f"{what}:{self._stem()}:{split}:{position}".encode())
            for what in ("patient", "study", "series", "image")
        )
        study, series, image = (f"2.25.{int.from_bytes(uid.digest()[:16])}" for uid in uids)
        subset = self._subset()
        patient = "P-" + base64.b32encode(pseudonym.digest()).decode()[:16]
        return Header(patient, study, series, image, subset.modality, subset.body_part, window="8-bit, as published")

    def _ends(self) -> list[int]:
        return list(accumulate(len(x) for x in self._arrays().images))

    def _stem(self) -> str:
        return self.path.stem.lower()

    def _subset(self) -> Subset:
        return SUBSETS.get(self._stem().split("_")[0], Subset(()))

    def _arrays(self) -> Arrays:
        try:
            stat = self.path.stat()
        except OSError as error:
            raise DataError(f"{self.path}: no such file; expected a MedMNIST npz, see data/README.md") from error
        return _load(self.path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _load(path: Path, size: int, mtime_ns: int) -> Arrays:
    """Read and check a file; size and mtime_ns make a changed file another entry of the cache."""
    try:
        with np.load(path, allow_pickle=False) as file:
            images = tuple(file[f"{split}_images"] for split in SPLITS)
            labels = tuple(file[f"{split}_labels"] for split in SPLITS)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: can't be read as a MedMNIST npz ({type(error).__name__}); "
            "expected {train,val,test}_images and {train,val,test}_labels, see data/README.md"
        ) from error
    for split, x, y in zip(SPLITS, images, labels, strict=True):
        _check(path, split, x, y)
    columns = sorted({y.shape[1] for y in labels})
    if len(columns) > 1:
        raise DataError(f"{path}: labels with {columns} columns; expected as many columns in every split")
    return Arrays(images, _targets(labels))


def _check(path: Path, split: str, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> None:
    grey_or_rgb = images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)
    if images.dtype != np.uint8 or not grey_or_rgb or 0 in images.shape[1:]:
        raise DataError(
            f"{path}: {split}_images of shape {images.shape} and type {images.dtype}; "
            "expected uint8 of shape (N, R, C) or (N, R, C, 3)"
        )
    if labels.ndim != 2 or len(labels) != len(images) or labels.shape[1] < 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {split}_labels of shape {labels.shape} and type {labels.dtype}; "
            f"expected integers of shape ({len(images)}, 1) or ({len(images)}, K)"
        )


def _targets(labels: tuple[npt.NDArray[np.uint8], ...]) -> tuple[npt.NDArray[np.float32], ...]:
    """Binary and multi-label truth as it is, a class number as one-hot. Returns (N, K) float32 each."""
    k = 1 + max(int(y.max(initial=1)) for y in labels)
    if k == 2 or labels[0].shape[1] > 1:
        return tuple(y.astype(np.float32) for y in labels)
    return tuple(np.eye(k, dtype=np.float32)[y[:, 0].astype(np.intp)] for y in labels)


def _grey(image: npt.NDArray[np.uint8]) -> FloatArray:
    """One published image, (R, C) or (R, C, 3) uint8, as (R, C) float32 in [0, 1]."""
    scaled = image.astype(np.float32) / np.float32(255)
    return scaled if scaled.ndim == 2 else np.asarray(np.clip(scaled @ LUMINANCE, 0, 1), np.float32)
