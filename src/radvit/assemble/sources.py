"""A configured source of labelled images: one maker a kind, one reader a form of truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from radvit.assemble.reading import loader
from radvit.config import DataConfig, DeidConfig, ReadConfig, SourceKind, TruthFormat
from radvit.data.loader import Loader
from radvit.data.sources.base import Source
from radvit.data.sources.coco import read_coco
from radvit.data.sources.csv_labels import read_csv_labels
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.download import fetch
from radvit.data.sources.image_folder import ImageFolder
from radvit.data.sources.medmnist import MedMnist
from radvit.data.sources.medmnist_subsets import remote
from radvit.data.sources.monai_sets import decathlon, mednist
from radvit.data.sources.nifti import NiftiVolumes, label_values, nifti_cases
from radvit.data.sources.nih import read_nih
from radvit.data.sources.patients import PatientNames
from radvit.data.sources.published import obtain
from radvit.data.sources.rsna import read_rsna
from radvit.data.sources.siim import read_siim
from radvit.data.sources.slices import Slices
from radvit.data.sources.truth import Columns, Reader, TruthFiles
from radvit.data.sources.vindr import read_vindr
from radvit.data.sources.voc import read_voc
from radvit.data.sources.yolo import read_yolo
from radvit.dicom.voi import Voi
from radvit.errors import ConfigError

NewLoader = Callable[[], Loader]  # made only where files are read: it may create the key


def source(config: DataConfig, deid: DeidConfig, read: ReadConfig, voi: Voi) -> Source:
    """Where images come from. Raises ConfigError where the configuration does not say."""
    if config.kind is SourceKind.run:
        raise ConfigError("data=run is the data of a trained model, for evaluate.py; expected data=dicom or another")
    if config.path is None:
        raise ConfigError("data.path is not set; expected data.path=DIR, where the images lie, or an npz file")
    return _MAKERS[config.kind](config, Path(config.path), lambda: loader(deid, read, voi, config.select))


def _dicom(config: DataConfig, path: Path, new_loader: NewLoader) -> Source:
    truth = _truth(config)
    if truth and not config.labels:
        raise ConfigError("data.labels=[]; expected the classes to learn, as data.truth names them: data.labels=[NAME]")
    obtain(config.format.value, path, [f for f in (truth.path, truth.boxes) if f] if truth else [], config.download)
    return DicomFolder(path, new_loader(), truth, tuple(config.labels), _READERS[config.format], _patients(config))


def _medmnist(config: DataConfig, path: Path, new_loader: NewLoader) -> Source:
    published = remote(path.name)
    if published:
        fetch(published, path, config.download)
    return MedMnist(path, _slices(config))


def _folder(config: DataConfig, path: Path, new_loader: NewLoader) -> Source:
    return ImageFolder(path, new_loader(), tuple(config.labels), _patients(config))


def _nifti(config: DataConfig, path: Path, new_loader: NewLoader) -> Source:
    cases = nifti_cases(path, Path(config.truth) if config.truth else None, config.channel)
    values = label_values(tuple(config.labels), path, path.parent)
    return NiftiVolumes(str(path), cases, new_loader(), values, _slices(config), config.channel, _patients(config))


def _mednist(config: DataConfig, path: Path, new_loader: NewLoader) -> Source:
    return mednist(path, new_loader(), tuple(config.labels), config.download)


def _decathlon(config: DataConfig, path: Path, new_loader: NewLoader) -> Source:
    labels, slices = tuple(config.labels), _slices(config)
    return decathlon(path, config.task, new_loader(), labels, slices, config.channel, config.download)


def _truth(config: DataConfig) -> TruthFiles | None:
    if config.truth is None:
        return None
    columns = Columns(config.columns.image, config.columns.patient, config.columns.split)
    return TruthFiles(Path(config.truth), Path(config.boxes) if config.boxes else None, config.agreement, columns)


def _slices(config: DataConfig) -> Slices:
    return Slices(config.slices.central, config.slices.every)


def _patients(config: DataConfig) -> PatientNames:
    return PatientNames(config.patients)


_MAKERS: dict[SourceKind, Callable[[DataConfig, Path, NewLoader], Source]] = {
    SourceKind.dicom: _dicom,
    SourceKind.medmnist: _medmnist,
    SourceKind.folder: _folder,
    SourceKind.nifti: _nifti,
    SourceKind.mednist: _mednist,
    SourceKind.decathlon: _decathlon,
}

_READERS: dict[TruthFormat, Reader] = {
    TruthFormat.coco: read_coco,
    TruthFormat.yolo: read_yolo,
    TruthFormat.voc: read_voc,
    TruthFormat.csv: read_csv_labels,
    TruthFormat.rsna: read_rsna,
    TruthFormat.vindr: read_vindr,
    TruthFormat.nih: read_nih,
    TruthFormat.siim: read_siim,
}
