"""What is true of each image, whatever the format that told it: marked lesions, classes, patient and split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from radvit.data.sources.base import Labelled
from radvit.data.sources.masks import Bits, Plane, bits, check_classes, components
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError
from radvit.records import Header, Image, Lesion

Key = tuple[str, int]  # pseudonymous SOPInstanceUID, or a name of the file, and the frame
Box = tuple[float, float, float, float]

OFFICIAL_LISTS = ("train_val_list.txt", "test_list.txt")  # beside a CSV of NIH ChestX-ray14
_BESIDE = (*OFFICIAL_LISTS, "data.yaml")  # and what names YOLO's classes
_TEXTS = (".txt", ".xml", ".yaml")  # of truth that is told by a file an image
_UID = re.compile(r"[0-2](\.[0-9]+){2,}")  # such as 2.25.NUMBER, made from a UUID


@dataclass(frozen=True, slots=True)
class Runs:
    """Pixels as COCO's compressed run lengths, column after column. Raises DataError where they don't fit the size."""

    rows: int
    columns: int
    counts: bytes

    @staticmethod
    def of_counts(counts: Sequence[int], rows: int, columns: int) -> Runs:
        """From lengths of runs, outside and inside in turn; what is missing at the end lies outside."""
        rest = rows * columns - sum(counts)
        if rest < 0 or min(counts, default=0) < 0:
            raise DataError(f"run lengths that leave an image of {rows} x {columns} pixels")
        told = [*counts, rest] if len(counts) % 2 == 0 else [*counts, 0, rest]
        packed = coco_mask.frPyObjects({"size": [rows, columns], "counts": told}, rows, columns)
        return Runs(rows, columns, bytes(packed["counts"]))

    def plane(self) -> Plane:
        """(rows, columns) bool."""
        try:
            decoded = coco_mask.decode({"size": [self.rows, self.columns], "counts": self.counts})
        except ValueError as error:
            raise DataError(f"run lengths that don't fill an image of {self.rows} x {self.columns} pixels") from error
        return np.asarray(decoded, bool)


@dataclass(frozen=True, slots=True)
class Mark:
    """One lesion as a file tells it: a box, and outlines or pixels where there are some.

    box: (x1, y1, x2, y2). outlines: polygons (x, y, x, y, ...). relative: both are shares of width and height.
    size_mm, contrast: see Lesion.
    """

    label: int
    box: Box | None = None
    outlines: tuple[tuple[float, ...], ...] = ()
    runs: Runs | None = None
    relative: bool = False
    size_mm: float | None = None
    contrast: float | None = None

    @property
    def masked(self) -> bool:
        """Whether its pixels are told."""
        return bool(self.outlines) or self.runs is not None

    def plane(self, rows: int, columns: int) -> Plane:
        """Its pixels, (rows, columns) bool. Raises DataError where they are those of another size."""
        if self.runs is not None:
            if (self.runs.rows, self.runs.columns) != (rows, columns):
                told = (self.runs.rows, self.runs.columns)
                raise DataError(f"image of {(rows, columns)} pixels; the mask is of {told}")
            return self.runs.plane()
        outlines = [self._scaled(outline, rows, columns).tolist() for outline in self.outlines]
        merged = coco_mask.merge(coco_mask.frPyObjects(outlines, rows, columns))
        return np.asarray(coco_mask.decode(merged), bool)

    def lesions(self, rows: int, columns: int) -> tuple[Lesion, ...]:
        """Its box: the one told, else that around its outlines, else one around each connected part of its pixels."""
        if self.box is None and not self.outlines:
            return components(self.plane(rows, columns), self.label)
        if self.box is not None:
            x1, y1, x2, y2 = (float(value) for value in self._scaled(self.box, rows, columns))
        else:
            points = np.concatenate([self._scaled(outline, rows, columns) for outline in self.outlines]).reshape(-1, 2)
            (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
        return (Lesion((x1, y1, x2, y2), self.label, self.size_mm, self.contrast),)

    def _scaled(self, values: Sequence[float], rows: int, columns: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        scale = np.array((columns, rows) if self.relative else (1, 1), np.float64)
        return np.asarray(np.array(values, np.float64) * np.tile(scale, len(values) // 2), np.float64)


@dataclass(frozen=True, slots=True)
class Known:
    """What is true of one image. present: classes it shows, whether or not they are marked.

    size: (rows, columns), patient: a pseudonym, split: `train`, `val` or `test`, view, sex, age: as in Header, each
    where the file tells it.
    """

    marks: tuple[Mark, ...] = ()
    present: frozenset[int] = frozenset()
    size: tuple[int, int] | None = None
    patient: str | None = None
    split: str | None = None
    view: str | None = None
    sex: str | None = None
    age: str | None = None

    def header(self, header: Header, characteristics: bool) -> Header:
        """A header with what is told here. characteristics: whether sex and age may stay."""
        told = replace(header, patient=self.patient or header.patient, view=self.view or header.view)
        return replace(told, sex=self.sex or told.sex, age=self.age or told.age) if characteristics else told


@dataclass(frozen=True)
class Truth:
    """What is true of each image of a data set, by the names they may be looked up under.

    classes: how many labels there are. exact: names are paths relative to the folder, and nothing shorter.
    Raises DataError where there are masks of more classes than a mask can hold.
    """

    images: Mapping[Key, Known]
    classes: int
    exact: bool = False

    def __post_init__(self) -> None:
        if self.masked:
            check_classes("the truth", self.classes)

    @cached_property
    def masked(self) -> bool:
        """Whether any image has pixels marked; then one without a mark has an empty mask."""
        return any(mark.masked for known in self.images.values() for mark in known.marks)

    def key(self, names: Sequence[str], frame: int) -> Key | None:
        """Under which of some names an image is listed; one that is not listed has no known truth."""
        return next(((name, frame) for name in names if (name, frame) in self.images), None)

    def labelled(self, key: Key, image: Image, characteristics: bool = True) -> Labelled:
        """An image with its truth. Raises DataError where the truth is that of another size."""
        known = self.images[key]
        rows, columns = image.geometry.rows, image.geometry.columns
        if known.size not in (None, (rows, columns)):
            raise DataError(f"image of {(rows, columns)} pixels; the truth says {known.size}")
        lesions = tuple(lesion for mark in known.marks for lesion in mark.lesions(rows, columns))
        present = known.present | {mark.label for mark in known.marks}
        image = replace(image, header=known.header(image.header, characteristics))
        targets = tuple(float(k in present) for k in range(self.classes))
        return Labelled(image, targets, lesions, self._mask(known, rows, columns))

    def _mask(self, known: Known, rows: int, columns: int) -> Bits | None:
        """None too where a lesion has a box alone, since a mask without it would call it healthy."""
        if not self.masked or not all(mark.masked for mark in known.marks):
            return None
        return bits(((mark.label, mark.plane(rows, columns)) for mark in known.marks), rows, columns)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a plain CSV name the image, its patient and its split."""

    image: str = "image"
    patient: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class TruthFiles:
    """Where the truth is told. path: a file, or a folder of one file an image. boxes: a second file of some formats.

    agreement: how many readers must have marked a lesion, where the format tells readers apart.
    """

    path: Path
    boxes: Path | None = None
    agreement: int = 1
    columns: Columns = field(default_factory=Columns)

    def files(self) -> list[Path]:
        """Every file that the truth is read from, as far as they are there."""
        told = [self.path, self.boxes, *(self.path.parent / name for name in _BESIDE)]
        found = [file for file in told if file is not None and file.is_file()]
        return found + (text_files(self.path) if self.path.is_dir() else [])

    def digest(self) -> bytes:
        """A hash over all that the truth is read from and how."""
        digest = hashlib.sha256(repr((self.agreement, self.columns)).encode())
        for file in self.files():
            content = file.read_bytes()
            name = file.relative_to(self.path).as_posix() if self.path in file.parents else file.name
            digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "replace") + content)
        return digest.digest()


Reader = Callable[[TruthFiles, tuple[str, ...], Pseudonymizer], Truth]


def text_files(folder: Path) -> list[Path]:
    """The files of text, XML and YAML below a folder, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _TEXTS and file.is_file())


def by_name(named: Mapping[str, Known], pseudonymizer: Pseudonymizer) -> dict[Key, Known]:
    """What is known under names of files; a name that is a UID counts as SOPInstanceUID too, by its pseudonym."""
    uids = {(pseudonymizer.uid(name), 0): known for name, known in named.items() if _UID.fullmatch(name)}
    return {(name, 0): known for name, known in named.items()} | uids


def names_of(path: str) -> tuple[str, ...]:
    """The names an image may have in a truth, from the strictest: its path, without suffix, its file name, its stem."""
    file = path.rpartition("/")[2]
    stem = file.rpartition(".")[0] or file
    return tuple(dict.fromkeys((path, path[: len(path) - len(file)] + stem, file, stem)))


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn what a broken truth raises into one line that doesn't quote it."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: no such file; expected {expected}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path}: can't be read as truth ({type(error).__name__}); expected {expected}") from error


def class_numbers(path: Path, labels: tuple[str, ...], known: Sequence[str]) -> dict[str, int]:
    """Class number of each label. Raises DataError where the truth knows no such class."""
    missing = [label for label in labels if label not in known]
    if missing:
        raise DataError(f"{path}: no category {', '.join(missing)}; it has {', '.join(known) or 'none'}")
    return {label: k for k, label in enumerate(labels)}
