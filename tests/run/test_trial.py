"""Trials of a sweep: what a run does in a folder where another one has been."""

import shutil
from dataclasses import replace

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from radvit import config, run
from radvit.bundle import load_bundle
from radvit.errors import ConfigError, DataError
from radvit.study import open_study
from radvit.trial import OUTCOME, Pruner, Trial, alone, load_outcome, outcome_of

from ..conftest import ROOT
from ..medmnist_files import write_medmnist
from ..run_place import rows

TINY = (
    "experiment=pneumoniamnist", "data.workers=0", "model.stem=[8]", "model.hidden=16", "model.patch_size=2",
    "model.embed_dim=32", "model.depth=1", "model.num_heads=2", "optim.batch_size=4", "optim.ema_decay=0.5",
    "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1", "logger=csv",
)  # fmt: skip


class Place:
    def __init__(self, folder):
        self.folder = folder
        write_medmnist(folder / "pneumoniamnist.npz")

    def config(self, name, *overrides):
        places = [f"data.path={self.folder / 'pneumoniamnist.npz'}", f"data.cache={self.folder / 'cache'}"]
        config.register()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return OmegaConf.to_object(
                compose("train", overrides=[*TINY, *places, f"run_dir={self.folder / name}", *overrides])
            )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("RADVIT_DEID_KEY", "ab" * 32)
    yield Place(tmp_path_factory.mktemp("place"))
    patch.undo()


@pytest.fixture(scope="module")
def whole(place):
    """The folder of a trial that ran to its end."""
    folder = place.folder / "whole"
    Trial("s", "sqlite://", 4).save(folder)
    run.attempt(place.config("whole"))
    return folder


@pytest.fixture
def copied(place, whole, request):
    """A trial's folder to spoil, and the configuration that its run is started with."""
    name = request.node.name
    return shutil.copytree(whole, place.folder / name), place.config(name)


def weights(folder):
    return (folder / "bundle" / "model.safetensors").stat().st_mtime_ns


def test_a_run_outside_of_a_sweep_says_how_good_it_is_and_leaves_no_outcome(place, whole):
    value = run.attempt(place.config("alone"))
    assert value == outcome_of(place.folder / "alone").value == load_outcome(whole).value
    assert not (place.folder / "alone" / OUTCOME).exists()


def test_a_new_run_leaves_the_one_in_its_folder_alone(place):
    given = place.config("taken", "trainer.max_epochs=1")
    run.attempt(given)
    before = {path: path.stat().st_mtime_ns for path in (place.folder / "taken").rglob("*")}
    with pytest.raises(ConfigError, match=r"taken holds a run already; expected resume=.*taken to go on with it"):
        run.attempt(given)
    assert run.attempt(replace(given, resume="auto")) == outcome_of(place.folder / "taken").value
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_trial_that_is_over_is_not_touched(copied):
    folder, given = copied
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if not path.name.startswith(".")}
    assert run.attempt(given) == load_outcome(folder).value
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_trial_killed_after_its_bundle_is_over(copied, whole):
    folder, given = copied
    (folder / OUTCOME).unlink()
    before = weights(folder)
    run.attempt(given)
    assert load_outcome(folder) == load_outcome(whole)
    assert weights(folder) == before


def test_a_trial_killed_before_its_bundle_goes_on_from_its_checkpoint(copied, whole, caplog):
    folder, given = copied
    (folder / OUTCOME).unlink()
    (folder / "bundle" / "model.json").write_text("{")
    caplog.set_level("INFO")
    run.attempt(given)
    assert "trial 4 goes on from" in caplog.text
    assert load_outcome(folder) == load_outcome(whole)
    assert load_bundle(folder).weights_hash == load_bundle(whole).weights_hash


def test_a_trial_without_a_whole_checkpoint_starts_again_in_its_folder(copied, whole, caplog):
    folder, given = copied
    (folder / OUTCOME).unlink()
    shutil.rmtree(folder / "bundle")
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"half")
    caplog.set_level("INFO")
    run.attempt(given)
    assert "goes on" not in caplog.text
    assert load_outcome(folder) == load_outcome(whole)
    assert load_bundle(folder).weights_hash == load_bundle(whole).weights_hash


def test_a_folder_takes_one_run_at_a_time(copied):
    folder, given = copied
    with alone(folder), pytest.raises(ConfigError, match="another process is at work"):
        run.attempt(given)


def test_a_pruned_trial_is_over_without_a_bundle(place):
    url = f"sqlite:///{place.folder / 'study.db'}"
    spec = Pruner("median", startup_trials=1)
    study = open_study(url, "s", spec)
    good = study.ask()
    for epoch in (1, 2, 3):
        good.report(-0.01, epoch)
    study.tell(good, -0.01)
    study.ask()
    folder = place.folder / "pruned"
    Trial("s", url, 1, "-val/loss", spec).save(folder)
    run.attempt(place.config("pruned"))
    outcome = load_outcome(folder)
    assert (outcome.pruned, outcome.epoch) == (True, 1)
    assert not (folder / "bundle").exists()
    assert study.get_trials()[1].intermediate_values == {1: outcome.value}


@pytest.mark.parametrize(("objective", "metric"), [(None, "val/auroc"), ("-val/loss", "val/loss")])
def test_a_trial_is_as_good_as_the_weights_it_leaves(place, objective, metric):
    folder = place.folder / f"best{metric[3:]}".replace("/", "-")
    Trial("s", "sqlite://", 0, objective).save(folder)
    run.attempt(place.config(folder.name, "keep=best", "trainer.max_epochs=4", "optim.lr=0.03"))
    outcome = load_outcome(folder)
    validated = [row for row in rows(folder / "metrics.csv") if row["val/auroc"]]
    best = max(validated, key=lambda row: float(row["val/auroc"]))
    assert best is not validated[-1]  # else this test could not fail
    assert outcome.epoch == int(best["epoch"]) + 1
    assert outcome.metrics == {name: pytest.approx(float(best[name])) for name in ("val/auroc", "val/loss")}
    assert outcome.value == (-1 if objective else 1) * outcome.metrics[metric]
    assert load_bundle(folder).trained["kept"] == "best"


def test_the_last_epoch_is_validated_however_rare_validations_are(place):
    folder = place.folder / "rare"
    Trial("s", "sqlite://", 0).save(folder)
    run.attempt(place.config("rare", "trainer.check_val_every_n_epoch=2"))
    assert load_outcome(folder).epoch == 3
    assert [row["epoch"] for row in rows(folder / "metrics.csv") if row["val/auroc"]] == ["1", "2"]


def test_a_trial_whose_objective_is_not_measured_fails(place):
    Trial("s", "sqlite://", 0, "val/nosuch").save(place.folder / "nosuch")
    with pytest.raises(DataError, match=r"objective val/nosuch: not measured"):
        run.attempt(place.config("nosuch", "trainer.max_epochs=1"))
