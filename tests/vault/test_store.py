import base64
import hashlib
import hmac
import io
import json
import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from radvit.errors import VaultError
from radvit.vault import stream
from radvit.vault.catalogue import Details
from radvit.vault.keys import KeyFile, Passphrase
from radvit.vault.store import Fault, Vault
from radvit.vault.stream import CHUNK_BYTES

from .vaults import KNOWN, MARK, OTHER, PATIENT, files, object_file, read


@pytest.mark.parametrize("plain", [b"", b"x", MARK * 100, bytes(2 * CHUNK_BYTES)])
def test_what_is_put_comes_back(vault, tmp_path, plain):
    source = tmp_path / "in.dcm"
    source.write_bytes(plain)
    object_id = vault.put(source, **KNOWN)
    assert vault.put(plain, **KNOWN) == object_id  # bytes or a file: the same object
    assert read(vault, object_id) == plain
    vault.get(object_id, tmp_path / "out.dcm")
    assert (tmp_path / "out.dcm").read_bytes() == plain == source.read_bytes()
    (entry,) = vault.list()
    assert (entry.id, entry.size, entry.details) == (object_id, len(plain), Details(**KNOWN))
    assert vault.verify() == ()


def test_ids_are_keyed_so_that_no_one_without_the_key_can_guess_a_file(vault, tmp_path, provider):
    object_id = vault.put(MARK)
    assert object_id != hashlib.sha256(MARK).hexdigest()
    assert object_id == hmac.new(vault.keys.naming, MARK, "sha256").hexdigest()
    assert Vault.init(tmp_path / "second", provider).put(MARK) != object_id  # nor do vaults of one key file agree


def test_putting_again_changes_nothing(vault):
    first = vault.put(MARK, **KNOWN)
    before = {path: path.read_bytes() for path in files(vault.folder / "objects")}
    assert vault.put(MARK, **KNOWN) == first
    assert {path: path.read_bytes() for path in files(vault.folder / "objects")} == before
    assert len(vault.list()) == 1


def test_putting_under_other_details_is_refused_and_leaves_the_object_whole(vault):
    vault.put(MARK, **KNOWN)
    with pytest.raises(VaultError, match="under other details"):
        vault.put(MARK, **KNOWN | {"patient": OTHER})
    assert vault.verify() == ()


def test_putting_again_mends_a_lost_object(vault):
    object_id = vault.put(MARK, **KNOWN)
    object_file(vault, object_id).unlink()
    assert vault.verify() == (Fault(object_id, "missing"),)
    vault.put(MARK, **KNOWN)
    assert vault.verify() == ()


def test_many_at_once(vault):
    plains = [bytes([number % 8]) * 1000 for number in range(48)]
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(vault.put, plains))
    assert [read(vault, object_id) for object_id in ids] == plains
    assert len(vault.list()) == 8
    assert vault.verify() == ()
    assert not list(vault.folder.rglob("*.part"))


def test_rivals_with_other_details_never_break_the_first_ones_object(vault):
    def put(number):
        try:
            return vault.put(MARK, patient=(PATIENT, OTHER)[number % 2])
        except VaultError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(put, range(32)))
    assert len(vault.list()) == 1
    assert any("under other details" in line for line in told)
    assert vault.verify() == ()


def test_an_object_that_a_rival_has_put_meanwhile_is_left_in_its_place(vault, provider, monkeypatch):
    encrypt, rivals = stream.encrypt_body, []

    def while_encrypting(*arguments):
        encrypt(*arguments)
        if not rivals:
            rivals.append(Vault(vault.folder, provider))
            rivals.append(object_file(vault, rivals[0].put(MARK)).read_bytes())

    monkeypatch.setattr("radvit.vault.store.stream.encrypt_body", while_encrypting)
    assert object_file(vault, vault.put(MARK)).read_bytes() == rivals[1]
    assert vault.verify() == vault.verify(quick=True) == ()


def test_lists_by_filters(vault):
    one = vault.put(b"1", kind="dicom", patient=PATIENT, study="2.25.1", modality="DX", date="20240101")
    two = vault.put(b"2", kind="dicom", patient=PATIENT, study="2.25.2", modality="CR", date="20240102")
    three = vault.put(b"3", kind="report", patient=OTHER, study="2.25.3", modality="DX", date="20240101")

    def ids(**filters):
        return [entry.id for entry in vault.list(**filters)]

    assert ids() == [one, two, three]  # by patient, then date
    assert ids(patient=PATIENT) == [one, two]
    assert ids(kind="report") == ids(study="2.25.3") == [three]
    assert ids(modality="DX") == ids(date="20240101") == [one, three]
    assert ids(patient=PATIENT, modality="CR") == [two]
    assert ids(patient="P-' OR 1") == []
    with pytest.raises(
        VaultError, match="no such column: colour; expected kind, patient, study, modality, date, since, until"
    ):
        ids(colour="red")


def test_an_empty_vault(vault):
    assert vault.list() == ()
    assert vault.verify() == ()
    with pytest.raises(VaultError, match="no object"):
        vault.get("../vault.json", io.BytesIO())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patient", "Doe^Jane"),
        ("patient", "P-ABCDEFGHIJKLMNOP\n"),
        ("patient", "P-1"),
        ("study", "1.2.840.113619.2.5"),
        ("date", "2024-01-31"),
        ("modality", "chest of Jane"),
        ("kind", ""),
        ("kind", "Jane Doe"),
    ],
)
def test_identity_is_kept_out_of_the_catalogue_and_of_the_message(vault, name, value):
    with pytest.raises(VaultError, match=f"{name}: a value of {len(value)} characters; expected") as caught:
        vault.put(MARK, **KNOWN | {name: value})
    assert not value or value not in str(caught.value)
    assert vault.list() == ()
    assert not files(vault.folder / "objects")


def test_no_plaintext_key_passphrase_or_file_name_in_any_byte(tmp_path):
    words = "correct horse battery"
    vault = Vault.init(tmp_path / "vault", Passphrase(words))
    source = tmp_path / "Doe_Jane_chest.dcm"
    source.write_bytes(MARK * 50_000)  # more than a chunk
    vault.put(source, **KNOWN)
    vault.put(MARK, kind="note")
    secret = [MARK[:12], b"Doe", words.encode(), b"horse", vault.keys.kek, vault.keys.naming]
    kept = files(vault.folder)
    assert len(kept) >= 4
    for path in kept:
        data = path.read_bytes() + str(path.relative_to(tmp_path)).encode()
        assert not any(word in data or base64.b64encode(word) in data or word.hex().encode() in data for word in secret)


def test_only_the_owner_may_read(vault):
    vault.put(MARK)
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(vault.folder)} == {0o600}


def test_opens_with_its_own_key_only(vault, tmp_path, provider):
    object_id = vault.put(MARK)
    assert read(Vault(vault.folder, provider), object_id) == MARK
    stranger = KeyFile(tmp_path / "other.key")
    stranger.fresh()
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(vault.folder, stranger)
    with pytest.raises(VaultError, match="opens by a key file"):
        Vault(vault.folder, Passphrase("correct horse"))


def test_a_passphrase_vault(tmp_path):
    Vault.init(tmp_path / "vault", Passphrase("correct horse"))
    told = json.loads((tmp_path / "vault/vault.json").read_text())["slots"][0]["derivation"]
    assert told == told | {"name": "argon2id", "iterations": 3, "memory_kib": 65536, "lanes": 4}
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(tmp_path / "vault", Passphrase("correct horsf"))


def test_an_object_swapped_for_another_is_refused_before_a_byte_is_given(vault):
    mine, theirs = vault.put(b"mine", patient=PATIENT), vault.put(b"theirs", patient=OTHER)
    shutil.copy(object_file(vault, theirs), object_file(vault, mine))
    target = io.BytesIO()
    with pytest.raises(VaultError, match="chunk 0 fails its check"):
        vault.get(mine, target)
    assert target.getvalue() == b""
    assert vault.verify() == (Fault(mine, "damaged"),)


def test_damage_leaves_no_file_behind(vault, tmp_path):
    object_id = vault.put(bytes(2 * CHUNK_BYTES))
    path = object_file(vault, object_id)
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "out").mkdir()
    with pytest.raises(VaultError, match="chunk 1 fails"):
        vault.get(object_id, tmp_path / "out" / "image.dcm")
    assert not list((tmp_path / "out").iterdir())


def test_get_does_not_overwrite(vault, tmp_path):
    object_id = vault.put(MARK)
    (tmp_path / "there").write_text("kept")
    with pytest.raises(VaultError, match="exists; expected the path of a new file"):
        vault.get(object_id, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "kept"
    with pytest.raises(VaultError, match="No such file"):
        vault.get(object_id, tmp_path / "absent" / "image.dcm")


def test_verify_tells_unlisted_objects_and_passes_over_unfinished_ones(vault):
    object_id = vault.put(MARK)
    stray = vault.folder / "objects" / object_id[:2] / ("ab" * 32)
    stray.write_bytes(b"stray")
    stray.with_suffix(".0011.part").write_bytes(b"unfinished")
    seen = []
    assert vault.verify(lambda done, total: seen.append((done, total))) == (Fault("ab" * 32, "unlisted"),)
    assert seen == [(1, 1)]


def test_a_failed_write_leaves_nothing(vault, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radvit.vault.store.stream.encrypt_body", full)
    with pytest.raises(VaultError, match="No space left"):
        vault.put(MARK)
    assert not files(vault.folder / "objects")
    assert vault.list() == ()


def test_a_file_that_changes_between_reading_and_encrypting(vault, tmp_path, monkeypatch):
    source = tmp_path / "growing"
    source.write_bytes(MARK)
    find = type(vault.catalogue).find

    def change(self, object_id):
        source.write_bytes(MARK + b"more")
        return find(self, object_id)

    monkeypatch.setattr(type(vault.catalogue), "find", change)
    with pytest.raises(VaultError, match="changed while it was read"):
        vault.put(source)
    assert not files(vault.folder / "objects")


def test_errors_of_files_and_of_the_catalogue_are_one_line(vault, tmp_path):
    with pytest.raises(VaultError, match=r"absent.dcm: No such file"):
        vault.put(tmp_path / "absent.dcm")
    for path in vault.folder.glob("catalogue.sqlite*"):
        path.unlink()
    with pytest.raises(VaultError, match="unable to open"):
        vault.list()
    (vault.folder / "catalogue.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(VaultError, match="not a database"):
        vault.list()


def test_the_catalogue_is_in_write_ahead_mode(vault):
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_context_tells_all_rows_apart(vault):
    vault.put(MARK, **KNOWN)
    (entry,) = vault.list()
    others = [
        replace(entry, size=0),
        replace(entry, details=Details("dicom", PATIENT)),
        replace(entry, details=Details("dicom", "", "2.25.123", "DX", "20240131")),
    ]
    assert len({entry.context, *(other.context for other in others)}) == 4


@pytest.mark.parametrize("place", ["x", "objects/x", "../vault/x"])
def test_no_plaintext_is_written_into_the_vault(vault, place):
    object_id = vault.put(b"small")
    with pytest.raises(VaultError, match="lies inside of the vault; expected a place outside of it"):
        vault.get(object_id, vault.folder / place)
    assert not list(vault.folder.rglob("x"))


@pytest.mark.parametrize("step", ["mkdir", "create", "write"])
def test_a_run_of_init_that_was_killed_is_finished_by_the_next(tmp_path, provider, monkeypatch, step):
    def stop(*_):
        raise KeyboardInterrupt

    names = {"mkdir": "store.Catalogue.create", "create": "catalogue._SCHEMA", "write": "store.Ring.write"}
    with monkeypatch.context() as patch:
        patch.setattr(f"radvit.vault.{names[step]}", "no statement;" if step == "create" else stop)
        with pytest.raises((KeyboardInterrupt, VaultError)):
            Vault.init(tmp_path / "v", provider)
    assert (tmp_path / "v" / "objects").is_dir()
    (tmp_path / "v" / "vault.json.12345678.part").write_bytes(b"half")
    vault = Vault.init(tmp_path / "v", provider)
    assert read(vault, vault.put(b"small")) == b"small"
    assert vault.verify() == ()


def test_a_vault_that_lost_its_header_is_not_made_anew(vault, provider):
    header = vault.folder / "vault.json"
    before = header.read_bytes()
    object_id = vault.put(b"small")
    header.unlink()
    with pytest.raises(VaultError, match="is not empty"):
        Vault.init(vault.folder, provider)
    shutil.rmtree(vault.folder / "objects")
    with pytest.raises(VaultError, match=r"has lost its vault\.json"):
        Vault.init(vault.folder, provider)
    header.write_bytes(before)
    assert Vault(vault.folder, provider).verify() == (Fault(object_id, "missing"),)


def test_two_at_once_make_one_vault(tmp_path, provider):
    provider.fresh()

    def made(_):
        try:
            return Vault.init(tmp_path / "v", provider).put(b"small")
        except VaultError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(made, range(4)))
    (object_id,) = (one for one in found if len(one) == 64)
    assert all("is not empty" in one or "another process" in one for one in found if one != object_id)
    assert read(Vault(tmp_path / "v", provider), object_id) == b"small"
