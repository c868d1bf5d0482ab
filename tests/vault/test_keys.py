import hashlib
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from radvit.errors import VaultError
from radvit.vault.derivation import ARGON2ID, HKDF_SHA256, PBKDF2_SHA256, Derivation, stretch
from radvit.vault.keys import ENVIRONMENT, EnvironmentKey, KeyFile, KeyringKey, Passphrase, choose

SALT = bytes(range(16))
BY_KEY = Derivation(HKDF_SHA256, SALT)
BY_WORDS = Derivation(PBKDF2_SHA256, SALT, 600_000)
BY_ARGON = Derivation(ARGON2ID, SALT, 2, 19 * 1024, 1)
# of "correct horse" by BY_ARGON, as argon2-cffi's hash_secret_raw gives it too
ARGON_ROOT = "d00b90c40f918cf889780d7d3a9ec3c2b1719df87dc5e4d4d93ea6163db04e17"


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
    with pytest.raises(VaultError, match="there is none"):
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
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "named"))
    assert choose(None) == KeyFile(tmp_path / "named")
    assert choose(tmp_path / "k") == KeyFile(tmp_path / "k")


def test_a_passphrase_is_stretched_as_the_standard_library_does():
    expected = hashlib.pbkdf2_hmac("sha256", "gr\u00fcne Lunge".encode(), SALT, 600_000)
    assert Passphrase("gru\u0308ne Lunge").root(BY_WORDS) == expected  # however a keyboard composes the letter


def test_a_new_passphrase_is_stretched_by_argon2id_and_by_pbkdf2_where_asked_for():
    derivation = Passphrase("correct horse").fresh()
    assert replace(derivation, salt=SALT) == Derivation(ARGON2ID, SALT, 3, 65536, 4)  # RFC 9106 4, the second choice
    assert derivation.salt != Passphrase("correct horse").fresh().salt
    assert replace(Passphrase("correct horse", PBKDF2_SHA256).fresh(), salt=SALT) == BY_WORDS
    with pytest.raises(VaultError, match="7 characters; expected 8 or more"):
        Passphrase("seven c").fresh()


def test_argon2id_gives_what_its_reference_gives():
    assert Passphrase("gru\u0308ne Lunge").root(BY_ARGON) == Passphrase("gr\u00fcne Lunge").root(BY_ARGON)
    assert Passphrase("correct horse").root(BY_ARGON).hex() == ARGON_ROOT


def test_passphrases_are_not_shown():
    assert "horse" not in repr(Passphrase("correct horse"))


def test_key_and_passphrase_are_not_mixed_up(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "ab" * 32)
    with pytest.raises(VaultError, match="opens by a passphrase"):
        EnvironmentKey().root(BY_WORDS)
    with pytest.raises(VaultError, match="opens by a key file"):
        Passphrase("correct horse").root(BY_KEY)


def test_derivations_come_back_from_json():
    for derivation in (BY_KEY, BY_WORDS, BY_ARGON):
        assert Derivation.from_dict(derivation.to_dict()) == derivation


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": "md5"}, "expected hkdf-sha256, pbkdf2"),
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


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"iterations": 1}, "1 iterations of Argon2id; expected 2 to 32"),
        ({"iterations": 33}, "33 iterations"),
        ({"memory_kib": 19455}, "19455 KiB of memory of Argon2id; expected 19456 to 1048576"),
        ({"memory_kib": 2**21}, "KiB of memory"),
        ({"memory_kib": "20000"}, "0 KiB of memory"),
        ({"lanes": 0}, "0 lanes"),
        ({"lanes": 17}, "17 lanes of Argon2id; expected 1 to 16"),
    ],
)
def test_refuses_forged_parameters_of_argon2id(change, match):
    with pytest.raises(VaultError, match=match):
        Derivation.from_dict(BY_ARGON.to_dict() | change)


def test_stretching_has_bounds():
    with pytest.raises(VaultError, match="expected 600000 to 10000000"):
        stretch("correct horse", SALT, 599_999)


class Memory(KeyringBackend):
    """A keyring that lasts as long as the test."""

    priority = 1

    def __init__(self, fault=None):
        self.kept, self.fault = {}, fault

    def get_password(self, service, username):
        if self.fault:
            raise self.fault
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password


@pytest.fixture
def in_keyring():
    before = keyring.get_keyring()
    yield lambda backend: keyring.set_keyring(backend) or backend
    keyring.set_keyring(before)


def test_a_key_in_the_keyring_is_made_once_and_kept(in_keyring, caplog):
    caplog.set_level("INFO", "radvit")
    backend = in_keyring(Memory())
    provider = KeyringKey("ward")
    first, second = provider.fresh(), provider.fresh()
    assert provider.root(first) == KeyringKey("ward").root(first) != provider.root(second)
    assert list(backend.kept) == [("radvit", "ward")]
    (key,) = backend.kept.values()
    assert len(bytes.fromhex(key)) == 32
    assert len(caplog.records) == 1
    assert key not in caplog.text


def test_a_key_missing_from_the_keyring_is_not_made_by_opening(in_keyring):
    backend = in_keyring(Memory())
    with pytest.raises(VaultError, match="key ward of the keyring is not set"):
        KeyringKey("ward").root(BY_KEY)
    assert not backend.kept


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (keyring.errors.KeyringLocked("locked.\nmore"), r"keyring can't be read: locked$"),
        (keyring.errors.NoKeyringError("no backend"), "this system has no keyring"),
    ],
)
def test_a_keyring_that_fails_is_told_in_one_line(in_keyring, fault, match):
    in_keyring(Memory(fault))
    with pytest.raises(VaultError, match=match):
        KeyringKey("ward").root(BY_KEY)


def test_without_the_package_keyring_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)  # as Python does for what isn't there
    with pytest.raises(VaultError, match=r"pip install radvit\[keyring\]"):
        KeyringKey("ward").fresh()


def test_too_little_memory_for_argon2id_is_one_line():
    program = """
import resource
from radvit.errors import VaultError
from radvit.vault.derivation import ARGON2ID, Derivation, root_of_words
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
try:
    root_of_words("correct horse", Derivation(ARGON2ID, bytes(16), 3, 1 << 20, 4))
except VaultError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Argon2id needs 1024 MiB of memory, and there is less\n"
