import hashlib
import hmac
import json
import os
import pwd
import stat
import threading
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from radvit.audit import AuditLog
from radvit.audit import log as module
from radvit.audit.head import START, head_path
from radvit.errors import AuditError

from .conftest import ENTRIES, KEY, PATIENT

fork = get_context("fork")


def lines(log):
    return [json.loads(line) for line in log.path.read_bytes().splitlines()]


def test_a_line_says_who_when_and_what(log):
    first, *rest = lines(log)
    assert (first["event"], first["version"], first["key"]) == ("audit.begun", 1, log.fingerprint)
    assert [line["n"] for line in [first, *rest]] == [1, 2, 3, 4, 5]
    for line, (event, fields) in zip(rest, ENTRIES, strict=True):
        assert line["event"] == event
        assert line["user"] == pwd.getpwuid(os.getuid()).pw_name
        moment = datetime.fromisoformat(line["time"])
        assert moment.utcoffset() == timedelta(0)
        assert timedelta(0) <= datetime.now(UTC) - moment < timedelta(minutes=5)
        assert {name: line[name] for name in fields} == fields
        assert list(line) == ["n", "time", "user", "event", *fields, "previous", "hash"]


def test_the_user_is_not_what_the_environment_says(log, monkeypatch):
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    log.append("a.b")
    assert lines(log)[-1]["user"] == pwd.getpwuid(os.getuid()).pw_name


def test_the_chain_can_be_checked_by_other_means(log):
    """HKDF-Expand of one block (RFC 5869 2.3) and HMAC-SHA256 over the line without its hash, by hand."""
    subkey = hmac.new(KEY, b"radvit audit line\x01", hashlib.sha256).digest()
    previous = "0" * 64
    for line in log.path.read_text().splitlines():
        record = json.loads(line)
        told = record.pop("hash")
        assert record["previous"] == previous
        body = json.dumps(record, separators=(",", ":"))
        assert hmac.new(subkey, body.encode(), hashlib.sha256).hexdigest() == told
        previous = told
    assert log.head().hash == previous


def test_an_honest_log_is_whole_however_it_is_written(tmp_path):
    log = AuditLog(tmp_path / "deep" / "down" / "a.jsonl", KEY)
    assert log.head() == START
    assert log.extend([]) == START
    assert not log.path.exists()
    assert log.append("a.b", count=1).lines == 2
    assert log.extend(ENTRIES).lines == 6
    with log.batch(at_once=3) as batch:
        for number in range(7):
            batch.append("a.b", number=number)
        assert log.head().lines == 12
    reached = log.extend([])
    assert reached == log.head()
    assert (reached.lines, reached.bytes) == (13, log.path.stat().st_size)
    found = log.examine(reached.hash.upper())
    assert (found.reached, found.faults, found.interrupted) == (reached, (), None)
    assert [line.get("number") for line in lines(log)][-7:] == list(range(7))
    assert AuditLog(log.path, KEY).append("a.b").lines == 14
    assert log.verify(reached.hash) == ()
    assert [record["n"] for record in log.records()] == list(range(1, 15))


def test_a_batch_that_fails_still_writes_what_was_added(log):
    def fail():
        with log.batch() as batch:
            batch.append("a.b", count=1)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert lines(log)[-1]["count"] == 1
    assert log.verify() == ()


def test_entries_do_not_wait_for_long(log, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_AT_MOST", 0.0)
    with log.batch() as batch:
        for count in range(3):
            batch.append("a.b", count=count)
            assert lines(log)[-1]["count"] == count


def test_a_refused_entry_refuses_the_whole_of_extend(log):
    before = log.path.read_bytes()
    with pytest.raises(AuditError, match="patient"):
        log.extend([("a.b", {}), ("a.b", {"patient": "Doe^Jane"})])
    for own in ("event", "n", "hash"):
        with pytest.raises(AuditError, match="the log's own"):
            log.append("a.b", **{own: "x"})
    assert log.path.read_bytes() == before
    assert log.verify() == ()


def test_only_the_owner_may_open_the_files(tmp_path):
    mask = os.umask(0)
    try:
        log = AuditLog(tmp_path / "new" / "audit.jsonl", KEY)
        log.append("a.b")
    finally:
        os.umask(mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [log.path.parent, *log.path.parent.iterdir()]}
    assert modes == {"new": 0o700, "audit.jsonl": 0o600, "audit.jsonl.head": 0o600}
    for mode in (0o620, 0o604, 0o640):
        log.path.chmod(mode)
        with pytest.raises(AuditError, match="is open to others; run: chmod 600"):
            log.append("a.b")
        assert log.verify() == ()


def test_neither_key_nor_seal_is_shown(log):
    assert repr(log) == f"AuditLog({log.path}, {log.fingerprint})"
    assert len(log.fingerprint) == 12
    assert KEY.hex() not in log.path.read_text() + head_path(log.path).read_text()


def test_another_key_is_told_apart_from_tampering(log):
    other = AuditLog(log.path, b"x" * 32)
    words = f"written under key {log.fingerprint}; the one given is {other.fingerprint}"
    for use in (other.verify, other.head, lambda: other.append("a.b")):
        with pytest.raises(AuditError, match=words):
            use()
    head_path(log.path).unlink()
    with pytest.raises(AuditError, match=words):
        other.verify()
    assert log.verify() != ()


@pytest.mark.parametrize(
    "make", [lambda path: None, Path.touch, Path.mkdir, os.mkfifo], ids=["none", "empty", "folder", "fifo"]
)
def test_no_log(tmp_path, make):
    path = tmp_path / "audit.jsonl"
    make(path)
    for use in (AuditLog(path, KEY).verify, lambda: list(AuditLog(path, KEY).records())):
        with pytest.raises(AuditError, match=rf"no audit log at {path}|{path} is no file"):
            use()


@pytest.mark.parametrize("head", ["", "ab", "g" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_head_that_is_no_hash(log, head):
    with pytest.raises(AuditError, match=f"a head of {len(head)} characters; expected the 64 hexadecimal digits"):
        log.verify(head)


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match=r"audit log .*: File exists") as refused:
        AuditLog(tmp_path / "file" / "audit.jsonl", KEY).append("a.b")
    assert "\n" not in str(refused.value)


def add(path, name, count, at_once):
    log = AuditLog(path, KEY)
    with log.batch(at_once) as batch:
        for number in range(count):
            batch.append("a.b", name=name, number=number)


def test_writers_in_several_processes_lose_nothing(tmp_path):
    path = tmp_path / "audit.jsonl"
    writers = [
        fork.Process(target=add, args=(path, name, 60, at_once)) for name, at_once in {"a": 1, "b": 7, "c": 60}.items()
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    log = AuditLog(path, KEY)
    found = log.examine()
    assert (found.faults, found.interrupted, found.reached.lines) == ((), None, 181)
    for name in "abc":
        assert [line["number"] for line in lines(log) if line.get("name") == name] == list(range(60))
    assert sum(line["event"] == "audit.begun" for line in lines(log)) == 1


def test_writers_in_several_threads_and_a_reader(tmp_path):
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path, KEY)
    log.append("a.b", patient=PATIENT)
    writers = [threading.Thread(target=add, args=(path, name, 40, 2)) for name in "abc"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert log.verify() == ()
    assert log.examine().reached.lines == 122
