"""Whatever is done to a log by someone without its key is found."""

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvit.audit import AuditLog
from radvit.audit.examine import Kind, examine
from radvit.audit.head import head_path, read_head
from radvit.audit.line import Seal
from radvit.errors import AuditError

from .conftest import ENTRIES, KEY


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A log of five lines, at rest, that tests may change as long as they put it back."""
    log = AuditLog(tmp_path_factory.mktemp("audit") / "audit.jsonl", KEY)
    log.extend(ENTRIES)
    return log


def faults_of(log, data, head=None):
    """The faults of the log with these bytes in its place, and with this head."""
    kept, kept_head = log.path.read_bytes(), head_path(log.path).read_bytes()
    log.path.write_bytes(data)
    if head is not None:
        head_path(log.path).write_bytes(head)
    try:
        return log.verify()
    finally:
        log.path.write_bytes(kept)
        head_path(log.path).write_bytes(kept_head)


def faults_in(log, data):
    """The same, read from memory: for many changes of one byte."""
    seals = Seal(KEY, "line", "hash"), Seal(KEY, "head", "mac")
    return examine(io.BytesIO(data), len(data), seals[0], read_head(head_path(log.path), seals[1])).faults


def kinds(faults):
    return [(fault.line, fault.kind, fault.count) for fault in faults]


def test_reading_from_memory_is_as_reading_the_file(whole):
    data = whole.path.read_bytes()
    for changed in (data, data[:-1], data[1:], data + b"x", data[:200] + data[210:], b""):
        assert faults_in(whole, changed) == faults_of(whole, changed)
    assert faults_in(whole, data) == ()


def test_any_byte_changed(whole):
    data = whole.path.read_bytes()
    ends = list(itertools.accumulate(len(line) for line in data.splitlines(keepends=True)))
    for place, byte in enumerate(data):
        number = 1 + sum(place >= end for end in ends)
        for other in {byte ^ 1, byte ^ 0x20, 0x0A, 0x00} - {byte}:
            faults = faults_in(whole, data[:place] + bytes([other]) + data[place + 1 :])
            assert faults, (place, other)
            assert faults[0].line == number
            assert faults[0].kind in (Kind.CHANGED, Kind.CUT)


def test_any_byte_added_or_taken_away(whole):
    data = whole.path.read_bytes()
    for place in range(len(data)):
        assert faults_in(whole, data[:place] + data[place + 1 :])
        for byte in b"\n 0":
            assert faults_in(whole, data[:place] + bytes([byte]) + data[place:])
    for byte in b"\n 0\0":
        assert kinds(faults_in(whole, data + bytes([byte]))) == [(6, Kind.ADDED, 0)]


def test_a_tail_cut_at_any_byte(whole):
    data = whole.path.read_bytes()
    for length in range(len(data)):
        faults = faults_in(whole, data[:length])
        assert faults[-1].kind is Kind.CUT, length
    lines = data.splitlines(keepends=True)
    for left in range(5):
        assert kinds(faults_in(whole, b"".join(lines[:left]))) == [(left + 1, Kind.CUT, 5 - left)]


def test_any_run_of_lines_dropped(whole):
    lines = whole.path.read_bytes().splitlines(keepends=True)
    for first, last in itertools.combinations(range(6), 2):
        faults = faults_of(whole, b"".join(lines[:first] + lines[last:]))
        kind = Kind.CUT if last == 5 else Kind.MISSING
        assert kinds(faults) == [(first + 1, kind, last - first)]


def test_any_line_repeated_anywhere(whole):
    lines = whole.path.read_bytes().splitlines(keepends=True)
    for line, place in itertools.product(range(5), range(6)):
        faults = faults_of(whole, b"".join([*lines[:place], lines[line], *lines[place:]]))
        assert Kind.MISPLACED in {fault.kind for fault in faults}


def test_any_two_lines_swapped(whole):
    lines = whole.path.read_bytes().splitlines(keepends=True)
    for a, b in itertools.combinations(range(5), 2):
        swapped = list(lines)
        swapped[a], swapped[b] = lines[b], lines[a]
        faults = faults_of(whole, b"".join(swapped))
        assert kinds(faults)[0] == (a + 1, Kind.MISSING, b - a)
        assert Kind.MISPLACED in {fault.kind for fault in faults}


def test_two_logs_under_one_key_spliced(whole, tmp_path):
    other = AuditLog(tmp_path / "audit.jsonl", KEY)
    other.extend(ENTRIES)
    ours, theirs = (log.path.read_bytes().splitlines(keepends=True) for log in (whole, other))
    assert not set(ours) & set(theirs)
    for mine, yours in itertools.product(range(6), range(6)):
        if (mine, yours) != (5, 5):
            assert faults_of(whole, b"".join(ours[:mine] + theirs[yours:]))
    assert kinds(faults_of(whole, b"".join([*ours[:3], theirs[3], *ours[4:]]))) == [
        (4, Kind.FOREIGN, 0),
        (5, Kind.FOREIGN, 0),
    ]
    assert kinds(faults_of(whole, other.path.read_bytes())) == [(0, Kind.HEAD, 0)]
    assert kinds(faults_of(whole, whole.path.read_bytes(), head_path(other.path).read_bytes())) == [(0, Kind.HEAD, 0)]


@given(st.lists(st.integers(0, 4), max_size=9))
@settings(max_examples=300, deadline=None)
def test_any_other_sequence_of_the_same_lines(whole, order):
    lines = whole.path.read_bytes().splitlines(keepends=True)
    assert bool(faults_of(whole, b"".join(lines[i] for i in order))) == (order != [0, 1, 2, 3, 4])


@given(st.binary(max_size=400), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_garbage_anywhere_is_found_and_never_raises(whole, garbage, before, after):
    data = whole.path.read_bytes()
    lines = data.splitlines(keepends=True)
    changed = b"".join(lines[:before]) + garbage + b"".join(lines[after:])
    assert bool(faults_of(whole, changed)) == (changed != data)


def test_a_forged_line_needs_the_key(whole, tmp_path):
    forger = AuditLog(tmp_path / "audit.jsonl", b"x" * 32)
    forger.extend(ENTRIES)
    lines = whole.path.read_bytes().splitlines(keepends=True)
    forged = forger.path.read_bytes().splitlines(keepends=True)
    assert kinds(faults_of(whole, b"".join([*lines[:2], forged[2], *lines[3:]]))) == [(3, Kind.CHANGED, 0)]
    assert kinds(faults_of(whole, b"".join([*lines, forged[4]]))) == [(6, Kind.ADDED, 0)]


def test_any_byte_of_the_head_changed_or_cut(whole):
    data, head = whole.path.read_bytes(), head_path(whole.path).read_bytes()
    for place, byte in enumerate(head):
        for other in {byte ^ 1, 0x0A} - {byte}:
            changed = head[:place] + bytes([other]) + head[place + 1 :]
            assert kinds(faults_of(whole, data, changed)) == [(0, Kind.HEAD, 0)]
        assert kinds(faults_of(whole, data, head[:place])) == [(0, Kind.HEAD, 0)]
    assert kinds(faults_of(whole, data, b"[" * 4096)) == [(0, Kind.HEAD, 0)]


def test_an_older_head_or_none(log):
    head = head_path(log.path)
    older = head.read_bytes()
    log.append("a.b")
    head.write_bytes(older)
    assert kinds(log.verify()) == [(0, Kind.HEAD, 0)]
    head.unlink()
    assert kinds(log.verify()) == [(0, Kind.HEAD, 0)]
    log.path.unlink()
    with pytest.raises(AuditError, match="no audit log"):
        log.verify()


def test_a_log_that_is_gone_while_its_head_is_left(log):
    log.path.unlink()
    assert kinds(log.verify()) == [(1, Kind.CUT, 5)]
    with pytest.raises(AuditError, match="isn't as it was left"):
        log.append("a.b")
    assert kinds(log.verify()) == [(1, Kind.CUT, 5)]
    assert list(log.records()) == []


def test_log_and_head_both_put_back_are_found_by_a_head_kept_elsewhere(log):
    files = (log.path, head_path(log.path))
    older = [path.read_bytes() for path in files]
    kept = log.append("a.b").hash
    log.append("a.b")
    assert log.verify(kept) == ()
    for path, data in zip(files, older, strict=True):
        path.write_bytes(data)
    assert log.verify() == ()
    assert kinds(log.verify(kept)) == [(0, Kind.OLDER, 0)]


def test_a_changed_log_takes_no_further_entry(whole):
    data = whole.path.read_bytes()
    for changed in (data[:-1], data + b"\n", data[: data.index(b"\n") + 1], b"", data[:-4] + b"x" + data[-3:]):
        whole.path.write_bytes(changed)
        try:
            with pytest.raises(AuditError, match="isn't as it was left: nothing was added; run: radvit audit verify"):
                whole.append("a.b")
            assert whole.path.read_bytes() == changed
        finally:
            whole.path.write_bytes(data)
    whole_head = head_path(whole.path).read_bytes()
    head_path(whole.path).write_bytes(whole_head.replace(b'"lines":5', b'"lines":4'))
    try:
        with pytest.raises(AuditError, match="head isn't as it was written"):
            whole.append("a.b")
    finally:
        head_path(whole.path).write_bytes(whole_head)
    assert whole.verify() == ()


def test_a_line_without_end_takes_little_memory_and_is_a_fault(log):
    with log.path.open("ab") as file:
        file.truncate(log.path.stat().st_size + (8 << 20))
    faults = log.verify()
    assert {fault.kind for fault in faults} == {Kind.ADDED}
    assert faults[0].line == 6
