"""From a configuration to its source, and from a source to a trained model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from radvit import assemble, config, run
from radvit.bundle import load_bundle
from radvit.config import DataConfig, SourceKind, TrainConfig, TruthFormat
from radvit.data.sources import medmnist_subsets
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.image_folder import ImageFolder
from radvit.data.sources.medmnist import MedMnist
from radvit.data.sources.nifti import NiftiVolumes
from radvit.data.sources.slices import Slices
from radvit.errors import ConfigError, DataError

CONF = Path(__file__).parents[2] / "conf"
TINY = (
    *("model.stem=[8]", "model.patch_size=2", "model.embed_dim=16", "model.depth=1", "model.num_heads=2"),
    *("trainer=cpu", "trainer.max_epochs=1", "logger=csv", "optim.batch_size=4", "optim.ema_decay=0"),
    *("data.workers=0", "data.image_size=32", "augment=none", "data.split.official=false"),
    *("data.split.train=0.5", "data.split.val=0.25", "data.split.test=0.25"),
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "deid.key"
    path.write_text("ab" * 32)
    path.chmod(0o600)
    return path


@pytest.fixture
def composed(key: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    def compose_it(*overrides: str) -> TrainConfig:
        config.register()
        places = [f"run_dir={tmp_path / 'run'}", f"data.cache={tmp_path / 'cache'}", f"deid.key={key}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            plain = OmegaConf.to_object(compose("train", overrides=[*places, *overrides]))
        assert isinstance(plain, TrainConfig)
        return plain

    return compose_it


@pytest.fixture
def made(composed: Callable[..., TrainConfig]) -> Callable[..., Source]:
    def make(*overrides: str) -> Source:
        plain = composed(*overrides)
        return assemble.source(plain.data, plain.deid, plain.read, assemble.voi(plain.data.window))

    return make


def picture(path: Path, seed: int, bright: bool = False) -> None:
    pixels = np.random.default_rng(seed).integers(0, 100, (32, 32), dtype=np.uint8)
    if bright:
        pixels[8:16, 12:20] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_yolo(folder: Path, count: int) -> None:
    """Pictures of which every second has a bright square, told as an outline."""
    for number in range(count):
        picture(folder / "images" / f"{number}.png", number, bright=number % 2 == 0)
        outline = "0 0.375 0.25 0.625 0.25 0.625 0.5 0.375 0.5\n" if number % 2 == 0 else ""
        text = folder / "labels" / f"{number}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(outline)


def write_nifti(folder: Path, count: int) -> None:
    for number in range(count):
        volume = np.random.default_rng(number).normal(0, 50, (32, 32, 2)).astype(np.int16)
        label = np.zeros((32, 32, 2), np.uint8)
        if number % 2 == 0:
            volume[8:16, 12:20, 1], label[8:16, 12:20, 1] = 900, 1
        for part, values in (("images", volume), ("labels", label)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(values, np.eye(4)), folder / part / f"{number}.nii.gz")


def test_each_kind_and_each_format_has_a_maker() -> None:
    from radvit.assemble import sources

    assert set(sources._MAKERS) == set(SourceKind) - {SourceKind.run}
    assert set(sources._READERS) == set(TruthFormat)


def test_options_reach_their_sources(made: Callable[..., Source], tmp_path: Path) -> None:
    write_yolo(tmp_path, 2)
    places = (f"data.path={tmp_path / 'images'}", f"data.truth={tmp_path / 'labels'}")
    yolo = made("data=yolo", *places, "data.patients='^([0-9])'", "data.agreement=2", "data.columns.image=Path")
    assert isinstance(yolo, DicomFolder)
    assert yolo.truth_files is not None
    assert (yolo.truth_files.agreement, yolo.truth_files.columns.image) == (2, "Path")
    assert yolo.patients.name("7.png") == "7"
    assert len(yolo.read(0)[0].lesions) == 1
    picture(tmp_path / "classes" / "a" / "1.png", 0)
    folder = made("data=folder", f"data.path={tmp_path / 'classes'}")
    assert isinstance(folder, ImageFolder)
    assert folder.labels == ("a",)
    write_nifti(tmp_path / "volumes", 1)
    places = (f"data.path={tmp_path / 'volumes' / 'images'}", f"data.truth={tmp_path / 'volumes' / 'labels'}")
    volumes = made("data=nifti", *places, "data.labels=[lesion]", "data.channel=1", "data.slices.central=3")
    assert isinstance(volumes, NiftiVolumes)
    assert (volumes.labels, volumes.channel, volumes.slices) == (("lesion",), 1, Slices(3, 4))


def test_medmnist_is_downloaded_by_its_published_name(
    made: Callable[..., Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "pneumoniamnist_64.npz?download=1"  # the address has a query, which a file's has not
    arrays = {f"{s}_images": np.zeros((2, 64, 64), np.uint8) for s in ("train", "val", "test")}
    arrays |= {f"{s}_labels": np.array([[0], [1]], np.uint8) for s in ("train", "val", "test")}
    with there.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    monkeypatch.setattr(medmnist_subsets, "RECORD", f"file://{tmp_path}")
    place = f"data.path={tmp_path / 'data' / 'pneumoniamnist_64.npz'}"
    with pytest.raises(
        DataError, match=r"no such file; expected data\.download=true, or file:.*_64\.npz\?download=1 as"
    ):
        made("data=medmnist", place)
    with pytest.raises(DataError, match="its MD5 is another than the published one"):
        made("data=medmnist", place, "data.download=true")
    md5 = {64: hashlib.md5(there.read_bytes()).hexdigest()}
    subset = replace(medmnist_subsets.SUBSETS["pneumoniamnist"], md5=md5)
    monkeypatch.setitem(medmnist_subsets.SUBSETS, "pneumoniamnist", subset)
    source = made("data=medmnist", place, "data.download=true")
    assert isinstance(source, MedMnist)
    assert (source.labels, len(source)) == (("pneumonia",), 6)


@pytest.mark.parametrize("name", ["rsna", "vindr", "siim", "nih", "mednist", "decathlon"])
def test_what_is_not_there_is_told_with_its_address_and_place(
    made: Callable[..., Source], tmp_path: Path, name: str
) -> None:
    places = [f"data.path={tmp_path / 'in'}", f"data.truth={tmp_path / 'truth.csv'}", "data.task=Task09_Spleen"]
    with pytest.raises(DataError, match=r"https://") as caught:
        made(f"data={name}", *places)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_source_without_a_path_is_a_configuration_error(made: Callable[..., Source]) -> None:
    for name in ("yolo", "folder", "nifti"):
        with pytest.raises(ConfigError, match=r"data\.path is not set"):
            made(f"data={name}")
    with pytest.raises(ConfigError, match=r"data\.agreement=0"):
        DataConfig(agreement=0)
    with pytest.raises(ConfigError, match=r"data\.labels=\[\]; expected the classes to learn"):
        made("data=csv", "data.path=somewhere", "data.truth=some.csv", "data.labels=[]")
    with pytest.raises(ConfigError, match=r"data\.slices\.central=0"):
        config.SliceConfig(central=0)


def test_a_detector_learns_from_outlines_in_yolos_form(composed: Callable[..., TrainConfig], tmp_path: Path) -> None:
    write_yolo(tmp_path, 16)
    data = (f"data.path={tmp_path / 'images'}", f"data.truth={tmp_path / 'labels'}", "data.labels=[square]")
    run.train(composed("data=yolo", "model=vit_mini_detect", *data, *TINY, "model.strides=[4]", "model.width=16"))
    bundle = load_bundle(tmp_path / "run")
    assert (bundle.labels, bundle.trained["n_train"]) == (("square",), 8)


def test_a_classifier_learns_from_slices_of_volumes(composed: Callable[..., TrainConfig], tmp_path: Path) -> None:
    write_nifti(tmp_path, 16)
    data = (f"data.path={tmp_path / 'images'}", f"data.truth={tmp_path / 'labels'}", "data.labels=[lesion]")
    run.train(composed("data=nifti", "model=vit_mini_classify", *data, *TINY, "data.slices.every=1", "model.hidden=16"))
    bundle = load_bundle(tmp_path / "run")
    assert (bundle.labels, bundle.trained["n_train"]) == (("lesion",), 16)  # two slices of each of eight patients
