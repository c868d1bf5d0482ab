"""A vault as the first version of its forms was written, byte for byte: it opens, and goes on."""

import io
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from radvit.errors import VaultError
from radvit.vault.catalogue import Catalogue, Details
from radvit.vault.keys import KeyFile, Passphrase
from radvit.vault.rotation import rotate
from radvit.vault.store import Vault

PLAIN, PATIENT = b"a chest radiograph", "P-ABCDEFGHIJKLMNOP"
KNOWN = ("note", PATIENT, "2.25.7", "DX", "20240131")
SCHEMA = """
CREATE TABLE objects (
    id TEXT PRIMARY KEY, size INTEGER NOT NULL, kind TEXT NOT NULL, patient TEXT NOT NULL,
    study TEXT NOT NULL, modality TEXT NOT NULL, date TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_patient ON objects (patient, study);
"""
BY_KEY = (
    {"name": "hkdf-sha256", "salt": "QutNmsU+JDIJbIhMGUx62A==", "iterations": 0},
    "UkFEVklUAAEAAAAAAAAAAAAAAAAAAAAAAAAAAABnQUFBQUFCckJ1ZWV4ZmxORjVmeVFUQ1lrSWowLWJjbU55SER0VUVBR0lzd3c2elQzcUdFRXZV"
    "SHprYkU3cHhZYmVKMW5YOHZsa0N5TEc1RTA4WjVrQXVxUTNsRHlrTTVxQT09",
    "72ac1f3c5cb829aa91c88ae0eeb23f2fa7728c2f519575523b34776c77d1774c",
    "5241445649540002b9f4992f087f885634c319344ad6eac8d4146465cc8939f055556eba7924870495c5bd267654a1e37dbb954b34c118c7"
    "8ed6528c866bdc17bc6fc8ec0407cb16c0e3be5b6fc93577854327162ec3bb9862",
    KNOWN,
)
BY_WORDS = (
    {"name": "pbkdf2-hmac-sha256", "salt": "o2stbDcNjnlr1PxMCIncCg==", "iterations": 600000},
    "UkFEVklUAAEAAAAAAAAAAAAAAAAAAAAAAAAAAABnQUFBQUFCckJ1ZWV4ampvLUZ1ZGQ2em5mNjFMZldza3lpNDA5Wk44MDQ2MG1FTDM0R0l0bU9l"
    "b0N0d2xTbVZ2eUlCVERBb3huZ3V0eFBsX1ZGNkNMVXZFVVpkc0RrcDl0Zz09",
    "7d4a78179dc5ac5c6fbeab904b25e4ca7993d2443770c524105b2d8aca292c05",
    "52414456495400028ca1507a87af1f17c06d197f4a01dbfaf7650d0fb062c2362766e5b6b194b8586005b55f50497739a49e923dee4d3e39"
    "cc15a9eb410812fdf7c86fcc69bec01ccec7820a074ad19500bfb9b77161f984fa",
    ("file", "", "", "", ""),
)


def written(folder, vault):
    derivation, check, object_id, sealed, known = vault
    place = folder / "objects" / object_id[:2]
    place.mkdir(parents=True)
    (place / object_id).write_bytes(bytes.fromhex(sealed))
    (folder / "vault.json").write_text(json.dumps({"version": 1, "derivation": derivation, "check": check}))
    catalogue(folder / "catalogue.sqlite", (object_id, len(PLAIN), *known))
    return object_id


def catalogue(path, *rows):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(f"BEGIN;{SCHEMA}PRAGMA user_version = 1;COMMIT;")
    connection.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "vault.key"
    path.write_text(bytes(range(32)).hex())
    path.chmod(0o600)
    return KeyFile(path)


def read(vault, object_id):
    target = io.BytesIO()
    vault.get(object_id, target)
    return target.getvalue()


@pytest.mark.parametrize("form", [BY_KEY, BY_WORDS], ids=["key", "words"])
def test_opens_and_goes_on(tmp_path, key_file, form):
    object_id = written(tmp_path / "v", form)
    vault = Vault(tmp_path / "v", key_file if form is BY_KEY else Passphrase("correct horse"))
    assert read(vault, object_id) == PLAIN
    assert vault.put(PLAIN, *form[4]) == object_id
    added = vault.put(b"another")
    assert vault.verify() == vault.verify(quick=True) == ()
    assert {entry.id for entry in vault.list()} == {object_id, added}


def test_refuses_another_key(tmp_path, key_file, provider):
    written(tmp_path / "v", BY_KEY)
    provider.fresh()
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(tmp_path / "v", provider)


def test_a_quick_check_of_what_has_no_seal_decrypts_it_and_seals_it(tmp_path, key_file):
    object_id = written(tmp_path / "v", BY_KEY)
    vault = Vault(tmp_path / "v", key_file)
    assert vault.catalogue.stored(object_id).seal is None
    assert vault.verify(quick=True) == ()
    assert len(vault.catalogue.stored(object_id).seal) == 32
    assert vault.verify(quick=True) == ()
    sealed = bytearray(vault.path(object_id).read_bytes())
    sealed[-1] ^= 1
    vault.path(object_id).write_bytes(sealed)
    assert [fault.reason for fault in vault.verify(quick=True)] == ["damaged"]


def test_a_damaged_object_gets_no_seal(tmp_path, key_file):
    object_id = written(tmp_path / "v", BY_KEY)
    vault = Vault(tmp_path / "v", key_file)
    vault.path(object_id).write_bytes(vault.path(object_id).read_bytes()[:-1])
    assert [fault.reason for fault in vault.verify(quick=True)] == ["damaged"]
    assert vault.catalogue.stored(object_id).seal is None


def test_a_rotation_brings_it_to_todays_form_with_the_same_ids(tmp_path, key_file, provider):
    object_id = written(tmp_path / "v", BY_KEY)
    rotated = rotate(tmp_path / "v", key_file, provider)
    assert (rotated.rewrapped, rotated.faults, rotated.done) == (1, (), True)
    vault = Vault(tmp_path / "v", provider)
    assert json.loads((tmp_path / "v/vault.json").read_text())["version"] == 2
    assert read(vault, object_id) == PLAIN
    assert vault.put(PLAIN, *KNOWN) == object_id
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(tmp_path / "v", key_file)


def test_a_catalogue_is_migrated_once_with_every_row_kept(tmp_path):
    path = tmp_path / "catalogue.sqlite"
    ids = [f"{number:064x}" for number in range(50)]
    catalogue(path, *((object_id, 7, *KNOWN) for object_id in ids))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda object_id: Catalogue(path).find(object_id), ids))
    assert [(entry.id, entry.size, entry.details) for entry in found] == [(one, 7, Details(*KNOWN)) for one in ids]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT DISTINCT seal, generation, wrapped FROM objects").fetchall() == [
            (None, 1, None)
        ]


def test_a_catalogue_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "catalogue.sqlite"
    catalogue(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(VaultError, match="is of version 3; expected 2"):
        Catalogue(path).rows({})
