import threading
import time

import pytest

from radvit.inference.ahead import Ahead, ended


def until(true, patience=5.0):
    """Wait for something that another thread brings about."""
    end = time.monotonic() + patience
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_items_keep_their_order():
    assert list(Ahead(range(100), 3)) == list(range(100))
    assert list(Ahead([], 3)) == []


def test_no_more_are_taken_than_may_wait():
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    reader = Ahead(items(), 3)
    assert until(lambda: len(taken) == 4)  # three wait, and one more is held until there is room
    time.sleep(0.2)
    assert len(taken) == 4
    assert next(reader) == 0
    assert until(lambda: len(taken) == 5)
    with ended(reader):
        pass


def test_what_is_read_and_what_is_made_overlap():
    """Each side waits for the other to be at work at the same time; one after the other, both would wait for ever."""
    making, reading = threading.Event(), threading.Event()

    def items():
        yield "first"
        making.set()
        assert reading.wait(5)
        yield "second"

    reader = Ahead(items(), 1)
    assert next(reader) == "first"
    assert making.wait(5)
    reading.set()
    assert list(reader) == ["second"]


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("of the iterable")

    reader = Ahead(items(), 5)
    assert next(reader) == 1
    with pytest.raises(ValueError, match="of the iterable"):
        next(reader)
    assert list(reader) == []


def test_once_stopped_its_thread_ends_and_the_iterable_is_closed():
    closed = []

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    reader = Ahead(items(), 2)
    next(reader)
    before = threading.active_count()
    with ended(reader):
        pass
    assert closed == [True]
    assert threading.active_count() == before - 1
    assert list(reader) == []


def test_one_that_reads_from_another_ends_with_it():
    release = threading.Event()

    def slow():
        yield 1
        release.wait(0.5)
        yield 2

    first = Ahead(slow(), 1)
    second = Ahead(first, 1)
    assert next(second) == 1
    start = time.monotonic()
    with ended(second, first):
        pass
    assert time.monotonic() - start < 5  # not for ever: the second waited for the first's next item
