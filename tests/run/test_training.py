"""What a run of train() leaves, what it refuses, and how its weights are chosen."""

import sys
import types
from pathlib import Path

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger

from radvit import run
from radvit.bundle import load_bundle
from radvit.errors import ConfigError, DataError

from ..run_place import composed, rows


def test_another_seed_gives_another_model(place, detector):
    run.train(place.detect("other", "seed=1", "trainer.max_epochs=1"))
    assert load_bundle(place.folder / "other").weights_hash != load_bundle(detector).weights_hash


class Stopper(CSVLogger):
    """A logger that stops a run in its second epoch, as a person at the keyboard would."""

    armed = True

    def log_metrics(self, metrics, step=None):
        super().log_metrics(metrics, step)
        if Stopper.armed and metrics.get("epoch") == 1:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_to_the_same_end(place, detector, monkeypatch):
    module = types.ModuleType("stopping")
    module.Stopper = Stopper
    monkeypatch.setitem(sys.modules, "stopping", module)
    with pytest.raises(KeyboardInterrupt):
        run.train(place.detect("stopped", "logger.csv._target_=stopping.Stopper"))
    folder = place.folder / "stopped"
    assert not (folder / "bundle").exists()
    monkeypatch.setattr(Stopper, "armed", False)
    moved = folder.rename(place.folder / "stopped and moved")
    run.train(composed("train", f"resume={moved}", "run_dir=elsewhere"))
    assert load_bundle(moved).weights_hash == load_bundle(detector).weights_hash
    assert {row["epoch"] for row in rows(moved / "metrics.1.csv")} >= {"0"}
    assert {row["epoch"] for row in rows(moved / "metrics.csv")} == {"1"}
    assert not folder.exists()
    assert not Path("elsewhere").exists()


def test_what_is_no_run_can_not_be_resumed(copied):
    with pytest.raises(ConfigError, match=r"no config\.yaml there"):
        run.train(composed("train", f"resume={copied.parent}", "run_dir=x"))
    (copied / "checkpoints" / "last.ckpt").write_bytes(b"half")
    with pytest.raises(ConfigError, match=r"last\.ckpt is damaged"):
        run.train(composed("train", f"resume={copied}", "run_dir=x"))


@pytest.mark.parametrize("text", ["a: [", "colour: red", "seed: -1", "[1, 2]", "optim: {lr: fast}"])
def test_a_run_with_a_broken_configuration_is_refused_in_a_line(copied, text):
    (copied / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        run.saved_config(copied)
    assert "\n" not in str(caught.value)


def test_weights_and_biases_offline_stays_in_the_run_folder(place, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run.train(place.classify("wandb", "logger=wandb", "trainer.max_epochs=1"))
    folder = place.folder / "wandb"
    kept = list((folder / "wandb").glob("offline-run-*"))
    assert len(kept) == 1
    assert list(kept[0].glob("*.wandb"))
    assert (folder / "metrics.csv").is_file()
    assert wandb.run is None  # the next run of a sweep gets one of its own
    assert not Path("wandb").exists()


def test_what_a_model_learns_from_must_be_whole(place):
    with pytest.raises(DataError, match="no known truth"):
        run.train(place.detect("untold", "data.truth=null"))
    with pytest.raises(ConfigError, match=r"model\.name=nosuch is no timm model"):
        run.train(place.detect("unnamed", "model.name=nosuch"))
    with pytest.raises(ConfigError, match="can't be built"):
        run.train(place.detect("uneven", "model.num_heads=5"))
    assert not (place.folder / "untold" / "bundle").exists()


def test_a_run_of_an_earlier_version_is_still_read(place, copied):
    text = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(text.replace("data:\n", "data:\n  in_memory: true\n", 1))
    assert run.saved_config(copied) == place.detect("detect")


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_weights_that_were_asked_for_are_in_the_bundle(place, keep):
    folder = place.folder / f"kept-{keep}"
    bundle = run.train(place.classify(folder.name, f"keep={keep}", "trainer.max_epochs=4", "optim.lr=0.03"))
    assert bundle.trained["kept"] == keep
    scores = [float(row["val/auroc"]) for row in rows(folder / "metrics.csv") if row["val/auroc"]]
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["val/auroc"] == pytest.approx(max(scores))
    assert best["epoch"] == scores.index(max(scores))
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    expected = {"best": best, "last": last}[keep]["state_dict"]  # of the averaged weights
    found = bundle.model().state_dict()
    assert {f"model.{name}" for name in found} == set(expected)
    assert all(torch.equal(value, expected[f"model.{name}"]) for name, value in found.items())


def test_the_batch_that_fits_is_found_and_written_down(place):
    folder = place.folder / "fitted"
    asked = ("trainer.auto_batch=true", "optim.batch_size=6", "trainer.accumulate_grad_batches=2")
    run.train(place.classify(folder.name, *asked, "trainer.max_epochs=1"))
    saved = run.saved_config(folder)
    assert saved.optim.batch_size * saved.trainer["accumulate_grad_batches"] == 12
    assert saved.trainer["auto_batch"] is False


def test_bfloat16_and_clipping_go_together(place):
    run.train(place.classify("bf16", "trainer.precision=bf16-mixed", "trainer.max_epochs=1"))
    assert load_bundle(place.folder / "bf16").model().head.layers[0].weight.dtype is torch.float32


def test_recipes_that_fit_no_task_or_device_are_refused(place):
    with pytest.raises(ConfigError, match=r"augment\.mixup and augment\.cutmix are for model\.task=classify"):
        run.train(place.detect("mixed", "augment.mixup=0.2"))
    with pytest.raises(ConfigError, match=r"optim\.ema_decay=0\.5 with trainer=fsdp"):
        run.train(place.classify("sharded", "+trainer.strategy=fsdp"))
    with pytest.raises(ConfigError, match="requires a GPU accelerator"):
        run.train(place.classify("sharded", "+trainer.strategy=fsdp", "optim.ema_decay=0"))


@pytest.mark.slow
def test_a_compiled_model_has_the_names_of_a_plain_one(place, classifier):
    bundle = run.train(place.classify("compiled", "compile=true", "trainer.max_epochs=1"))
    assert bundle.model().state_dict().keys() == load_bundle(classifier).model().state_dict().keys()


def test_a_detector_without_a_box_to_learn_from_is_refused(place):
    with pytest.raises(DataError, match=r"model\.task=detect learns from boxes and no training image has one"):
        run.train(place.classify("boxless", "model=vit_mini_detect", "model.strides=[8]", "data.image_size=64"))
