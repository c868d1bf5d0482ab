import logging
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from radvit.deid.key import ENVIRONMENT, read_or_create_key
from radvit.errors import DeidError


def test_creates_once_private_and_says_so(tmp_path, caplog):
    path = tmp_path / "new" / "deid.key"
    with caplog.at_level(logging.INFO, "radvit"):
        key = read_or_create_key(path)
        assert read_or_create_key(path) == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(caplog.records) == 1
    assert key.hex() not in caplog.text
    assert [file.name for file in path.parent.iterdir()] == ["deid.key"]


def test_many_at_once_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read_or_create_key, [tmp_path / "deid.key"] * 32))) == 1


def test_environment_holds_the_key_or_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "ab" * 32)
    assert read_or_create_key(None) == b"\xab" * 32
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "k"))
    assert read_or_create_key(None) == bytes.fromhex((tmp_path / "k").read_text().strip())


def test_default_is_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.chdir(tmp_path)
    key = read_or_create_key()
    assert (tmp_path / ".radvit/deid.key").read_text().strip() == key.hex()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_refuses_a_key_that_others_can_read(tmp_path, mode):
    path = tmp_path / "deid.key"
    path.write_text("ab" * 32)
    path.chmod(mode)
    with pytest.raises(DeidError, match="chmod 600"):
        read_or_create_key(path)


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "é" * 32])
def test_refuses_a_malformed_key(tmp_path, text):
    path = tmp_path / "deid.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(DeidError, match="expected 64 hexadecimal digits") as caught:
        read_or_create_key(path)
    assert not text or text not in str(caught.value)


def test_refuses_a_folder_and_an_unwritable_place(tmp_path):
    with pytest.raises(DeidError):
        read_or_create_key(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DeidError, match=r"NotADirectoryError|FileExistsError"):
        read_or_create_key(tmp_path / "file" / "deid.key")
