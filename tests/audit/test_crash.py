"""A process that is killed, or a machine that loses its power, leaves a log that is whole, and that tells of it."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing import get_context

import pytest

from radvit.audit import AuditLog
from radvit.audit.examine import Interrupted
from radvit.audit.head import head_path

from .conftest import ENTRIES, KEY

fork = get_context("fork")
STEPS = ("pwrite", "ftruncate", "fsync", "replace")  # what changes the disk


def die_at(step, half):
    """End this process at its step-th call that changes the disk: before it, or, of a write, in the middle."""
    calls = itertools.count(1)

    def deadly(name, call):
        def wrapped(*arguments):
            if next(calls) == step:
                if half and name == "pwrite":
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)

        return wrapped

    for name in STEPS:
        setattr(os, name, deadly(name, getattr(os, name)))


def doomed(path, step, half, key):
    die_at(step, half)
    AuditLog(path, key).extend(ENTRIES)


def run_to_death(path, step, half, key=KEY):
    """Write ENTRIES in a child that is killed at a step; whether it was."""
    child = fork.Process(target=doomed, args=(path, step, half, key))
    child.start()
    child.join()
    return child.exitcode == -signal.SIGKILL


def events(log):
    return [record["event"] for record in log.records()]


def told(log):
    """What each `audit.recovered` line tells."""
    return [Interrupted(line["bytes"], line["lines"]) for line in log.records() if line["event"] == "audit.recovered"]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("began", [False, True])
def test_killed_at_every_step_of_a_write(tmp_path, began, half):
    seen = set()
    for step in itertools.count(1):
        log = AuditLog(tmp_path / str(step) / "audit.jsonl", KEY)
        if began:
            log.append("a.b")
        before = log.head().lines
        if not run_to_death(log.path, step, half):
            break
        left = None
        if log.path.stat().st_size or head_path(log.path).exists():  # else there is no log yet
            found = log.examine()
            assert found.faults == ()
            left = found.interrupted
            seen.add((found.reached.lines - before, left is not None))
        reached = log.append("a.c")
        assert told(log) == ([] if left is None else [left])
        assert (log.verify(), log.head()) == ((), reached)
        assert log.append("a.d").lines == reached.lines + 1
        assert len(told(log)) == (left is not None)
        assert events(log)[-1] == "a.d"
        assert events(log).count("audit.begun") == 1
    own = 0 if began else 1
    assert seen >= {(0, True), (4 + own, False)}  # all of it lost, and all of it there
    assert not half or any(0 < lines < 4 + own and told for lines, told in seen)


@pytest.fixture
def interrupted(tmp_path):
    """A log and what it held when a write of four lines was done but for its last step."""
    log = AuditLog(tmp_path / "audit.jsonl", KEY)
    log.append("a.b")
    kept = log.head()
    assert run_to_death(log.path, 7, half=False)  # head: fsync, replace, fsync; pwrite, ftruncate, fsync; then dead
    data = log.path.read_bytes()
    assert len(data) > kept.bytes
    assert log.head() == kept
    return log, kept, data, head_path(log.path).read_bytes()


def restore(log, data, head):
    log.path.write_bytes(data)
    head_path(log.path).write_bytes(head)


def test_lines_that_arrived_without_their_head_are_kept_and_nothing_is_told(interrupted):
    log, kept, data, _ = interrupted
    found = log.examine()
    assert (found.faults, found.interrupted, found.reached.lines) == ((), None, kept.lines + 4)
    assert log.append("a.b").lines == kept.lines + 5
    assert "audit.recovered" not in events(log)
    assert log.path.read_bytes().startswith(data)
    assert log.verify() == ()


@pytest.mark.parametrize("filler", [b"", b"\0", b"\n", b"x"], ids=["cut", "zeros", "line ends", "garbage"])
def test_a_write_that_a_power_cut_tore_at_any_byte(interrupted, filler):
    log, kept, data, head = interrupted
    ends = [kept.bytes, *(place + 1 for place in range(kept.bytes, len(data)) if data[place] == 0x0A)]
    for length in range(kept.bytes, len(data)):
        torn = data[:length] + filler * (len(data) - length)
        restore(log, torn, head)
        if torn == data:
            continue
        whole = sum(torn[:end] == data[:end] for end in ends) - 1
        left = Interrupted(len(torn) - ends[whole], 4 - whole)
        found = log.examine()
        assert (found.faults, found.interrupted, found.reached.lines) == ((), left, kept.lines + whole)
        if length % 13 and length not in ends:
            continue
        reached = log.append("a.c")
        assert reached.lines == kept.lines + whole + 2
        *_, recovered, last = log.records()
        assert (recovered["event"], recovered["bytes"], recovered["lines"]) == (
            "audit.recovered",
            left.bytes,
            left.lines,
        )
        assert last["event"] == "a.c"
        assert log.path.read_bytes().startswith(data[: ends[whole]])
        assert (log.verify(), log.head()) == ((), reached)


def test_what_an_announced_write_cannot_have_done_is_a_fault(interrupted):
    log, kept, data, head = interrupted
    for changed in (data[: kept.bytes - 1], data + b"x", data[:9] + b"x" + data[10:], data[1:]):
        restore(log, changed, head)
        assert log.verify()


@pytest.mark.parametrize("half", [False, True])
def test_killed_again_at_every_step_of_recovering(interrupted, half):
    log, _, data, head = interrupted
    for step in itertools.count(1):
        restore(log, data[: len(data) - 700], head)
        lost = log.examine().interrupted
        assert lost is not None
        if not run_to_death(log.path, step, half):
            break
        assert log.verify() == ()
        log.append("a.c")
        assert sum(left.lines for left in told(log)) >= lost.lines
        assert log.verify() == ()
    assert step > len(STEPS)


WRITER = """
import sys
from pathlib import Path
from radvit.audit import AuditLog
log = AuditLog(Path(sys.argv[1]), b"k" * 32)
for number in range(10**9):
    log.extend([("a.b", {"number": number, "part": part}) for part in range(40)])
    print(number, flush=True)
"""


def test_killed_from_outside_at_any_moment(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", KEY)
    rng = random.Random(0)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log.path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "0\n"
        time.sleep(rng.uniform(0.0, 0.05))
        writer.kill()
        acknowledged = [0, *map(int, writer.stdout.read().split())]
        writer.wait()
        assert log.verify() == ()
        begun = [record for record in log.records() if record["event"] == "a.b"]
        last = max(i for i, record in enumerate(begun) if (record["number"], record["part"]) == (0, 0))
        whole = [record["number"] for record in begun[last:] if record["part"] == 39]
        assert whole[: len(acknowledged)] == acknowledged
    log.append("a.c")
    assert log.verify() == ()
