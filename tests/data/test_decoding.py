import sys
from pathlib import Path

import numpy as np
import pytest

from radvit.data.decoding import AHEAD, Failure, decode_all
from radvit.data.preprocess import Preprocess
from radvit.pool import Guard

GUARD = Guard(memory_mb=512, deadline_s=1.5)
REASONS = {"k": "crashed", "h": "timeout", "g": "memory", "r": "no-pixels", "v": "ValueError"}
DEEDS = ".k..h." + "." * AHEAD + "ggr" + "." * AHEAD + "vk"


@pytest.fixture
def hostile(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # worker processes get the same path
    from hostile_source import HostileSource

    return HostileSource


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_every_hostile_item_costs_itself_alone_and_says_why(hostile):
    source = hostile(DEEDS)
    outcomes = list(decode_all(source, Preprocess(4), 2, GUARD))
    assert len(outcomes) == len(DEEDS)
    for index, (deed, outcome) in enumerate(zip(DEEDS, outcomes, strict=True)):
        if deed in REASONS:
            assert outcome == Failure(REASONS[deed])
            continue
        (image,) = outcome
        assert image.sample.header.image == str(index)
        np.testing.assert_array_equal(image.pixels, np.full((4, 4), index / len(DEEDS), np.float16))


def test_memory_that_runs_out_in_this_process_has_the_same_reason(hostile, monkeypatch):
    source = hostile("g")
    monkeypatch.setattr(np, "ones", lambda *_: (_ for _ in ()).throw(MemoryError("2 GB")))
    assert list(decode_all(source, Preprocess(4), 0)) == [Failure("memory")]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_few_items_and_none(hostile, workers):
    assert list(decode_all(hostile(""), Preprocess(4), workers)) == []
    [[only]] = decode_all(hostile("."), Preprocess(4), workers)
    assert only.sample.header.image == "0"


def test_a_consumer_may_stop_early(hostile):
    results = decode_all(hostile("." * 100), Preprocess(4), 2)
    assert next(results)[0].sample.header.image == "0"
    results.close()
