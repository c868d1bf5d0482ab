import os
import stat

import pytest

from radvit.errors import DeidError, VaultError
from radvit.keyfile import create_key, parse_key, read_key


def test_a_key_is_made_once_and_read_back(tmp_path):
    path = tmp_path / "new" / "a.key"
    assert create_key(path, VaultError)
    key = read_key(path, VaultError)
    assert not create_key(path, VaultError)
    assert read_key(path, VaultError) == key == parse_key(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["a.key"]


@pytest.mark.parametrize(("text", "key"), [("ab" * 32, b"\xab" * 32), (f" {'AB' * 32}\n", b"\xab" * 32)])
def test_digits_are_a_key(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "ab " * 32, "é" * 64])
def test_anything_else_is_none(text):
    assert parse_key(text) is None


@pytest.mark.parametrize("fault", [DeidError, VaultError])
def test_the_error_is_of_the_class_asked_for(tmp_path, fault):
    with pytest.raises(fault, match="FileNotFoundError: No such file"):
        read_key(tmp_path / "absent", fault)
    (tmp_path / "file").touch()
    with pytest.raises(fault, match="expected a folder that can be written"):
        create_key(tmp_path / "file" / "a.key", fault)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VaultError, match="No space left"):
        create_key(tmp_path / "a.key", VaultError)
    assert not list(tmp_path.iterdir())
