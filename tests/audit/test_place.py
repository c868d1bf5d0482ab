import stat
from pathlib import Path

import pytest

from radvit.audit import AuditLog, default_log, known_log
from radvit.audit.place import KEY_ENVIRONMENT, LOG_ENVIRONMENT
from radvit.errors import AuditError


def test_the_default_place_and_its_key(tmp_path):
    made = default_log()
    assert made.path == Path(".radvit/audit.jsonl")
    assert stat.S_IMODE((tmp_path / ".radvit" / "audit.key").stat().st_mode) == 0o600
    made.append("a.b")
    again = default_log()
    assert again.fingerprint == made.fingerprint
    assert again.verify() == known_log().verify() == ()
    assert default_log(tmp_path / "other.jsonl").fingerprint != made.fingerprint
    assert (tmp_path / "other.key").is_file()


def test_the_environment_names_log_and_key(tmp_path, monkeypatch):
    monkeypatch.setenv(LOG_ENVIRONMENT, str(tmp_path / "logs" / "x.jsonl"))
    beside = default_log()
    assert beside.path == tmp_path / "logs" / "x.jsonl"
    assert (tmp_path / "logs" / "x.key").is_file()
    monkeypatch.setenv(KEY_ENVIRONMENT, "ab" * 32)
    assert default_log().fingerprint == AuditLog(beside.path, b"\xab" * 32).fingerprint
    monkeypatch.setenv(KEY_ENVIRONMENT, str(tmp_path / "keys" / "y.key"))
    elsewhere = default_log()
    assert (tmp_path / "keys" / "y.key").is_file()
    assert default_log(key=tmp_path / "logs" / "x.key").fingerprint == beside.fingerprint != elsewhere.fingerprint


def test_the_key_of_a_log_that_is_there_is_never_made_anew(tmp_path):
    default_log().append("a.b")
    key = tmp_path / ".radvit" / "audit.key"
    key.unlink()
    for left in ("audit.jsonl", "audit.jsonl.head"):
        for use in (default_log, known_log):
            with pytest.raises(AuditError, match="expected a file that its owner can read"):
                use()
        assert not key.exists()
        (tmp_path / ".radvit" / left).unlink()


def test_nothing_is_made_where_a_log_is_expected(tmp_path):
    with pytest.raises(AuditError, match="no audit log at"):
        known_log()
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_others_can_read_or_that_is_the_log_is_refused(tmp_path):
    key = tmp_path / "audit.key"
    key.write_text("ab" * 32)
    key.chmod(0o644)
    with pytest.raises(AuditError, match="can be read by others; run: chmod 600"):
        default_log(tmp_path / "audit.jsonl")
    with pytest.raises(AuditError, match="expected two files"):
        default_log(key)
