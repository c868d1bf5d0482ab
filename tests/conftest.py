"""Fixtures that several parts' tests share: small DICOM data sets made in memory, and small saved models."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian

from radvit import cli
from radvit.deid.pseudonym import Pseudonymizer

if TYPE_CHECKING:  # torch comes in where a test asks for a model: the others start in a second without it
    from radvit.bundle import Bundle
    from radvit.models.spec import ModelSpec
    from radvit.records import Task

    from .run_place import Place

ROOT = Path(__file__).parents[1]


def make_dataset(pixels: np.ndarray, big_endian: bool = False, **attributes: Any) -> Dataset:
    """A grey CR image, pixels of shape (rows, columns) or (frames, rows, columns); attributes override."""
    syntax = ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset = FileDataset("", Dataset(), preamble=b"\0" * 128, file_meta=meta, is_little_endian=not big_endian)
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    dataset.PatientID, dataset.Modality = "ID-7", "CR"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit, dataset.PixelRepresentation = 8 * pixels.itemsize - 1, int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    data = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    return dataset


@pytest.fixture
def grey_dataset() -> Callable[..., Dataset]:
    return make_dataset


@pytest.fixture
def grey_file(tmp_path: Path) -> Callable[..., Path]:
    """Write `make_dataset` to a file, and give its path."""

    def write(pixels: np.ndarray, name: str = "image.dcm", **attributes: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_dataset(pixels, **attributes).save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def mixed_folder(tmp_path: Path) -> Path:
    """Two images that can be read, one in colour, and a text."""
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    for name in ("CT_small.dcm", "deep/MR_small.dcm", "SC_rgb_small_odd.dcm"):
        shutil.copy(get_testdata_file(name.rpartition("/")[2], download=False), source / name)
    (source / "notes.txt").write_text("hello")
    return source


@pytest.fixture
def ran(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run `radvit ...`: exit code, lines on stdout and lines on stderr. Works in the test's own folder."""
    for name in ("LOG", "KEY"):  # where the working directory holds none, the default is of no harm to it
        monkeypatch.delenv(f"RADVIT_AUDIT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        code = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = left.code
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


@pytest.fixture
def pseudonymizer() -> Pseudonymizer:
    return Pseudonymizer(b"k" * 32)


@pytest.fixture(scope="session")
def real_cr() -> Path:
    """A real chest radiograph with made-up identity, where this machine has it."""
    folder = Path(os.environ.get("RADVIT_SHARED") or ROOT / "../shared/data")
    path = folder / "cr_chest_synthetic_phi.dcm"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in RADVIT_SHARED")
    return path


def make_spec(task: "Task", classes: int = 1) -> "ModelSpec":
    """The smallest model of each task: a stem, two blocks of 32 channels, images of 32 px."""
    from radvit.models.backbone import BackboneSpec
    from radvit.models.spec import ModelSpec

    backbone = BackboneSpec("vit_tiny_patch16_224", 32, stem=(8, 16), patch_size=2, embed_dim=32, depth=2, num_heads=2)
    return ModelSpec(task, classes, backbone, hidden=16, strides=(4,), width=16)


def make_bundle(folder: Path, task: "Task", labels: tuple[str, ...] = ("nodule",), **fields: Any) -> "Bundle":
    """A saved model with random weights, of which even the detector and the segmenter speak."""
    import torch

    from radvit.bundle import Bundle, Scope, save_bundle
    from radvit.data.preprocess import Preprocess
    from radvit.models.vit import RadiographViT
    from radvit.records import Task

    torch.manual_seed(0)
    model = RadiographViT(make_spec(task, len(labels)))
    if task is Task.DETECT:
        torch.nn.init.normal_(model.head.score.weight, std=0.2)
        torch.nn.init.normal_(model.head.box.weight, std=0.05)
    if task is Task.SEGMENT:
        torch.nn.init.normal_(model.head.mask.weight, std=0.5)
        torch.nn.init.zeros_(model.head.mask.bias)
    for name, value in model.named_buffers():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    given = {"exclusive": False, "scope": Scope(), "trained": {"name": "tiny", "seed": 0}, **fields}
    return save_bundle(Bundle(folder, model.spec, labels, preprocess=Preprocess(32), **given), model, "# tiny\n")


@pytest.fixture(scope="session")
def spec() -> Callable[..., "ModelSpec"]:
    return make_spec


@pytest.fixture(scope="session")
def bundle() -> Callable[..., "Bundle"]:
    return make_bundle


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> "Place":
    """Where this session's cohorts, runs and key lie."""
    from .run_place import Place

    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="session")
def outlined(place: "Place") -> Path:
    """The cohort's truth with polygons."""
    from .run_place import outline

    return outline(place.folder / "cohort")


@pytest.fixture(scope="session")
def detector(place: "Place") -> Path:
    """A trained detector's run folder."""
    from radvit import run

    run.train(place.detect("detect"))
    return place.folder / "detect"


@pytest.fixture(scope="session")
def classifier(place: "Place") -> Path:
    """A trained classifier's run folder."""
    from radvit import run

    run.train(place.classify("classify"))
    return place.folder / "classify"


@pytest.fixture
def copied(detector: Path, tmp_path: Path) -> Path:
    """A copy of the detector's run folder, to be spoiled."""
    return Path(shutil.copytree(detector, tmp_path / "moved"))
