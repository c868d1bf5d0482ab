"""A folder of DICOM files, or of other pictures, with true boxes in COCO form."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from radvit.data.loader import Loader
from radvit.data.sources.base import Labelled
from radvit.data.sources.coco import Key, Truth, read_truth
from radvit.dicom.read import find_files
from radvit.errors import DataError, DicomReadError
from radvit.records import Image


class DicomFolder:
    """DICOM files below a folder, in the order of their relative paths; each frame is an image.

    truth: a COCO file that names images by original SOPInstanceUID or by file, or None; without it every target is
    unknown (NaN), which will do for looking but not for training. labels: the classes to learn, names of its
    categories; others are left out. Raises DataError where the folder has no files or the truth can't be used.
    """

    light = False
    official = None

    def __init__(self, path: Path, loader: Loader, truth: Path | None, labels: tuple[str, ...]) -> None:
        self.path = path
        self.loader = loader
        self.truth_path = truth
        self.labels = labels
        self.files = _files(path, truth)
        self._truth = None if truth is None else read_truth(truth, labels, loader.pseudonymizer)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    def fingerprint(self) -> str:
        """A hash over the files' names, sizes and times, the truth, the labels, the key and how files are loaded."""
        digest = hashlib.sha256()
        for file in self.files:
            stat = file.stat()
            digest.update(f"{self._relative(file)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode("utf-8", "replace"))
        digest.update(self.truth_path.read_bytes() if self.truth_path else b"no truth")
        loader = self.loader
        how = (self.labels, loader.pseudonymizer.fingerprint, loader.profile.name, loader.burned_in, loader.voi)
        options = sorted(option.slug for option in loader.options)
        digest.update(repr((*how, options, loader.selection.source)).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> list[Labelled]:
        """The frames of a file that the truth knows.

        Raises DicomReadError, DeidError, or DataError where the truth does not know the file or has another size.
        """
        images = self.loader.load(self.files[index])
        if self._truth is None:
            return [Labelled(image, (float("nan"),) * len(self.labels)) for image in images]
        name = self._relative(self.files[index])
        keys = [self._truth.key(image.header, name) for image in images]
        known = [self._labelled(image, key, self._truth) for image, key in zip(images, keys, strict=True) if key]
        if not known:
            raise DataError("the truth has no such image")
        return known

    def _labelled(self, image: Image, key: Key, truth: Truth) -> Labelled:
        lesions = truth.lesions(key, image.geometry)
        present = {lesion.label for lesion in lesions}
        patient = truth.patients.get(key)
        if patient:
            image = replace(image, header=replace(image.header, patient=patient))
        return Labelled(image, tuple(float(k in present) for k in range(len(self.labels))), lesions)

    def _relative(self, file: Path) -> str:
        folder = self.path if self.path.is_dir() else self.path.parent  # a file alone, or a DICOMDIR
        return file.relative_to(folder).as_posix()


def _files(path: Path, truth: Path | None) -> tuple[Path, ...]:
    try:
        files = find_files(path)
    except DicomReadError as error:
        raise DataError(f"{path}: {error}; expected a folder of DICOM files") from error
    if truth is not None:
        files = [file for file in files if file.resolve() != truth.resolve()]
    if not files:
        raise DataError(f"{path}: the folder is empty; expected DICOM files")
    return tuple(files)
