"""Pretraining from end to end, on small images, and what starts from its encoder."""

import json
import logging

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from radvit import run
from radvit.bundle import load_bundle
from radvit.errors import BundleError, ConfigError, DataError

from .run_place import Place, rows

DECODER = ("mae.width=16", "mae.depth=1", "mae.num_heads=2", "model.task=mae", "optim.ema_decay=0")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("pretrain"))


@pytest.fixture(scope="module")
def pretrained(place):
    """A pretraining run on files of which nothing is known."""
    run.train(place.detect("mae", "data.truth=null", *DECODER))
    return place.folder / "mae"


def test_a_pretraining_run_leaves_an_encoder_a_curve_and_a_picture(pretrained):
    record = json.loads((pretrained / "encoder" / "model.json").read_text())
    assert record["backbone"]["stem"] == [8, 16]
    assert (record["trained"]["n_train"], record["trained"]["n_val"]) == (12, 6)
    names = load_file(pretrained / "encoder" / "model.safetensors")
    assert names
    assert all(name.startswith("backbone.") for name in names)
    assert {"train/loss", "val/loss"} <= set(rows(pretrained / "metrics.csv")[0])
    assert (pretrained / "figures" / "reconstruction.png").read_bytes().startswith(b"\x89PNG")
    assert not (pretrained / "bundle").exists()


@pytest.mark.parametrize("deeper", ["", "encoder"])
def test_an_encoder_answers_nothing_by_itself(place, pretrained, tmp_path, deeper):
    source = place.folder / "cohort" / "dicom"
    for use in (place.evaluate(pretrained / deeper), place.infer(pretrained / deeper, source, tmp_path / "out")):
        with pytest.raises(BundleError, match=r"is an encoder without a head; train one with model\.weights="):
            (run.infer if hasattr(use, "input") else run.evaluate)(use)


def test_a_detector_starts_from_the_encoder(place, pretrained):
    frozen = ("optim.lr=0", "trainer.max_epochs=1", "optim.ema_decay=0")  # nothing is learned on top
    run.train(place.detect("from_mae", f"model.weights={pretrained}", *frozen))
    encoder = load_file(pretrained / "encoder" / "model.safetensors")
    tensors = load_file(place.folder / "from_mae" / "bundle" / "model.safetensors")
    learned = [name for name in encoder if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(tensors[name], encoder[name]) for name in learned)
    assert load_bundle(place.folder / "from_mae").spec.task.value == "detect"


def test_weights_of_another_backbone_are_refused(place, pretrained):
    with pytest.raises(ConfigError, match=r"encoder fits another model: 12 of 48 weights can.t be taken from it"):
        run.train(place.detect("wrong", f"model.weights={pretrained}", "model.depth=3"))


def test_test_images_change_nothing_that_is_learned(place):
    with np.load(place.folder / "pneumoniamnist.npz") as file:
        arrays = dict(file)
    arrays["test_images"] = np.random.default_rng(1).integers(0, 255, arrays["test_images"].shape, dtype=np.uint8)
    np.savez(place.folder / "others.npz", **arrays)
    encoders = []
    for name in ("pneumoniamnist", "others"):
        data = (f"data.path={place.folder / name}.npz", "mae.mask=0.5", "trainer.max_epochs=1")
        run.train(place.classify(f"mae-{name}", *DECODER, *data))
        folder = place.folder / f"mae-{name}"
        encoders.append((folder / "encoder" / "model.safetensors").read_bytes())
        encoders.append((folder / "figures" / "reconstruction.png").read_bytes())
    assert encoders[:2] == encoders[2:]


def test_what_the_encoder_saw_is_no_test_for_what_starts_from_it(place, tmp_path):
    with np.load(place.folder / "pneumoniamnist.npz") as file:
        arrays = dict(file)
    arrays |= {"train_images": arrays["test_images"], "test_images": arrays["train_images"]}
    arrays |= {"train_labels": arrays["test_labels"], "test_labels": arrays["train_labels"]}
    np.savez(place.folder / "exchanged.npz", **arrays)
    data = (f"data.path={place.folder / 'exchanged.npz'}", "mae.mask=0.5", "trainer.max_epochs=1")
    run.train(place.classify("saw-the-test", *DECODER, *data))
    weights = f"model.weights={place.folder / 'saw-the-test'}"
    run.train(place.classify("started", weights, "trainer.max_epochs=1"))
    with pytest.raises(DataError, match="split=test holds 12 equal images"):
        run.evaluate(place.evaluate(place.folder / "started", f"output={tmp_path}"))


def test_what_can_not_be_pretrained_on_is_refused(place):
    none = ["data.split.train=1.0", "data.split.val=0.0", "data.split.test=0.0"]
    with pytest.raises(DataError, match="the val split is empty"):
        run.train(place.detect("no_val", "data.truth=null", *DECODER, *none))


def test_no_test_split_is_needed(place, caplog):
    none = ["data.split.train=0.75", "data.split.val=0.25", "data.split.test=0.0"]
    with caplog.at_level(logging.INFO, "radvit"):
        run.train(place.detect("no_test", "data.truth=null", *DECODER, *none, "trainer.max_epochs=1"))
    assert "18 training, 6 validation images, 75 % hidden" in caplog.text


def test_the_batch_that_fits_is_found_and_written_down(place, caplog):
    asked = ("trainer.auto_batch=true", "optim.batch_size=6", "trainer.accumulate_grad_batches=2")
    with caplog.at_level(logging.INFO, "radvit"):
        run.train(place.classify("fitted-mae", *DECODER, *asked, "trainer.max_epochs=1"))
    saved = run.saved_config(place.folder / "fitted-mae")
    assert saved.trainer["auto_batch"] is False
    assert saved.optim.batch_size * saved.trainer["accumulate_grad_batches"] == 12
    assert f"batches of {saved.optim.batch_size} images" in caplog.text


def test_pretraining_on_an_image_that_does_not_fit_is_refused(place, monkeypatch):
    monkeypatch.setattr("radvit.run.fitting.limit_of", lambda _: 1 << 20)
    with pytest.raises(ConfigError, match=r"trainer\.auto_batch: training on one image takes more than the 1 MB"):
        run.train(place.classify("unfitted-mae", *DECODER, "trainer.auto_batch=true"))


def test_there_are_no_classes_to_balance(place):
    with pytest.raises(ConfigError, match=r"optim\.sampler=balanced with model\.task=mae"):
        run.train(place.classify("balanced-mae", *DECODER, "optim.sampler=balanced"))
    assert not (place.folder / "balanced-mae").exists()
