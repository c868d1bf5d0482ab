import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from radvit.errors import VaultError
from radvit.vault.keys import (
    ENVIRONMENT,
    HKDF_SHA256,
    PBKDF2_SHA256,
    Derivation,
    EnvironmentKey,
    KeyFile,
    Passphrase,
    choose,
    stretch,
)

SALT = bytes(range(16))
BY_KEY = Derivation(HKDF_SHA256, SALT)
BY_WORDS = Derivation(PBKDF2_SHA256, SALT, 600_000)


def test_a_key_file_is_made_once_private_and_told(tmp_path, caplog):
    caplog.set_level("INFO", "radvit")
    provider = KeyFile(tmp_path / "new" / "vault.key")
    first, second = provider.fresh(), provider.fresh()
    assert first.salt != second.salt
    assert stat.S_IMODE(provider.path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(provider.path.read_text().strip())) == 32
    assert provider.root(first) == provider.root(first) != provider.root(second)
    assert [file.name for file in provider.path.parent.iterdir()] == ["vault.key"]
    assert len(caplog.records) == 1
    assert provider.path.read_text().strip() not in caplog.text


def test_many_at_once_agree_on_one_key_file(tmp_path):
    provider = KeyFile(tmp_path / "vault.key")

    def root(_):
        provider.fresh()
        return provider.root(BY_KEY)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(root, range(32)))) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_refuses_a_key_file_open_to_others(tmp_path, mode):
    path = tmp_path / "vault.key"
    path.write_text("ab" * 32)
    path.chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        KeyFile(path).root(BY_KEY)


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "é" * 32])
def test_refuses_a_malformed_key_and_does_not_repeat_it(tmp_path, monkeypatch, text):
    path = tmp_path / "vault.key"
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.setenv(ENVIRONMENT, text)
    for provider in (KeyFile(path), EnvironmentKey()):
        with pytest.raises(VaultError, match="expected 64 hexadecimal digits") as caught:
            provider.root(BY_KEY)
        assert not text or text not in str(caught.value)


def test_an_absent_key_file_is_not_made_by_opening(tmp_path):
    with pytest.raises(VaultError, match="No such file"):
        KeyFile(tmp_path / "vault.key").root(BY_KEY)
    assert not list(tmp_path.iterdir())


def test_the_same_key_from_file_or_environment_gives_the_same_root(tmp_path, monkeypatch):
    path = tmp_path / "vault.key"
    path.write_text("ab" * 32 + "\n")
    path.chmod(0o600)
    monkeypatch.setenv(ENVIRONMENT, "AB" * 32)
    assert KeyFile(path).root(BY_KEY) == EnvironmentKey().root(BY_KEY)


def test_choice_of_the_provider(tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert str(choose(None).path) == ".radvit/vault.key"
    monkeypatch.setenv(ENVIRONMENT, "ab" * 32)
    assert choose(None) == EnvironmentKey()
    assert choose(tmp_path / "k") == KeyFile(tmp_path / "k")


def test_a_passphrase_is_stretched_as_the_standard_library_does():
    expected = hashlib.pbkdf2_hmac("sha256", "gr\u00fcne Lunge".encode(), SALT, 600_000)
    assert Passphrase("gru\u0308ne Lunge").root(BY_WORDS) == expected  # however a keyboard composes the letter


def test_a_new_passphrase_vault_asks_for_600_000_iterations():
    derivation = Passphrase("correct horse").fresh()
    assert (derivation.name, derivation.iterations, len(derivation.salt)) == (PBKDF2_SHA256, 600_000, 16)
    assert derivation.salt != Passphrase("correct horse").fresh().salt
    with pytest.raises(VaultError, match="7 characters; expected 8 or more"):
        Passphrase("seven c").fresh()


def test_passphrases_are_not_shown():
    assert "horse" not in repr(Passphrase("correct horse"))


def test_key_and_passphrase_are_not_mixed_up(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "ab" * 32)
    with pytest.raises(VaultError, match="opens by a passphrase"):
        EnvironmentKey().root(BY_WORDS)
    with pytest.raises(VaultError, match="opens by a key file"):
        Passphrase("correct horse").root(BY_KEY)


def test_derivations_come_back_from_json():
    for derivation in (BY_KEY, BY_WORDS):
        assert Derivation.from_dict(derivation.to_dict()) == derivation


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": "md5"}, "expected hkdf-sha256 or pbkdf2"),
        ({"salt": "AAAA"}, "salt of 3 bytes; expected 16"),
        ({"salt": "*"}, "base 64"),
        ({"salt": None}, "malformed"),
        ({"iterations": 1}, "1 iterations"),
        ({"iterations": 10**9}, "iterations of PBKDF2"),
        ({"iterations": "600000"}, "malformed"),
    ],
)
def test_refuses_forged_derivations(change, match):
    with pytest.raises(VaultError, match=match):
        Derivation.from_dict(BY_WORDS.to_dict() | change)


def test_stretching_has_bounds():
    with pytest.raises(VaultError, match="expected 600000 to 10000000"):
        stretch("correct horse", SALT, 599_999)
