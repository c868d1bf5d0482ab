"""A run that goes on logs into the same run of its tracker: real files of wandb, and a real store of MLflow."""

import json
import os
import shutil
import signal

import pytest
import wandb
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from radvit import config, run
from radvit.errors import ConfigError, DataError, StoppedError
from radvit.run.tracking import RECORD, known_runs
from radvit.training.module import RadiographModule
from radvit.trial import Trial

from ..conftest import ROOT
from ..medmnist_files import write_medmnist

TINY = (
    "experiment=pneumoniamnist", "data.workers=0", "model.stem=[8]", "model.hidden=16", "model.patch_size=2",
    "model.embed_dim=32", "model.depth=1", "model.num_heads=2", "optim.batch_size=4", "optim.ema_decay=0",
    "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1", "trainer.limit_train_batches=1",
)  # fmt: skip


class Place:
    def __init__(self, folder):
        self.folder = folder
        write_medmnist(folder / "pneumoniamnist.npz")

    def composed(self, *overrides):
        config.register()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return OmegaConf.to_object(compose("train", overrides=[str(one) for one in overrides]))

    def begun(self, name, *overrides):
        places = [f"data.path={self.folder / 'pneumoniamnist.npz'}", f"data.cache={self.folder / 'cache'}"]
        return self.composed(*TINY, *places, f"run_dir={self.folder / name}", *overrides)

    def going_on(self, name):
        return self.composed(f"resume={self.folder / name}", "run_dir=elsewhere")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RADVIT_DEID_KEY", "ab" * 32)
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.delenv("WANDB_RUN_ID", raising=False)
        yield Place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def stopped(monkeypatch):
    """Train until SIGTERM comes in the first step, which leaves a checkpoint to go on from."""

    def train(given, train=run.train):
        inner = RadiographModule.training_step

        def training_step(self, *args):
            os.kill(os.getpid(), signal.SIGTERM)
            return inner(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(RadiographModule, "training_step", training_step)
            with pytest.raises(StoppedError):
                train(given)

    return train


def offline(folder):
    """The ids of a run folder's wandb runs, one for each part of its training."""
    return [path.stem.removeprefix("run-") for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def recorded(folder):
    return json.loads((folder / RECORD).read_text())["runs"]


def test_wandb_goes_on_with_the_same_run_offline(place, stopped):
    stopped(place.begun("same", "logger=wandb"))
    (first,) = offline(place.folder / "same")
    run.train(place.going_on("same"))
    assert offline(place.folder / "same") == [first, first]  # a folder each, which `wandb sync` puts together
    assert recorded(place.folder / "same") == {"wandb": first}


def test_trials_of_a_sweep_have_runs_of_their_own_and_go_on_with_them(place, stopped):
    for number in (0, 1):
        Trial("s", "sqlite://", number).save(place.folder / f"trial-{number}")
    stopped(place.begun("trial-0", "logger=wandb"), run.attempt)
    run.attempt(place.begun("trial-1", "logger=wandb"))
    run.attempt(place.begun("trial-0", "logger=wandb"))
    first, again = offline(place.folder / "trial-0")
    (second,) = offline(place.folder / "trial-1")
    assert first == again != second


def test_a_run_begun_anew_in_the_same_folder_is_another(place, stopped):
    given = place.begun("anew", "logger=wandb")
    stopped(given)
    (first,) = offline(place.folder / "anew")
    stopped(given)
    second = recorded(place.folder / "anew")["wandb"]
    assert first != second
    assert set(offline(place.folder / "anew")) == {first, second}


def test_a_copy_begins_a_new_run_and_its_original_goes_on(place, stopped, caplog):
    stopped(place.begun("original", "logger=wandb"))
    (first,) = offline(place.folder / "original")
    shutil.copytree(place.folder / "original", place.folder / "copy")
    run.train(place.going_on("copy"))
    assert "is a copy of" in caplog.text
    mine = recorded(place.folder / "copy")["wandb"]
    assert mine != first
    run.train(place.going_on("original"))
    assert offline(place.folder / "original") == [first, first]
    assert recorded(place.folder / "copy") == {"wandb": mine}


def test_a_folder_that_was_moved_goes_on_also_where_another_run_took_its_place(place, stopped):
    stopped(place.begun("here", "logger=wandb"))
    (first,) = offline(place.folder / "here")
    (place.folder / "here").rename(place.folder / "there")
    assert known_runs(place.folder / "there") == {"wandb": first}
    stopped(place.begun("here", "logger=wandb"))
    run.train(place.going_on("there"))
    assert offline(place.folder / "there") == [first, first]


def test_what_was_turned_off_for_a_while_is_gone_on_with(place, stopped, monkeypatch):
    stopped(place.begun("off", "logger=wandb", "trainer.max_epochs=3"))
    (first,) = offline(place.folder / "off")
    wandb.teardown()  # it reads the environment once a process
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        stopped(place.going_on("off"))
    wandb.teardown()
    run.train(place.going_on("off"))
    assert offline(place.folder / "off") == [first, first]


def test_a_run_without_a_tracker_keeps_no_record(place, stopped):
    stopped(place.begun("plain", "logger=csv"))
    assert not (place.folder / "plain" / RECORD).exists()


@pytest.mark.parametrize("text", ["{}", '{"runs": [], "folder": "x"}', "[1]", "no JSON"])
def test_a_spoiled_record_is_one_line(tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(DataError, match=RECORD) as caught:
        known_runs(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_tracker_that_refuses_is_one_line(place):
    given = place.begun("refused", "logger=wandb", "+logger.wandb.id=a/b")
    with pytest.raises(ConfigError, match=r"^logger\.wandb: ") as caught:
        run.train(given)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def mlflow(place):
    """Configurations that log to one store, and clients of a store."""
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{place.folder / 'mlflow'}"
    to = ("logger=mlflow", f"logger.mlflow.tracking_uri={uri}/mlflow.db", f"logger.mlflow.artifact_location={uri[10:]}")
    return lambda name: place.begun(name, *to), lambda file="mlflow.db": MlflowClient(f"{uri}/{file}")


def runs_of(client):
    return client.search_runs([one.experiment_id for one in client.search_experiments()])


@pytest.mark.slow  # MLflow makes its tables by some fifty migrations
def test_mlflow_goes_on_with_the_same_run_and_begins_a_new_one_where_it_is_gone(place, stopped, mlflow, caplog):
    given, client = mlflow
    stopped(given("mlflow-same"))
    (first,) = runs_of(client())
    run.train(place.going_on("mlflow-same"))
    (only,) = runs_of(client())
    assert only.info.run_id == first.info.run_id == recorded(place.folder / "mlflow-same")["mlflow"]
    assert only.info.status == "FINISHED"
    assert [one.step for one in client().get_metric_history(only.info.run_id, "val/loss")] == [0, 1]

    stopped(given("mlflow-deleted"))
    deleted = recorded(place.folder / "mlflow-deleted")["mlflow"]
    client().delete_run(deleted)
    run.train(place.going_on("mlflow-deleted"))
    assert f"logger.mlflow can't go on with run {deleted}, a new one begins: it was deleted" in caplog.text
    assert recorded(place.folder / "mlflow-deleted")["mlflow"] != deleted

    stopped(given("mlflow-lost"))
    lost = recorded(place.folder / "mlflow-lost")["mlflow"]
    saved = place.folder / "mlflow-lost" / "config.yaml"
    saved.write_text(saved.read_text().replace("mlflow.db", "other.db"))  # as this process holds the first one open
    run.train(place.going_on("mlflow-lost"))
    assert f"logger.mlflow can't go on with run {lost}, a new one begins: " in caplog.text
    (new,) = runs_of(client("other.db"))
    assert new.info.run_id == recorded(place.folder / "mlflow-lost")["mlflow"] != lost
