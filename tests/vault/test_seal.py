import io
import shutil
import sqlite3

import pytest

from radvit.errors import VaultError
from radvit.vault import stream
from radvit.vault.rotation import rotate
from radvit.vault.store import Fault
from radvit.vault.stream import CHUNK_BYTES, HEADER

PATIENT, OTHER = "P-ABCDEFGHIJKLMNOP", "P-QRSTUVWXYZ234567"


@pytest.fixture
def decrypted(monkeypatch):
    """The contexts of the objects that were decrypted."""
    seen, whole = [], stream.decrypt_body

    def decrypt(source, target, header, key, context):
        seen.append(context)
        whole(source, target, header, key, context)

    monkeypatch.setattr("radvit.vault.store.stream.decrypt_body", decrypt)
    return seen


def test_a_quick_check_decrypts_nothing(vault, decrypted):
    for number in range(5):
        vault.put(bytes([number]) * 1000)
    assert vault.verify(quick=True) == ()
    assert decrypted == []
    assert vault.verify() == ()
    assert len(decrypted) == 5


@pytest.mark.parametrize("place", [0, 7, 8, 14, 15, 30, 54, 55, 60, HEADER.size + CHUNK_BYTES + 20, -1])
def test_it_finds_a_changed_byte_anywhere(vault, place):
    object_id, whole = vault.put(bytes(CHUNK_BYTES + 100)), vault.put(b"untouched")
    path = vault.path(object_id)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert vault.verify(quick=True) == (Fault(object_id, "damaged"),)
    assert whole in {entry.id for entry in vault.list()}


def test_it_finds_truncation_extension_and_loss(vault):
    cut, grown, lost = (vault.put(bytes(size)) for size in (CHUNK_BYTES, 100, 3))
    vault.path(cut).write_bytes(vault.path(cut).read_bytes()[: HEADER.size + 16])
    with vault.path(grown).open("ab") as file:
        file.write(b"\0")
    vault.path(lost).unlink()
    faults = {Fault(cut, "damaged"), Fault(grown, "damaged"), Fault(lost, "missing")}
    assert set(vault.verify(quick=True)) == set(vault.verify()) == faults


def test_it_finds_objects_headers_and_wrapped_keys_that_were_swapped(vault):
    mine, theirs = vault.put(b"mine"), vault.put(b"them")
    data, other = (vault.path(object_id).read_bytes() for object_id in (mine, theirs))
    for forged in (other, other[:55] + data[55:], data[:15] + other[15:55] + data[55:], data[:55] + other[55:]):
        vault.path(mine).write_bytes(forged)
        assert vault.verify(quick=True) == vault.verify() == (Fault(mine, "damaged"),)


@pytest.mark.parametrize(("column", "value"), [("patient", OTHER), ("date", "20200101"), ("size", 3)])
def test_it_finds_a_changed_row(vault, column, value):
    object_id = vault.put(b"mine", patient=PATIENT, date="20240131")
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        connection.execute(f"UPDATE objects SET {column} = ?", (value,))
    assert vault.verify(quick=True) == (Fault(object_id, "damaged"),)


def test_it_finds_an_older_encryption_of_the_same_content(vault):
    object_id = vault.put(b"mine")
    before = vault.path(object_id).read_bytes()
    vault.path(object_id).unlink()
    vault.put(b"mine")
    assert vault.verify(quick=True) == ()
    vault.path(object_id).write_bytes(before)
    assert vault.verify(quick=True) == (Fault(object_id, "damaged"),)
    assert vault.verify() == (Fault(object_id, "damaged"),)


def test_a_seal_is_keyed_and_needs_the_vaults_own_key(vault, tmp_path, provider):
    object_id = vault.put(b"mine")
    (entry,) = vault.list()
    seal = vault.catalogue.stored(object_id).seal
    with vault.opened(object_id) as (file, header, key):
        body = file.read()
        import hashlib
        import hmac

        covered = len(entry.context).to_bytes(8, "big") + entry.context + key + b"RADVIT\0\2" + header.prefix + body
    assert seal == hmac.new(vault.keys.sealing, covered, "sha256").digest() != hashlib.sha256(covered).digest()


def test_a_killed_mending_leaves_no_old_seal_beside_a_new_file(vault, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    object_id = vault.put(b"mine")
    vault.path(object_id).unlink()
    with monkeypatch.context() as patch:
        patch.setattr("radvit.vault.catalogue.Writer.store", kill)  # after the renaming, before the commit
        with pytest.raises(Killed):
            vault.put(b"mine")
    assert vault.path(object_id).is_file()
    assert vault.verify(quick=True) == vault.verify() == ()
    assert rotate(vault.folder, vault.provider, vault.provider).done
    assert vault.verify(quick=True) == ()


def test_a_killed_first_put_is_adopted_by_the_next(vault, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("radvit.vault.catalogue.Writer.store", kill)
        with pytest.raises(Killed):
            vault.put(b"mine")
    (left,) = vault.folder.glob("objects/*/*")
    assert vault.verify() == (Fault(left.name, "unlisted"),)
    rotate(vault.folder, vault.provider, vault.provider)  # what is left is of a key-encryption key that is gone
    object_id = vault.put(b"mine", patient=PATIENT)
    target = io.BytesIO()
    vault.get(object_id, target)
    assert target.getvalue() == b"mine"
    assert vault.verify() == vault.verify(quick=True) == ()


def test_another_vaults_object_is_refused(vault, tmp_path, provider):
    from radvit.vault.store import Vault

    object_id = vault.put(b"mine")
    second = Vault.init(tmp_path / "second", provider)
    theirs = second.put(b"mine")
    shutil.copy(second.path(theirs), vault.path(object_id))
    with pytest.raises(VaultError, match="its header was changed, or it is another vault's"):
        vault.get(object_id, io.BytesIO())
