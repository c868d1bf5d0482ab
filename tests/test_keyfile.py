import os
import stat
from pathlib import Path

import pytest

from radvit.errors import DeidError, VaultError
from radvit.keyfile import create_key, key_or_path, parse_key, read_key


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
    with pytest.raises(fault, match="there is none; expected a file that its owner can read"):
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


@pytest.mark.parametrize(
    ("text", "told"),
    [("", None), (" ", None), ("ab" * 32, b"\xab" * 32), ("k.hex", Path("k.hex")), ("/a/b", Path("/a/b"))],
)
def test_a_variable_holds_a_key_or_a_path(monkeypatch, text, told):
    monkeypatch.setenv("KEY", text)
    assert key_or_path("KEY", VaultError) == told


@pytest.mark.parametrize("text", ["ab" * 31, "ab" * 33, "ab" * 31 + "0O", "a" * 32])
def test_a_key_with_a_fault_is_neither_a_path_nor_repeated(monkeypatch, text):
    monkeypatch.setenv("KEY", text)
    with pytest.raises(VaultError, match="expected 64 hexadecimal digits, or a path") as caught:
        key_or_path("KEY", VaultError)
    assert text not in str(caught.value)
