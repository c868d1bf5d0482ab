import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from radvit import pool as module
from radvit.errors import ConfigError, DicomReadError
from radvit.pool import Died, Guard, WorkerPool, guarded, out_of_memory

# Work is given as expressions for `eval`: a function of this file could not be imported by a worker process.
DIE = "__import__('os')._exit(1)"
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"
SEGFAULT = "__import__('ctypes').string_at(0)"
ABORT = "__import__('os').abort()"
PID = "__import__('os').getpid()"
# Bytes that native code asks for and writes to; where they are refused it writes to address 0.
NATIVE = "(c := __import__('ctypes')).memset(c.c_void_p(c.CDLL(None).malloc(c.c_size_t({}))), 1, c.c_size_t({}))"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")


def results(expressions, guard=None, workers=2, ahead=4):
    with WorkerPool(workers, guard or Guard()) as pool:
        return [result for _, result in pool.ordered(eval, expressions, ahead)]


def numpy_bytes(count):
    return f"int(__import__('numpy').ones({count}, 'u1').sum())"


def sleep(seconds, then=0):
    return f"__import__('time').sleep({seconds}) or {then}"


def gone(pid, patience_s=5):
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_order_is_kept():
    assert results([sleep(0.2 if n == 0 else 0, n) for n in range(12)], ahead=5) == list(range(12))


def test_items_are_given_back_beside_their_results():
    with WorkerPool(1) as pool:
        assert list(pool.ordered(len, ["a", "bcd"], ahead=2)) == [("a", 1), ("bcd", 3)]


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


def test_work_runs_in_as_many_processes_as_asked_for():
    assert len(set(results([f"__import__('time').sleep(0.1) or {PID}"] * 6))) == 2
    assert len(set(results([PID] * 6, workers=1))) == 1


def test_nothing_to_do():
    assert results([]) == []


def test_a_dead_worker_costs_only_its_own_work():
    items = ["0", "1", DIE, "3", "4", KILL, "6", SEGFAULT, ABORT, "9"]
    crashed = Died("crashed")
    assert results(items) == [0, 1, crashed, 3, 4, crashed, 6, crashed, crashed, 9]


def test_nothing_but_deaths():
    assert results([DIE] * 5, workers=1) == [Died("crashed")] * 5


def test_no_other_work_is_done_twice_where_a_worker_dies(tmp_path):
    note = "open({!r}, 'a').write('{}\\n') and {}"
    items = [note.format(str(tmp_path / "log"), n, KILL if n % 4 == 1 else n) for n in range(16)]
    assert [r for r in results(items) if r != Died("crashed")] == [n for n in range(16) if n % 4 != 1]
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(16))


def test_a_worker_that_dies_between_two_pieces_of_work_costs_none():
    dying = f"__import__('threading').Timer(0.05, lambda: {KILL}).start()"
    with WorkerPool(2) as pool:
        for _, result in pool.ordered(eval, [dying] * 5, ahead=1):
            assert result is None
            time.sleep(0.08)


def test_a_worker_killed_while_it_sends_its_result_blocks_nothing():
    dying = f"__import__('threading').Timer(0.05, lambda: {KILL}).start() or bytes(1 << 30)"
    start = time.perf_counter()
    assert results([dying, "1", dying, "3"])[1::2] == [1, 3]
    assert time.perf_counter() - start < 20  # the pipe's lock that it took with it is waited for a minute


def test_large_results_and_items_pass():
    with WorkerPool(2) as pool:
        for item, result in pool.ordered(bytes, [bytes([n]) * (8 << 20) for n in range(8)], ahead=8):
            assert item == result


def test_a_deadline_costs_only_the_work_that_missed_it():
    start = time.perf_counter()
    assert results(["0", sleep(30), "2", "3"], Guard(deadline_s=0.5)) == [0, Died("timeout"), 2, 3]
    assert time.perf_counter() - start < 10


def test_the_deadline_counts_from_when_the_work_begins():
    items = [sleep(0.4, n) for n in range(8)]  # the last is begun long after it was handed over
    assert results(items, Guard(deadline_s=1.5), workers=1, ahead=8) == list(range(8))


def test_what_the_work_imports_first_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(1.5)\ndef double(n): return 2 * n")
    monkeypatch.syspath_prepend(str(tmp_path))  # worker processes get the same path
    from slow_to_import import double

    with WorkerPool(1, Guard(deadline_s=0.7)) as pool:
        assert [result for _, result in pool.ordered(double, [1, 2], ahead=2)] == [2, 4]


@LINUX
def test_what_the_work_imports_holds_memory_beside_the_limit(tmp_path, monkeypatch):
    (tmp_path / "large_to_import.py").write_text("HELD = b'x' * (200 << 20)\ndef ask(n): return len(b'x' * (n << 20))")
    monkeypatch.syspath_prepend(str(tmp_path))
    from large_to_import import ask

    with WorkerPool(1, Guard(memory_mb=100)) as pool:
        assert [result for _, result in pool.ordered(ask, [1, 50, 150], ahead=1)] == [1 << 20, 50 << 20, Died("memory")]


def test_a_callable_that_cannot_be_loaded_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "passing.py").write_text("def call(n): return n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from passing import call

    (tmp_path / "passing.py").write_text("raise ZeroDivisionError('at import')")
    with WorkerPool(1) as pool, pytest.raises(ZeroDivisionError, match="at import"):
        list(pool.ordered(call, [1], ahead=2))


def test_work_that_hears_no_signal_is_ended_all_the_same():
    deaf = "__import__('signal').pthread_sigmask(0, [15]) and None or __import__('time').sleep(60)"
    assert results([deaf, "1"], Guard(deadline_s=0.3)) == [Died("timeout"), 1]


def test_work_that_is_ended_cleans_up(tmp_path):
    trace = tmp_path / "trace"
    code = f"try:\n import time; time.sleep(60)\nfinally:\n open({str(trace)!r}, 'w').close()"
    with WorkerPool(1, Guard(deadline_s=0.5)) as pool:
        assert list(pool.ordered(exec, [code], ahead=1)) == [(code, Died("timeout"))]
    assert trace.exists()


@LINUX
@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (numpy_bytes(2 << 30), "memory"),
        ("[bytearray(1 << 16) for _ in range(1 << 15)]", "memory"),  # 2 GB bit by bit
        ("__import__('cv2').resize(__import__('numpy').ones((9, 9), 'u1'), (50000, 50000))", "memory"),
        (NATIVE.format(2 << 30, 2 << 30), "crashed"),
    ],
)
def test_memory_is_limited_and_costs_only_the_work_that_needed_it(work, reason):
    small = numpy_bytes(300 << 20)
    found = results([small, work, small, work, small], Guard(memory_mb=512))
    assert found == [300 << 20, Died(reason), 300 << 20, Died(reason), 300 << 20]


@LINUX
def test_our_own_work_has_neither_limit_nor_deadline():
    work = ["len(bytearray(400 << 20))", sleep(0.6, 7)]
    with WorkerPool(1, Guard(memory_mb=100, deadline_s=0.2)) as pool:
        ours = [result for _, result in pool.ordered(eval, work, ahead=2, guarded=False)]
        theirs = [result for _, result in pool.ordered(eval, work, ahead=2)]
    assert ours == [400 << 20, 7]
    assert theirs == [Died("memory"), Died("timeout")]


@pytest.mark.parametrize(("memory_mb", "deadline_s"), [(0, 1), (-1, 1), (1, 0), (1, -1), (1, float("nan"))])
def test_a_guard_that_lets_nothing_pass_is_refused(memory_mb, deadline_s):
    with pytest.raises(ConfigError, match="expected both above 0"):
        Guard(memory_mb, deadline_s)


def test_an_error_is_raised_where_the_work_did_not_catch_it():
    with WorkerPool(1) as pool:
        with pytest.raises(ZeroDivisionError) as raised:
            list(pool.ordered(eval, ["1/0"], ahead=2))
        assert "in a worker process" in raised.value.__notes__[0]
        assert list(pool.ordered(eval, ["1"], ahead=2)) == [("1", 1)]  # the pool goes on


def test_an_error_of_reading_keeps_its_reason():
    raising = "(_ for _ in ()).throw(__import__('radvit.errors').errors.DicomReadError('no-pixels', 'none'))"
    with WorkerPool(1) as pool, pytest.raises(DicomReadError, match="none") as raised:
        list(pool.ordered(eval, [raising], ahead=1))
    assert raised.value.reason == "no-pixels"


@pytest.mark.parametrize(
    "odd",
    [
        "(_ for _ in ()).throw(type('Odd', (BaseException,), {})())",  # a class that nobody else knows
        "lambda: 0",  # a result that can't be sent
    ],
)
def test_what_cannot_be_pickled_is_an_error_and_no_hang(odd):
    with WorkerPool(1) as pool, pytest.raises(Exception, match=r"pickle|Odd in a worker process"):
        list(pool.ordered(eval, [odd], ahead=1))


def test_a_consumer_that_stops_early_leaves_a_pool_that_works():
    with WorkerPool(2) as pool:
        first = pool.ordered(eval, [sleep(0.1, n) for n in range(50)], ahead=20)
        assert next(first)[1] == 0
        start = time.perf_counter()
        first.close()
        assert [r for _, r in pool.ordered(eval, ["1", "2"], ahead=2)] == [1, 2]
        assert time.perf_counter() - start < 1.5  # the 19 that were waiting are not done


def test_leaving_the_pool_ends_what_is_under_way():
    start = time.perf_counter()
    with WorkerPool(2) as pool:
        pids = [pid for _, pid in pool.ordered(eval, [f"__import__('time').sleep(0.1) or {PID}"] * 2, ahead=2)]
        endless = pool.ordered(eval, ["1", sleep(60), sleep(60)], ahead=3)
        assert next(endless)[1] == 1
    assert time.perf_counter() - start < 10
    assert all(gone(pid) for pid in pids)
    with pytest.raises(RuntimeError, match="closed"):
        list(pool.ordered(eval, ["1"], ahead=1))


def test_an_error_of_the_items_comes_through():
    def items():
        yield "1"
        raise KeyError("of the source")

    with WorkerPool(2) as pool, pytest.raises(KeyError, match="of the source"):
        list(pool.ordered(eval, items(), ahead=4))


def test_two_stages_share_a_pool():
    with WorkerPool(2) as pool:
        first = (str(result) for _, result in pool.ordered(eval, [f"{n} * 2" for n in range(20)], ahead=3))
        second = pool.ordered(eval, (DIE if text == "14" else f"{text} + 1" for text in first), ahead=3)
        assert [r for _, r in second] == [Died("crashed") if n == 7 else 2 * n + 1 for n in range(20)]


def test_many_callables_in_one_pool():
    with WorkerPool(1) as pool:
        stages = [pool.ordered(eval, [str(n), str(n)], ahead=1) for n in range(3 * module.KNOWN_CALLS)]
        for _ in range(2):  # by the second round each has been forgotten
            assert [next(stage)[1] for stage in stages] == list(range(len(stages)))


def test_workers_are_renewed_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "WORKER_LIFE", 3)
    pids = results([PID] * 8, workers=1)
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 2]


def test_workers_that_cannot_start_are_an_error_and_not_the_files(tmp_path):
    script = tmp_path / "unguarded.py"  # each worker would run it again, to start workers of its own
    script.write_text(
        "from radvit.pool import WorkerPool\nwith WorkerPool(1) as p:\n    print(list(p.ordered(len, ['a'], 1)))"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "RadvitError: worker processes can't be started" in done.stderr


def test_guarded_is_a_pool_for_one_item():
    assert guarded(len, "abc") == 3
    assert guarded(eval, KILL) == Died("crashed")
    assert guarded(eval, sleep(30), Guard(deadline_s=0.2)) == Died("timeout")
    with pytest.raises(ZeroDivisionError):
        guarded(eval, "1/0")


def test_a_death_as_an_error_of_reading():
    for reason in ("crashed", "memory", "timeout"):
        error = Died(reason).error()
        assert isinstance(error, DicomReadError)
        assert error.reason == reason


def test_out_of_memory_knows_the_errors_that_say_so():
    import cv2
    import numpy as np

    with pytest.raises(cv2.error) as other:
        cv2.resize(np.ones((0, 0), np.uint8), (1, 1))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(other.value)
    assert not out_of_memory(ValueError("memory"))


def test_workers_run_one_thread_and_no_torch():
    probe = (
        "(__import__('cv2').getNumThreads(),"
        " __import__('SimpleITK').ProcessObject.GetGlobalDefaultNumberOfThreads(),"
        " 'torch' in __import__('sys').modules,"
        " __import__('signal').getsignal(2).name, __import__('warnings').filters[0][0])"
    )
    assert results([probe]) == [(1, 1, False, "SIG_IGN", "ignore")]


@pytest.mark.parametrize(
    "name", ["data.decoding", "data.sources.dicom_folder", "deid.batch", "entry", "inference.decoding", "report.write"]
)
def test_what_workers_import_loads_no_torch(name):
    probe = f"import sys, radvit.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


PARENT = f"""
import os, signal, sys, threading
from radvit.pool import WorkerPool
if __name__ == "__main__":
    with WorkerPool(2) as pool:
        for _, pid in pool.ordered(eval, ["__import__('time').sleep(0.1) or {PID}"] * 4, ahead=2):
            print(pid, flush=True)
        print("ready", flush=True)
        list(pool.ordered(eval, ["__import__('time').sleep(60)"] * 3, ahead=3))
"""


def hears_interrupts():
    """Undo what a shell does to commands in the background: it has them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, ending):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, preexec_fn=hears_interrupts) as parent:
        pids = set()
        for line in parent.stdout:
            if line == "ready\n":
                break
            pids.add(int(line))
        assert len(pids) == 2
        time.sleep(0.3)
        parent.send_signal(ending)
        _, said = parent.communicate(timeout=20)
    assert all(gone(pid) for pid in pids)
    assert said.count("Traceback") == (1 if ending == signal.SIGINT else 0)  # the parent's own KeyboardInterrupt


def test_no_threads_or_processes_are_left_behind():
    before = threading.active_count()
    for _ in range(3):
        results(["1", DIE, "3"])
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before
    assert not multiprocessing.active_children()
