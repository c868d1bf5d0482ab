"""The data sets that MONAI publishes: MedNIST, and the ten tasks of the Medical Segmentation Decathlon.

MONAI knows where they are and how their lists read; files are opened by radvit's own loader, as all others are. Its
sections are not taken over: they shuffle the order in which a file system happens to list files.
"""

from __future__ import annotations

from pathlib import Path

from radvit.data.loader import Loader
from radvit.data.sources.download import Remote, fetch_archive
from radvit.data.sources.image_folder import ImageFolder
from radvit.data.sources.nifti import Case, NiftiVolumes, label_values
from radvit.data.sources.slices import Slices
from radvit.errors import DataError


def mednist(root: Path, loader: Loader, labels: tuple[str, ...], download: bool) -> ImageFolder:
    """MedNIST (58,954 pictures of 64 x 64, six kinds of examination) in root/MedNIST. Raises DataError."""
    from monai.apps import MedNISTDataset  # seconds, which only those pay who want it

    remote = Remote(MedNISTDataset.resource, MedNISTDataset.md5, suffix=".tar.gz")
    folder = root / MedNISTDataset.dataset_folder_name
    fetch_archive(remote, folder, download)
    return ImageFolder(folder, loader, labels)


def decathlon(
    root: Path,
    task: str | None,
    loader: Loader,
    labels: tuple[str, ...] = (),
    slices: Slices | None = None,
    channel: int = 0,
    download: bool = False,
) -> NiftiVolumes:
    """The labelled volumes of a task, such as Task09_Spleen, in root/TASK; each is a patient.

    The challenge's test volumes have no published labels. Raises DataError where the task is missing or unknown.
    """
    from monai.apps import DecathlonDataset
    from monai.data import load_decathlon_datalist

    if task is None or task not in DecathlonDataset.resource:
        raise DataError(f"data.task={task}; expected one of {', '.join(DecathlonDataset.resource)}")
    folder = root / task
    fetch_archive(Remote(DecathlonDataset.resource[task], DecathlonDataset.md5[task], suffix=".tar"), folder, download)
    try:
        listed = load_decathlon_datalist(folder / "dataset.json", is_segmentation=True, data_list_key="training")
        cases = tuple(Case(Path(one["image"]), Path(one["label"])) for one in listed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / 'dataset.json'}: no list of volumes ({type(error).__name__})") from error
    return NiftiVolumes(str(folder), cases, loader, label_values(labels, folder), slices or Slices(), channel)
