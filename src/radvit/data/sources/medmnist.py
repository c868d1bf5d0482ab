"""MedMNIST's npz files (Yang et al., MedMNIST v2, Scientific Data 2023): small images with official splits.

All subsets and sizes. Images are read one after another out of the compressed file: those of 224 pixels hold up to
18 GB.
"""

from __future__ import annotations

import base64
import hashlib
import math
import sys
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from radvit.data.sources.base import Labelled
from radvit.data.sources.medmnist_subsets import SUBSETS, Subset, Target
from radvit.data.sources.slices import Slices
from radvit.errors import DataError
from radvit.records import FloatArray, Geometry, Header, Image

SPLITS = ("train", "val", "test")
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in PIL's mode L
_BROKEN = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Content:
    """What a file holds but its pixels. shapes: of each split's images, (N, R, C), (N, R, C, 3) or (N, D, R, C).

    targets: (N, K) float32, in the order of SPLITS.
    """

    shapes: tuple[tuple[int, ...], ...]
    targets: tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True)
class MedMnist:
    """One MedMNIST file, such as pneumoniamnist.npz or nodulemnist3d_64.npz.

    slices: which slices of a volume are images, in the 3D subsets. Raises DataError where the file is missing or
    something else. Patients are unknown in these files, so that each image or volume counts as a patient of its own.
    """

    path: Path
    slices: Slices = field(default_factory=Slices)

    def __post_init__(self) -> None:
        self._content()

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names where the subset is known, else class_0 and so on; class_1 alone for a binary subset."""
        k = self._content().targets[0].shape[1]
        known = subset_of(self.path)
        if known and len(known.labels) == k:
            return known.labels
        return ("class_1",) if k == 1 else tuple(f"class_{i}" for i in range(k))

    @property
    def light(self) -> bool:
        """True: reading on in an open file costs little, and going to another place of it much."""
        return True

    @property
    def official(self) -> Mapping[str, tuple[int, ...]]:
        """The published splits."""
        ends = self._ends()
        return {s: tuple(range(*span)) for s, span in zip(SPLITS, pairwise([0, *ends]), strict=True)}

    def fingerprint(self) -> str:
        """The sha256 of the file, its subset's name and, of volumes, the choice of slices."""
        digest = hashlib.sha256(self._stem().encode())
        with self.path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(repr(self.slices).encode() if self._volumes() else b"")
        return digest.hexdigest()

    def __len__(self) -> int:
        return sum(shape[0] for shape in self._content().shapes)

    def read(self, index: int) -> list[Labelled]:
        """One image with its targets, or the chosen slices of one volume, each with the volume's targets."""
        ends = self._ends()
        at = bisect_right(ends, index)
        position = index - (0, *ends)[at]
        pixels = _stream(*self._state(), SPLITS[at]).read(position)
        targets = tuple(float(t) for t in self._content().targets[at][position])
        header = self._header(SPLITS[at], position)
        if not self._volumes():
            return [Labelled(_image(_grey(pixels), header), targets)]
        chosen = self.slices.chosen([True] * len(pixels))
        return [Labelled(_image(_grey(pixels[z]), replace(header, frame=z)), targets) for z in chosen]

    def _header(self, split: str, position: int) -> Header:
        # every UID is derived from the place in the published file, so that it is the same for everybody
        pseudonym, *uids = (
            hashlib.sha256(f"{what}:{self._stem()}:{split}:{position}".encode())
            for what in ("patient", "study", "series", "image")
        )
        study, series, image = (f"2.25.{int.from_bytes(uid.digest()[:16])}" for uid in uids)
        subset = subset_of(self.path)
        modality, part = (subset.modality, subset.body_part) if subset else ("OT", None)
        patient = "P-" + base64.b32encode(pseudonym.digest()).decode()[:16]
        return Header(patient, study, series, image, modality, part, window="8-bit, as published")

    def _volumes(self) -> bool:
        """A fourth axis that isn't colour's; the 3D subsets are grey."""
        subset = subset_of(self.path)
        shape = self._content().shapes[0]
        return len(shape) == 4 and (subset.volumes if subset else shape[-1] != 3)

    def _ends(self) -> list[int]:
        return list(accumulate(shape[0] for shape in self._content().shapes))

    def _stem(self) -> str:
        return self.path.stem.lower()

    def _content(self) -> Content:
        return _load(*self._state())

    def _state(self) -> tuple[Path, int, int]:
        """The file, its size and its time, so that a changed file is another entry of the caches below."""
        try:
            stat = self.path.stat()
        except OSError as error:
            raise DataError(f"{self.path}: no such file; expected a MedMNIST npz, see data/README.md") from error
        return self.path, stat.st_size, stat.st_mtime_ns


def subset_of(path: Path) -> Subset | None:
    """The subset that a file's name tells; None for a file of another name."""
    return SUBSETS.get(path.stem.lower().split("_")[0])


class _Stream:
    """The images of a split, read in order out of the compressed file; going back begins anew."""

    def __init__(self, path: Path, split: str) -> None:
        self._path, self._member = path, f"{split}_images.npy"
        self._open()

    def _open(self) -> None:
        with zipfile.ZipFile(self._path) as archive:
            self._file = archive.open(self._member)  # which keeps the file open for itself
        self.shape, self.fortran, self.dtype = _array_header(self._file)
        self._next = 0

    def read(self, position: int) -> npt.NDArray[np.uint8]:
        """One entry, of shape[1:]. Raises DataError where the file is damaged."""
        size = math.prod(self.shape[1:])
        try:
            if position < self._next:
                self._open()
            skip, self._next = position - self._next, sys.maxsize  # so that what fails begins anew
            for _ in range(skip):
                self._file.read(size)
            content = self._file.read(size)
            self._next = position + 1
            return np.frombuffer(content, np.uint8).reshape(self.shape[1:])
        except _BROKEN as error:
            raise DataError(f"{self._path}: {self._member} is damaged ({type(error).__name__})") from error


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in Fortran's order, and type, of an npy array. Raises ValueError."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    return tuple(shape), bool(fortran), dtype


@lru_cache(maxsize=3)
def _stream(path: Path, size: int, mtime_ns: int, split: str) -> _Stream:
    """size, mtime_ns: see _state."""
    return _Stream(path, split)


@lru_cache(maxsize=2)
def _load(path: Path, size: int, mtime_ns: int) -> Content:
    """Read all but the pixels, and check them. size, mtime_ns: see _state."""
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = tuple(file[f"{split}_labels"] for split in SPLITS)
        streams = [_Stream(path, split) for split in SPLITS]
    except _BROKEN as error:
        raise DataError(
            f"{path}: can't be read as a MedMNIST npz ({type(error).__name__}); "
            "expected {train,val,test}_images and {train,val,test}_labels, see data/README.md"
        ) from error
    for split, stream, y in zip(SPLITS, streams, labels, strict=True):
        _check(path, split, stream, y)
    columns = sorted({y.shape[1] for y in labels})
    if len(columns) > 1:
        raise DataError(f"{path}: labels with {columns} columns; expected as many columns in every split")
    subset = subset_of(path)
    return Content(tuple(stream.shape for stream in streams), _targets(path, labels, subset))


def _check(path: Path, split: str, images: _Stream, labels: npt.NDArray[np.uint8]) -> None:
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) not in (3, 4) or 0 in shape[1:] or images.fortran:
        raise DataError(
            f"{path}: {split}_images of shape {shape} and type {images.dtype}; "
            "expected uint8 of shape (N, R, C), (N, R, C, 3) or (N, D, R, C), in C's order"
        )
    if labels.ndim != 2 or len(labels) != shape[0] or labels.shape[1] < 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {split}_labels of shape {labels.shape} and type {labels.dtype}; "
            f"expected integers of shape ({shape[0]}, 1) or ({shape[0]}, K)"
        )


def _targets(
    path: Path, labels: tuple[npt.NDArray[np.uint8], ...], subset: Subset | None
) -> tuple[npt.NDArray[np.float32], ...]:
    """Binary and multi-label truth as it is, a class number as one-hot. Returns (N, K) float32 each."""
    highest = max(int(y.max(initial=1)) for y in labels)
    if labels[0].shape[1] > 1 or (highest == 1 and (subset is None or subset.target is not Target.CLASS)):
        return tuple(y.astype(np.float32) for y in labels)
    k = len(subset.labels) if subset and subset.target is Target.CLASS else 1 + highest
    if highest >= k:
        raise DataError(f"{path}: a label of {highest}; expected one of {k} classes")
    return tuple(np.eye(k, dtype=np.float32)[y[:, 0].astype(np.intp)] for y in labels)


def _image(pixels: FloatArray, header: Header) -> Image:
    return Image(pixels, Geometry(*pixels.shape), header)


def _grey(image: npt.NDArray[np.uint8]) -> FloatArray:
    """One published image, (R, C) or (R, C, 3) uint8, as (R, C) float32 in [0, 1]."""
    scaled = image.astype(np.float32) / np.float32(255)
    return scaled if scaled.ndim == 2 else np.asarray(np.clip(scaled @ LUMINANCE, 0, 1), np.float32)
