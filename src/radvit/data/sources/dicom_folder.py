"""A folder of DICOM files, or of other pictures, with truth in one of several formats."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from radvit.data.loader import Loader
from radvit.data.sources.base import Labelled
from radvit.data.sources.coco import read_coco
from radvit.data.sources.official import Official, official
from radvit.data.sources.patients import PatientNames
from radvit.data.sources.truth import Key, Reader, Truth, TruthFiles, names_of
from radvit.deid.options import Option
from radvit.dicom.read import find_files, read_header
from radvit.errors import DataError, DicomReadError
from radvit.records import Image


class DicomFolder:
    """DICOM files, or other pictures, below a folder, in the order of their relative paths; each frame is an image.

    truth: the files that tell it, or a COCO file's path, or None; without it every target is unknown (NaN), which will
    do for looking but not for training. reader: of the truth's format. labels: the classes to learn; others are left
    out. patients: whose a file is by its name, unless the truth says so. Raises DataError where the folder has no files
    or the truth can't be used.
    """

    light = False

    def __init__(
        self,
        path: Path,
        loader: Loader,
        truth: TruthFiles | Path | None,
        labels: tuple[str, ...],
        reader: Reader = read_coco,
        patients: PatientNames | None = None,
    ) -> None:
        self.path = path
        self.loader = loader
        self.truth_files = TruthFiles(truth) if isinstance(truth, Path) else truth
        self.labels = labels
        self.patients = patients or PatientNames()
        self.files = _files(path, self.truth_files)
        self._truth = None if self.truth_files is None else reader(self.truth_files, labels, loader.pseudonymizer)
        paths = [self._relative(file) for file in self.files]
        self.patients.check(paths)
        self._names = _Names.of(paths, self._truth)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    @cached_property
    def official(self) -> Official | None:
        """The splits that the truth tells, or None; see `official.official`."""
        if self._truth is None or not any(known.split for known in self._truth.images.values()):
            return None
        known = [self._truth.images.get(self._known_as(index)) for index in range(len(self))]
        named = [self.patients.name(self._relative(file)) for file in self.files]
        patients = [one.patient if one and one.patient else named[i] or i for i, one in enumerate(known)]
        return official([one.split if one else None for one in known], patients)

    def fingerprint(self) -> str:
        """A hash over the files' names, sizes and times, the truth, the labels, the key and how files are loaded."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(file_state(file, self._relative(file)))
        digest.update(self.truth_files.digest() if self.truth_files else b"no truth")
        digest.update(repr((self.labels, self.patients, loading(self.loader))).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> list[Labelled]:
        """The frames of a file that the truth knows.

        Raises DicomReadError, DeidError, or DataError where the truth does not know the file or has another size.
        """
        path, truth = self._relative(self.files[index]), self._truth
        loaded = self.loader.load(self.files[index])
        images = [self.patients.named(image, path, self.loader.pseudonymizer) for image in loaded]
        if truth is None:
            return [Labelled(image, (float("nan"),) * len(self.labels)) for image in images]
        characteristics = Option.PATIENT_CHARACTERISTICS in self.loader.options
        keys = [self._key(truth, index, image) for image in images]
        known = [truth.labelled(key, image, characteristics) for image, key in zip(images, keys, strict=True) if key]
        if not known:
            raise DataError("the truth has no such image")
        return known

    def _key(self, truth: Truth, index: int, image: Image) -> Key | None:
        return truth.key((image.header.image, *self._names.of_item[index]), image.header.frame)

    def _known_as(self, index: int) -> Key:
        """The key of a file's first frame; its header is read only where its name doesn't lead to the truth."""
        names = self._names.of_item[index]
        key = None if self._truth is None else self._truth.key(names, 0)
        if key is not None:
            return key
        try:
            uid = str(read_header(self.files[index], self.loader.limits).SOPInstanceUID)
        except DicomReadError:
            return names[0], 0
        return self.loader.pseudonymizer.uid(uid), 0

    def _relative(self, file: Path) -> str:
        folder = self.path if self.path.is_dir() else self.path.parent  # a file alone, or a DICOMDIR
        return file.relative_to(folder).as_posix()


@dataclass(frozen=True)
class _Names:
    """The names under which each file is looked up in the truth."""

    of_item: tuple[tuple[str, ...], ...] = field(default=())

    @staticmethod
    def of(paths: list[str], truth: Truth | None) -> _Names:
        """Names shorter than the path count where they are one file's alone.

        Raises DataError where the truth names an image by what several files are called.
        """
        if truth is None or truth.exact:
            return _Names(tuple((path,) for path in paths))
        every = [names_of(path) for path in paths]
        shared: Mapping[str, int] = Counter(name for names in every for name in names)
        told = {name for name, _ in truth.images}
        wanted = [name for name, count in shared.items() if count > 1 and name in told and name not in paths]
        if wanted:
            raise DataError(
                f"{len(wanted)} images of the truth have the name of several files; expected names that are one "
                "file's alone, or paths relative to data.path"
            )
        return _Names(tuple(tuple(n for n in names if shared[n] == 1 or n == names[0]) for names in every))


def file_state(file: Path, name: str) -> bytes:
    """What changes whenever a file does: name, size and time."""
    stat = file.stat()
    return f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode("utf-8", "replace")


def loading(loader: Loader) -> tuple[object, ...]:
    """All that the images of a loader depend on but the files."""
    options = sorted(option.slug for option in loader.options)
    how = (loader.pseudonymizer.fingerprint, loader.profile.name, loader.burned_in, loader.voi)
    return (*how, options, loader.selection.source)


def _files(path: Path, truth: TruthFiles | None) -> tuple[Path, ...]:
    try:
        files = find_files(path)
    except DicomReadError as error:
        raise DataError(f"{path}: {error}; expected a folder of DICOM files") from error
    told = {file.resolve() for file in truth.files()} if truth else set()
    files = [file for file in files if file.resolve() not in told]
    if not files:
        raise DataError(f"{path}: the folder is empty; expected DICOM files")
    return tuple(files)
