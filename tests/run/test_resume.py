"""A run that is killed and goes on ends with the weights of one that never was; real kills, in processes of their own."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from radvit import run
from radvit.bundle import load_bundle
from radvit.errors import StoppedError
from radvit.training.module import RadiographModule

from ..run_place import composed, rows

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


def in_a_process(config, at=None, number=signal.SIGKILL):
    """Train in a forked process; before its batch `at` (from 0) it gets a signal. Returns its exit code, as a shell's."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        code = 99
        try:
            if at is not None:
                signal_before(at, number)
            run.train(config)
            code = 0
        except StoppedError as stopped:
            code = stopped.code
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def signal_before(batch, number):
    inner, count = RadiographModule.training_step, iter(range(10**6))

    def training_step(self, *args):
        if next(count) == batch:
            os.kill(os.getpid(), number)
        return inner(self, *args)

    RadiographModule.training_step = training_step


def going_on(folder):
    return composed("train", f"resume={folder}", "run_dir=elsewhere")


@pytest.fixture(scope="module")
def whole(place):
    """The weights' hash and the metrics of a run that nobody stops."""
    run.train(place.classify("whole", *ALL))
    return load_bundle(place.folder / "whole").weights_hash, rows(place.folder / "whole" / "metrics.csv")


@pytest.mark.parametrize(
    ("workers", "kills"),
    [(0, (5,)), (0, (9, 3)), (0, (17,)), (2, (11, 4)), (2, (15,))],
)
def test_killed_runs_end_with_the_same_weights(place, whole, workers, kills):
    name = f"killed-{workers}-{len(kills)}-{kills[0]}"
    config = place.classify(name, *ALL, f"loader_workers={workers}")
    folder = place.folder / name
    for at in kills:
        assert in_a_process(config, at) == -signal.SIGKILL
        assert not (folder / "bundle").exists()
        config = going_on(folder)
    assert in_a_process(config) == 0
    assert load_bundle(folder).weights_hash == whole[0]
    assert rows(folder / "metrics.csv")[-1] == whole[1][-1]
