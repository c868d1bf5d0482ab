"""Each logger of conf/logger: a step is trained, and what was logged is read back from where it lies."""

import csv
import json

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_lightning.loggers import mlflow as lightning_mlflow

from radvit import config, run
from radvit.assemble.loggers import flattened, hyperparameters, logger
from radvit.errors import ConfigError
from radvit.trial import VALIDATION

from ..conftest import ROOT
from ..medmnist_files import write_medmnist

TINY = (
    "experiment=pneumoniamnist", "data.workers=0", "model.stem=[8]", "model.hidden=16", "model.patch_size=2",
    "model.embed_dim=32", "model.depth=1", "model.num_heads=2", "optim.batch_size=4", "optim.ema_decay=0",
    "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "trainer.limit_train_batches=1", "optim.lr=0.00123",
)  # fmt: skip


def composed(*overrides):
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return OmegaConf.to_object(compose("train", overrides=[str(o) for o in overrides]))


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Train a step with a logger: the run folder, and the loss of its validation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RADVIT_DEID_KEY", "ab" * 32)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    write_medmnist(tmp_path / "pneumoniamnist.npz")

    def train(logger, *overrides):
        data = ["data.path=pneumoniamnist.npz", "data.cache=cache", f"run_dir={tmp_path / 'run'}"]
        run.train(composed(*TINY, *data, f"logger={logger}", *overrides))
        return tmp_path / "run", json.loads((tmp_path / "run" / VALIDATION).read_text())["metrics"]["val/loss"]

    return train


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def losses_of_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [event.value for event in events.Scalars("val/loss")]


def test_csv(trained):
    folder, loss = trained("csv")
    assert [float(row["val/loss"]) for row in rows(folder / "metrics.csv") if row["val/loss"]] == [pytest.approx(loss)]
    assert OmegaConf.load(folder / "hparams.yaml")["optim.lr"] == 0.00123
    assert not (folder / "tensorboard").exists()


def test_csv_and_tensorboard(trained):
    folder, loss = trained("default")
    assert losses_of_tensorboard(folder) == [pytest.approx(loss)]
    assert (folder / "metrics.csv").is_file()


def test_tensorboard_alone(trained):
    folder, loss = trained("tensorboard")
    assert losses_of_tensorboard(folder) == [pytest.approx(loss)]
    assert OmegaConf.load(folder / "tensorboard" / "hparams.yaml")["optim.lr"] == 0.00123
    assert not (folder / "metrics.csv").exists()


def test_none(trained):
    folder, loss = trained("none")
    assert loss > 0
    assert not list(folder.glob("metrics*"))
    assert not (folder / "tensorboard").exists()


@pytest.mark.slow  # MLflow makes its tables by some fifty migrations
def test_mlflow_on_sqlite(trained, tmp_path):
    from mlflow.tracking import MlflowClient

    folder, loss = trained("mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'radvit'")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.data.metrics["val/loss"] == pytest.approx(loss)
    assert logged.data.params["optim.lr"] == "0.00123"
    assert logged.info.status == "FINISHED"
    assert not set(logged.data.params) & {"data.path", "deid.key", "run_dir"}
    assert {path.name for path in tmp_path.iterdir()} == {"pneumoniamnist.npz", "cache", "run", "outputs"}
    assert (folder / "metrics.csv").is_file()


def wandb_records(data):
    """The records of a .wandb file: 7 bytes, then LevelDB's log format (blocks of 32 KiB; checksum, length, kind)."""
    at, whole = 7, b""
    while at < len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield whole
            whole = b""


def test_wandb_offline(trained):
    from wandb.proto.wandb_internal_pb2 import Record

    folder, loss = trained("wandb")
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    logged, configured = {}, {}
    for data in wandb_records(path.read_bytes()):
        record = Record.FromString(data)
        for items, known in ((record.history.item, logged), (record.config.update, configured)):
            known |= {item.key or item.nested_key[0]: item.value_json for item in items}
    assert float(logged["val/loss"]) == pytest.approx(loss)
    assert configured["optim.lr"] == "0.00123"


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(lightning_mlflow, "_MLFLOW_AVAILABLE", False)
    with pytest.raises(ConfigError, match=r"^logger=mlflow needs a package: pip install 'radvit\[mlflow\]'$"):
        logger("mlflow", composed("logger=mlflow", "run_dir=x").logger["mlflow"])


def test_hyperparameters_are_flat_and_name_no_place():
    places = ("run_dir=/a/b", "data.path=/c/d", "deid.key=/e", "logger=wandb")
    given = ("optim.lr=7e-3", "model.stem=[32,64]", "trainer.max_epochs=24")
    flat = hyperparameters(composed("experiment=pneumoniamnist", *places, *given))
    assert flat["optim.lr"] == 7e-3
    assert flat["model.task"] == "classify"
    assert flat["model.stem"] == "[32, 64]"
    assert flat["trainer.max_epochs"] == 24
    assert not [key for key, value in flat.items() if str(value).startswith("/") or key.startswith("logger")]
    assert dict(flattened({})) == {}
