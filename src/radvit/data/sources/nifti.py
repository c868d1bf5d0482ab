"""Volumes as NIfTI files with label maps beside them: axial slices with masks, and boxes of what the masks hold."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radvit.data.loader import Loader
from radvit.data.pictures import read_picture
from radvit.data.sources.base import Labelled
from radvit.data.sources.dicom_folder import file_state, loading
from radvit.data.sources.masks import Bits, all_components, bits, check_classes
from radvit.data.sources.patients import PatientNames
from radvit.data.sources.slices import Slices
from radvit.dicom.geometry import geometry
from radvit.dicom.limits import Limits
from radvit.dicom.pixels import decode
from radvit.errors import DataError, DicomReadError
from radvit.records import Geometry, Image

SUFFIXES = (".nii", ".nii.gz", ".mha")

Values = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """A volume and its label map; None where there is none, so that nothing is known of it."""

    image: Path
    label_map: Path | None


@dataclass(frozen=True)
class NiftiVolumes:
    """Volumes, each of a patient of its own unless `patients` says otherwise; each chosen axial slice is an image.

    name: where they lie. values: of each label in the label maps; several values may make one label. channel: which
    one of a four-dimensional file. Raises DataError where there are no volumes, or more labels than a mask can hold.
    """

    name: str
    cases: tuple[Case, ...]
    loader: Loader
    values: Values
    slices: Slices = field(default_factory=Slices)
    channel: int = 0
    patients: PatientNames = field(default_factory=PatientNames)
    light: bool = False
    official: None = None

    def __post_init__(self) -> None:
        check_classes(self.name, len(self.values))
        if not self.cases:
            raise DataError(f"{self.name}: no volumes; expected files that end in {', '.join(SUFFIXES)}")
        self.patients.check([case.image.name for case in self.cases])

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(self.values)

    def fingerprint(self) -> str:
        """A hash over the files' names, sizes and times, what is taken of them, the key and how files are loaded."""
        digest = hashlib.sha256()
        for case in self.cases:
            for file in (case.image, case.label_map):
                digest.update(file_state(file, file.name) if file else b"none")
        digest.update(repr((self.values, self.slices, self.channel, self.patients, loading(self.loader))).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, index: int) -> list[Labelled]:
        """The chosen slices of a volume. Raises DicomReadError, DeidError, or DataError where the map is another's."""
        case = self.cases[index]
        with three_dimensional(case.image, self.channel) as volume:
            images = self.loader.load(volume)
        named = [self.patients.named(image, case.image.name, self.loader.pseudonymizer) for image in images]
        if case.label_map is None:
            unknown = (float("nan"),) * len(self.values)
            return [Labelled(named[z], unknown) for z in self.slices.chosen([False] * len(named))]
        with three_dimensional(case.label_map, 0) as volume:
            masks = _masks(volume, self.values, images, self.loader.limits)
        return [self._labelled(named[z], masks[z]) for z in self.slices.chosen([bool(mask.any()) for mask in masks])]

    def _labelled(self, image: Image, mask: Bits) -> Labelled:
        targets = tuple(float((mask >> k & 1).any()) for k in range(len(self.values)))
        return Labelled(image, targets, all_components(mask, len(self.values)), mask)


def nifti_cases(images: Path, label_maps: Path | None, channel: int = 0) -> tuple[Case, ...]:
    """The volumes of a folder, each with the label map of its name.

    Where the images are named as nnU-Net names them, `NAME_0000.nii.gz` beside a label map `NAME.nii.gz`, those of the
    channel are taken. A volume without a map is left out where there are maps. Raises DataError where a folder is
    missing, or no volume has a map.
    """
    found = _volumes(images)
    if label_maps is None:
        return tuple(Case(file, None) for file in found)
    maps = {_stem(file): file for file in _volumes(label_maps)}
    ending = f"_{channel:04d}"
    pairs = ((file, maps.get(_stem(file)) or maps.get(_stem(file).removesuffix(ending))) for file in found)
    cases = tuple(Case(file, label_map) for file, label_map in pairs if label_map)
    if not cases:
        raise DataError(f"{label_maps}: no label map has the name of a volume in {images}")
    return cases


def label_values(labels: tuple[str, ...], *folders: Path) -> Values:
    """The values of each label: as `dataset.json` in the first folder that has one tells, else 1, 2, 3 and so on.

    That file's labels are `{"1": "liver"}` (Decathlon) or `{"liver": 1}` (nnU-Net). No labels: all but background.
    Raises DataError.
    """
    file = next((folder / "dataset.json" for folder in folders if (folder / "dataset.json").is_file()), None)
    if file is None:
        if not labels:
            raise DataError(
                f"{folders[0]}: no dataset.json; expected data.labels=[...] in the order of the maps' values"
            )
        return {label: (value,) for value, label in enumerate(labels, start=1)}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))["labels"]
        known = dict(_label(key, value) for key, value in told.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: no labels ({type(error).__name__}); expected the dataset.json of a Decathlon"
        ) from error
    wanted = labels or tuple(label for label, values in known.items() if values != (0,))
    missing = [label for label in wanted if label not in known]
    if missing:
        raise DataError(f"{file}: no label {', '.join(missing)}; it has {', '.join(known)}")
    return {label: known[label] for label in wanted}


def _label(key: str, value: object) -> tuple[str, tuple[int, ...]]:
    if key.isdecimal():
        return str(value), (int(key),)
    return key, tuple(int(one) for one in value) if isinstance(value, list) else (int(str(value)),)


@contextmanager
def three_dimensional(path: Path, channel: int) -> Iterator[Path]:
    """The file, or one channel of a four-dimensional NIfTI as a file of its own. Raises DicomReadError."""
    import nibabel as nib

    with tempfile.TemporaryDirectory(prefix="radvit-") as folder:
        try:
            volume = nib.load(path) if path.name.endswith((".nii", ".nii.gz")) else None
            named = path
            if isinstance(volume, nib.spatialimages.SpatialImage) and len(volume.shape) == 4:
                if not 0 <= channel < volume.shape[3]:
                    raise DicomReadError("bad-picture", f"{volume.shape[3]} channels; expected one numbered {channel}")
                named = Path(folder) / "channel.nii"
                nib.save(volume.slicer[..., channel], named)
        except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError) as error:
            raise DicomReadError("bad-picture", f"the volume can't be read: {type(error).__name__}") from None
        yield named


def _masks(file: Path, values: Values, images: tuple[Image, ...], limits: Limits) -> list[Bits]:
    """A mask for each slice. Raises DataError where the map isn't one of these slices."""
    dataset = read_picture(file, limits)
    numbers = _numbers(dataset)
    shape = (len(images), images[0].geometry.rows, images[0].geometry.columns)
    if numbers.shape != shape:
        raise DataError(f"label map of {numbers.shape} slices, rows and columns; the volume has {shape}")
    if any(_apart(images[z].geometry, geometry(dataset, z)) for z in (0, -1 % len(images))):
        raise DataError("the label map lies elsewhere than the volume")
    planes = {k: np.isin(numbers, of_label) for k, of_label in enumerate(values.values())}
    return [bits(((k, plane[z]) for k, plane in planes.items()), *shape[1:]) for z in range(shape[0])]


def _numbers(dataset: Dataset) -> npt.NDArray[np.int32]:
    """The values of a label map, (slices, rows, columns). Raises DataError where they aren't whole."""
    slope, intercept = np.float32(dataset.get("RescaleSlope", 1)), np.float32(dataset.get("RescaleIntercept", 0))
    told = decode(dataset).astype(np.float32) * slope + intercept  # exact up to 2 ** 24
    whole: npt.NDArray[np.int32] = np.rint(told).astype(np.int32)
    if np.abs(told - whole).max(initial=0) > 1e-3:
        raise DataError("a label map with values that are no whole numbers")
    return whole


def _apart(one: Geometry, other: Geometry) -> bool:
    """Whether two slices lie further apart than a pixel is wide."""
    if one.position_mm is None or other.position_mm is None:
        return False
    return float(np.abs(np.subtract(one.position_mm, other.position_mm)).max()) > min(one.spacing_mm or (1.0,))


def _volumes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected volumes that end in {', '.join(SUFFIXES)}")
    return sorted(f for f in folder.iterdir() if f.name.endswith(SUFFIXES) and not f.name.startswith("."))


def _stem(file: Path) -> str:
    return next(file.name.removesuffix(suffix) for suffix in reversed(SUFFIXES) if file.name.endswith(suffix))
