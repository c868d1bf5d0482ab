import time

import pytest

from radvit.inference.pool import Died, WorkerPool

# Work is given as expressions for `eval`: a function of this file could not be imported by a worker process.
DIE = "__import__('os')._exit(1)"


def test_order_is_kept():
    slow_first = [f"__import__('time').sleep({0.2 if n == 0 else 0}) or {n}" for n in range(12)]
    with WorkerPool(2) as pool:
        assert [result for _, result in pool.ordered(eval, slow_first, ahead=5)] == list(range(12))


def test_no_more_than_ahead_are_under_way():
    taken = 0

    def items():
        nonlocal taken
        for n in range(20):
            taken += 1
            yield str(n)

    with WorkerPool(2) as pool:
        for done, (_, result) in enumerate(pool.ordered(eval, items(), ahead=4)):
            assert result == done
            assert taken <= done + 5
            time.sleep(0.005)


def test_a_dead_worker_costs_only_its_own_work():
    items = ["0", "1", DIE, "3", "4", DIE, "6"]
    with WorkerPool(2) as pool:
        results = [result for _, result in pool.ordered(eval, items, ahead=4)]
    assert results == [0, 1, Died(), 3, 4, Died(), 6]


def test_an_error_is_raised_where_the_work_did_not_catch_it():
    with WorkerPool(1) as pool, pytest.raises(ZeroDivisionError):
        list(pool.ordered(eval, ["1/0"], ahead=2))


def test_nothing_to_do():
    with WorkerPool(1) as pool:
        assert list(pool.ordered(eval, [], ahead=2)) == []
