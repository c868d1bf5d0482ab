"""Pictures sorted into folders: one a class, and above them, where a data set has official splits, train, val, test."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from radvit.data.loader import Loader
from radvit.data.sources.base import Labelled
from radvit.data.sources.csv_labels import SPLITS
from radvit.data.sources.dicom_folder import file_state, loading
from radvit.data.sources.official import Official, official
from radvit.data.sources.patients import PatientNames
from radvit.data.sources.truth import class_numbers
from radvit.dicom.read import find_files
from radvit.errors import DataError, DicomReadError


class ImageFolder:
    """Every picture or DICOM file in a folder of a class; what lies beside those folders doesn't count.

    labels: the classes to learn; the pictures of other folders are negatives, such as those of `NORMAL` beside
    labels=("PNEUMONIA",). Empty: every folder is a class. Raises DataError where there are no such folders.
    """

    light = False

    def __init__(
        self, path: Path, loader: Loader, labels: tuple[str, ...] = (), patients: PatientNames | None = None
    ) -> None:
        self.path = path
        self.loader = loader
        self.patients = patients or PatientNames()
        self._parts = _sorted_into(path)
        self.patients.check([file for _, _, file in self._parts])
        classes = sorted({name for _, name, _ in self._parts})
        self.labels = labels or tuple(classes)
        self._numbers = class_numbers(path, self.labels, classes)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    @cached_property
    def official(self) -> Official | None:
        """The splits that the upper folders are named for, or None; see `official.official`."""
        patients = [self.patients.name(file) or index for index, (_, _, file) in enumerate(self._parts)]
        return official([split for split, _, _ in self._parts], patients)

    def fingerprint(self) -> str:
        """A hash over the files' names, sizes and times, the labels, the key and how files are loaded."""
        digest = hashlib.sha256()
        for _, _, file in self._parts:
            digest.update(file_state(self.path / file, file))
        digest.update(repr((self.labels, self.patients, loading(self.loader))).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self._parts)

    def read(self, index: int) -> list[Labelled]:
        """The frames of a file, each of its folder's class. Raises DicomReadError or DeidError."""
        _, name, file = self._parts[index]
        targets = tuple(float(self._numbers.get(name) == k) for k in range(len(self.labels)))
        images = self.loader.load(self.path / file)
        return [Labelled(self.patients.named(image, file, self.loader.pseudonymizer), targets) for image in images]


def _sorted_into(path: Path) -> list[tuple[str | None, str, str]]:
    """Split, class and relative path of each file, in the order of the paths."""
    try:
        files = [file.relative_to(path).as_posix() for file in find_files(path)] if path.is_dir() else []
    except DicomReadError as error:
        raise DataError(f"{path}: {error}; expected a folder of a folder a class") from error
    tops = {file.split("/")[0] for file in files if "/" in file}
    split = "train" in {SPLITS.get(top.lower()) for top in tops}
    parts = [file.split("/") for file in files]
    found: list[tuple[str | None, str, str]]
    if split:
        found = [(SPLITS[p[0].lower()], p[1], "/".join(p)) for p in parts if len(p) > 2 and p[0].lower() in SPLITS]
    else:
        found = [(None, p[0], "/".join(p)) for p in parts if len(p) > 1]
    if not found:
        raise DataError(f"{path}: no files in folders; expected a folder a class, or train, val and test above them")
    return found
