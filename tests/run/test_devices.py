"""Two processes that train together are one run: its weights, its folder, its end."""

import itertools
import json
import os
import signal
import socket

import pytest
import torch
from safetensors.torch import load_file

from radvit import run
from radvit.bundle import load_bundle
from radvit.training import ranks

from ..run_place import composed, rows
from .forks import ended, forked, train

pytestmark = pytest.mark.forks

PLAIN = (  # without batch normalisation and dropout, whose numbers depend on how images are shared out
    "model.stem=[]",
    "model.stem_blocks=0",
    "model.patch_size=14",
    "model.dropout=0",
    "model.drop_path=0",
    "checkpoint.every_steps=1",
)
TWO = ("+trainer.strategy=ddp", "trainer.devices=2", "optim.batch_size=2")
TOLERANCE = 1e-5  # of weights that moved by about 1e-2: sums of gradients are rounded in another order


def free_port():
    """A port that is free, and so is the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            try:
                second.bind(("127.0.0.1", first.getsockname()[1] + 1))
            except OSError:
                continue
            return first.getsockname()[1]


def together(config, *works):
    """Run each work in a process, as torchrun would start them. Returns their exit codes."""
    port = free_port()

    def as_rank(rank, work):
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "GROUP_RANK": "0",
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "test",
        }
        ranks.meeting_point.cache_clear()  # as the parent process has met nobody
        work(config)

    children = [forked(lambda r=rank, w=work: as_rank(r, w)) for rank, work in enumerate(works)]
    return [ended(child) for child in children]


def weights(folder):
    return load_file(folder / "bundle" / "model.safetensors")


def assert_equal(one, other):
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert max(float((first[k] - second[k]).abs().max()) for k in first) < TOLERANCE


def assert_equal_rows(first, second):
    for one, two in zip(rows(first / "metrics.csv"), rows(second / "metrics.csv"), strict=True):
        assert {k: float(v) for k, v in two.items() if v} == pytest.approx(
            {k: float(v) for k, v in one.items() if v}, abs=1e-5
        )


@pytest.fixture(scope="module")
def alone(place):
    run.train(place.classify("alone", *PLAIN, "optim.batch_size=4"))
    return place.folder / "alone"


def test_two_processes_learn_what_one_does(place, alone):
    assert together(place.classify("pair", *PLAIN, *TWO), train, train) == [0, 0]
    pair = place.folder / "pair"
    assert_equal(alone, pair)
    assert_equal_rows(alone, pair)


def test_two_processes_share_the_draws_that_one_makes(place):
    run.train(place.classify("drawn", *PLAIN, "optim.sampler=balanced", "optim.batch_size=4"))
    assert together(place.classify("drawn-pair", *PLAIN, "optim.sampler=balanced", *TWO), train, train) == [0, 0]
    assert_equal(place.folder / "drawn", place.folder / "drawn-pair")


@pytest.fixture
def without_batch_statistics(monkeypatch):
    """Batch normalisation, whose numbers depend on how images are shared out, gives way to one image's own."""
    monkeypatch.setattr(torch.nn, "BatchNorm2d", lambda width: torch.nn.GroupNorm(1, width))


@pytest.fixture(scope="module")
def uneven(place, outlined):
    """A truth in which one image in six has most of the lesions."""
    truth = json.loads(outlined.read_text())
    first = [one for one in truth["annotations"] if one["image_id"] % 6 == 1]
    for number, (one, step) in enumerate(itertools.product(first, (3, 6, 9, 12))):
        (outline,) = one["segmentation"]
        moved = {"bbox": [one["bbox"][0], one["bbox"][1] + step, *one["bbox"][2:]], "id": 1000 + number}
        moved["segmentation"] = [[at + step * (place % 2) for place, at in enumerate(outline)]]
        truth["annotations"].append({**one, **moved})
    path = place.folder / "cohort" / "uneven.json"
    path.write_text(json.dumps(truth))
    return path


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_two_processes_learn_what_one_does_however_lesions_are_spread(place, uneven, without_batch_statistics, task):
    recipe = (*PLAIN, "model.patch_size=8", "augment=none", f"model.task={task}", f"data.truth={uneven}")
    recipe += ("model.strides=[4,8]",) if task == "detect" else ("model.strides=[4]",)
    run.train(place.detect(f"{task}-alone", *recipe, "optim.batch_size=4"))
    assert together(place.detect(f"{task}-pair", *recipe, *TWO), train, train) == [0, 0]
    one, two = place.folder / f"{task}-alone", place.folder / f"{task}-pair"
    assert_equal(one, two)
    assert_equal_rows(one, two)


def test_where_one_is_killed_the_other_ends_too_and_both_go_on(place, alone):
    config = place.classify("pair-killed", *PLAIN, *TWO)
    assert together(config, lambda c: train(c, 9), train) == [-signal.SIGKILL, 99]
    folder = place.folder / "pair-killed"
    assert together(composed("train", f"resume={folder}", "run_dir=x"), train, train) == [0, 0]
    assert_equal(alone, folder)


def test_a_signal_to_either_ends_both_after_the_same_step(place, alone):
    config = place.classify("pair-told", *PLAIN, *TWO)
    assert together(config, train, lambda c: train(c, 7, signal.SIGTERM)) == [143, 0]
    folder = place.folder / "pair-told"
    assert together(composed("train", f"resume={folder}", "run_dir=x"), train, train) == [0, 0]
    assert_equal(alone, folder)


def test_where_the_first_fails_the_other_does_not_wait(place):
    config = place.classify("pair-failed", *TWO, "data.path=/nowhere.npz")
    assert together(config, train, train) == [99, 99]
    assert not (place.folder / "pair-failed" / "config.yaml").exists()


def test_the_other_waits_for_the_first_and_reads_no_source(place, tmp_path):
    from radvit.data.sources.medmnist import MedMnist

    def without_a_source(config):
        MedMnist.read = None  # to be called is an error
        train(config)

    config = place.classify("pair-cold", *PLAIN, *TWO, f"data.cache={tmp_path}", "trainer.max_epochs=1")
    assert together(config, train, without_a_source) == [0, 0]
    assert load_bundle(place.folder / "pair-cold").trained["n_train"] == 24
