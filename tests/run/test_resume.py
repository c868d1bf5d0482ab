"""A run that is killed and goes on ends with the weights of one that never was; real kills of real processes."""

import logging
import signal

import pytest
import torch

from radvit import run
from radvit.bundle import load_bundle
from radvit.training import checkpoints

from ..run_place import composed, rows
from .forks import ended, forked, train

pytestmark = pytest.mark.forks

ALL = (  # 24 images are 6 batches and 3 steps an epoch
    "trainer.max_epochs=3",
    "trainer.accumulate_grad_batches=2",
    "model.drop_path=0.2",
    "augment.mixup=0.4",
    "augment.cutmix=1",
    "augment.noise=0.1",
    "optim.warmup=0.3",
    "optim.min_lr=0.1",
    "optim.class_weights=balanced",
    "checkpoint.every_steps=2",
)
LAST_BATCH = 17


def going_on(folder):
    return composed("train", f"resume={folder}", "run_dir=elsewhere")


def killed_before_the_bundle(config):
    run.training.freeze = lambda *_: signal.raise_signal(signal.SIGKILL)
    train(config)


@pytest.fixture(scope="module")
def whole(place):
    """The weights' hash and the metrics of a run that nobody stops."""
    run.train(place.classify("whole", *ALL))
    return load_bundle(place.folder / "whole").weights_hash, rows(place.folder / "whole" / "metrics.csv")


@pytest.mark.parametrize(("workers", "kills"), [(0, (1, 5)), (0, (9, 3)), (0, (LAST_BATCH,)), (2, (11, 4))])
def test_killed_runs_end_with_the_same_weights(place, whole, workers, kills):
    name = f"killed-{workers}-{len(kills)}-{kills[0]}"
    config = place.classify(name, *ALL, f"loader_workers={workers}")
    folder = place.folder / name
    for at in kills:
        assert ended(forked(lambda c=config, a=at: train(c, a))) == -signal.SIGKILL
        assert not (folder / "bundle").exists()
        config = going_on(folder)
    assert ended(forked(lambda: train(config))) == 0
    assert load_bundle(folder).weights_hash == whole[0]
    assert rows(folder / "metrics.csv")[-1] == whole[1][-1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", range(LAST_BATCH + 1))
def test_killed_at_any_batch_it_ends_with_the_same_weights(place, whole, at, workers):
    folder = place.folder / f"any-{at}-{workers}"
    config = place.classify(folder.name, *ALL, f"loader_workers={workers}")
    assert ended(forked(lambda: train(config, at))) == -signal.SIGKILL
    assert ended(forked(lambda: train(going_on(folder)))) == 0
    assert load_bundle(folder).weights_hash == whole[0]


def test_balanced_draws_go_on_where_they_were(place):
    for name in ("balanced", "balanced-killed"):
        config = place.classify(name, *ALL, "optim.sampler=balanced", "loader_workers=2")
        if name == "balanced":
            run.train(config)
    assert ended(forked(lambda: train(config, 11))) == -signal.SIGKILL
    assert ended(forked(lambda: train(going_on(place.folder / "balanced-killed")))) == 0
    whole, killed = (load_bundle(place.folder / name) for name in ("balanced", "balanced-killed"))
    assert killed.weights_hash == whole.weights_hash


def test_a_detector_that_was_killed_ends_with_the_same_weights(place, detector):
    """With batch normalisation, boxes and averaged weights; killed in its second epoch of three batches."""
    config = place.detect("killed-detector", "checkpoint.every_steps=1")
    assert ended(forked(lambda: train(config, 4))) == -signal.SIGKILL
    assert ended(forked(lambda: train(going_on(place.folder / "killed-detector")))) == 0
    assert load_bundle(place.folder / "killed-detector").weights_hash == load_bundle(detector).weights_hash


WINDOWS = ("model.window.size=24", "model.window.stride=8", "augment.noise=0.1", "checkpoint.every_steps=1")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sliding_window_that_was_killed_draws_the_same_windows_again(place, workers):
    hashes = []
    for name, killed in ((f"windows-{workers}", False), (f"killed-windows-{workers}", True)):
        config = place.detect(name, *WINDOWS, f"loader_workers={workers}")
        if killed:
            assert ended(forked(lambda c=config: train(c, 3))) == -signal.SIGKILL
            config = going_on(place.folder / name)
        assert ended(forked(lambda c=config: train(c))) == 0
        hashes.append(load_bundle(place.folder / name).weights_hash)
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR2, 140)])
def test_a_signal_saves_first_and_says_how_to_go_on(place, whole, number, code, capfd):
    folder = place.folder / f"told-{code}"
    config = place.classify(folder.name, *(o for o in ALL if "every_steps" not in o))
    assert ended(forked(lambda: train(config, 6, number))) == code
    assert f"to go on: python train.py resume={folder}" in capfd.readouterr().out
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4  # batch 6 begins the fourth step, which was finished
    assert ended(forked(lambda: train(going_on(folder)))) == 0
    assert load_bundle(folder).weights_hash == whole[0]


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(place, whole):
    folder = place.folder / "half-written"
    config = place.classify(folder.name, *ALL)

    def killed_in_the_second_save():
        inner, saves = checkpoints.os.fsync, []

        def fsync(file):
            saves.append(None)
            if len(saves) == 5:  # a file and its folder each: last.ckpt, best.ckpt, and now last.ckpt again
                signal.raise_signal(signal.SIGKILL)
            inner(file)

        checkpoints.os.fsync = fsync
        train(config)

    assert ended(forked(killed_in_the_second_save)) == -signal.SIGKILL
    assert (folder / "checkpoints" / ".last.ckpt.part").exists()
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert ended(forked(lambda: train(going_on(folder)))) == 0
    assert load_bundle(folder).weights_hash == whole[0]


def test_a_run_that_was_killed_after_training_is_finished_without_training(place, whole):
    folder = place.folder / "unfrozen"
    config = place.classify(folder.name, *ALL)

    assert ended(forked(lambda: killed_before_the_bundle(config))) == -signal.SIGKILL
    assert ended(forked(lambda: train(going_on(folder), 0))) == 0  # a single batch would be its end
    assert load_bundle(folder).weights_hash == whole[0]


def test_a_finished_run_is_left_as_it_is(classifier, caplog):
    before = {path: path.stat().st_mtime_ns for path in classifier.rglob("*")}
    with caplog.at_level(logging.INFO, "radvit"):
        bundle = run.train(going_on(classifier))
    assert bundle == load_bundle(classifier)
    assert "has finished; nothing to do" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in classifier.rglob("*")} == before


def test_auto_goes_on_where_a_run_was_begun_and_else_starts_one(place, whole):
    config = place.classify("auto", *ALL, "resume=auto")
    assert ended(forked(lambda: train(config, 13))) == -signal.SIGKILL
    assert ended(forked(lambda: train(config, 6))) == 0  # fewer than seven batches were left
    assert load_bundle(place.folder / "auto").weights_hash == whole[0]


def test_a_run_that_stopped_early_stays_stopped(place):
    folder = place.folder / "early"
    config = place.classify(folder.name, "trainer.max_epochs=9", "early_stop.patience=1", "early_stop.min_delta=1")

    assert ended(forked(lambda: killed_before_the_bundle(config))) == -signal.SIGKILL
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert (saved["epoch"], saved["stopped"]) == (1, True)
    assert ended(forked(lambda: train(going_on(folder), 0))) == 0
    assert load_bundle(folder).trained["kept"] == "best"
