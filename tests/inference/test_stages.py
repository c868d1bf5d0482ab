import itertools
import threading

import pytest

from radvit.inference.stages import Stages


def names():
    return {thread.name for thread in threading.enumerate()}


def test_values_come_in_order_through_two_stages():
    with Stages() as stages:
        first = stages.ahead("one", range(100), 2)
        second = stages.ahead("two", (n * n for n in first), 3)
        assert list(second) == [n * n for n in range(100)]
    assert not {"one", "two"} & names()


def test_each_stage_runs_in_its_own_thread():
    with Stages() as stages:
        first = stages.ahead("one", (threading.current_thread().name for _ in range(2)), 1)
        second = stages.ahead("two", ((name, threading.current_thread().name) for name in first), 1)
        assert list(second) == [("one", "two")] * 2


@pytest.mark.parametrize("room", [1, 3])
def test_a_stage_stays_only_so_far_ahead(room):
    made, full = [], threading.Event()

    def counting():
        for n in itertools.count():
            made.append(n)
            if len(made) == room + 1:  # one more than there is room for, which it holds in its hands
                full.set()
            yield n

    with Stages() as stages:
        values = stages.ahead("one", counting(), room)
        assert full.wait(10)
        assert not full.wait(0.05) or len(made) == room + 1
        assert next(values) == 0
    assert len(made) <= room + 3


def test_an_error_comes_after_the_values_before_it_with_its_traceback():
    def failing():
        yield 1
        raise ArithmeticError("of the stage")

    with Stages() as stages:
        values = stages.ahead("two", stages.ahead("one", failing(), 5), 5)
        assert next(values) == 1
        with pytest.raises(ArithmeticError, match="of the stage") as caught:
            next(values)
    assert "failing" in [entry.name for entry in caught.traceback]
    assert not {"one", "two"} & names()


def test_leaving_ends_stages_that_wait_and_closes_what_they_iterate():
    closed = []

    def endless(name):
        try:
            yield from itertools.count()
        finally:
            closed.append(name)

    def never():
        try:
            gate.wait()
            yield 0
        finally:
            closed.append("never")

    gate = threading.Event()
    with Stages() as stages:
        full = stages.ahead("full", endless("full"), 1)
        stages.ahead("empty", stages.ahead("source", never(), 1), 1)
        assert next(full) == 0
        gate.set()
    assert sorted(closed) == ["full", "never"]
    assert not {"full", "empty", "source"} & names()
