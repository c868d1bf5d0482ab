import io
import sqlite3
from dataclasses import replace

import pytest

from radvit.errors import VaultError
from radvit.vault import rotation, stream
from radvit.vault.keys import KeyFile
from radvit.vault.ring import Ring, Slot
from radvit.vault.rotation import rotate
from radvit.vault.store import Fault, Vault

from .vaults import PLAINS, contents, holds_all, read, stopped_after_the_first_batch, stopped_in_the_second_half


def left_behind_and_back_again(vault, provider, new, object_id, monkeypatch):
    """An object whose note is all that opens it: its file was away while a killed rotation was ended without it."""
    stopped_in_the_second_half(vault, provider, new, monkeypatch)
    path = vault.path(object_id)
    whole = path.read_bytes()
    path.unlink()
    assert rotate(vault.folder, provider, new, leave_damaged=True).faults == (Fault(object_id, "missing"),)
    path.write_bytes(whole)
    assert Vault(vault.folder, new).verify() == ()


def test_a_note_left_by_an_earlier_rotation_is_not_taken_for_this_ones(
    vault, provider, new, ids, tmp_path, monkeypatch
):
    left_behind_and_back_again(vault, provider, new, ids[0], monkeypatch)
    third = KeyFile(tmp_path / "third")
    assert rotate(vault.folder, new, third) == rotation.Rotated(3, (), done=True)
    assert holds_all(vault.folder, third, ids)
    assert Vault(vault.folder, third).catalogue.stored(ids[0]).wrapped is None


def test_a_lost_object_that_has_a_note_may_come_back_after_two_rotations(
    vault, provider, new, ids, tmp_path, monkeypatch
):
    left_behind_and_back_again(vault, provider, new, ids[0], monkeypatch)
    whole = vault.path(ids[0]).read_bytes()
    vault.path(ids[0]).unlink()
    third = KeyFile(tmp_path / "third")
    assert rotate(vault.folder, new, third).faults == (Fault(ids[0], "missing"),)
    assert rotate(vault.folder, new, third, leave_damaged=True).done
    vault.path(ids[0]).write_bytes(whole)
    assert holds_all(vault.folder, third, ids)
    assert rotate(vault.folder, third, provider) == rotation.Rotated(3, (), done=True)
    assert holds_all(vault.folder, provider, ids)


@pytest.mark.parametrize("kek", ["the one in use", "a strange one"])
def test_a_note_that_is_not_the_files_makes_nothing_worse(vault, provider, new, ids, kek):
    stranger = stream.wrap(bytes(32), vault.keys.kek if kek == "the one in use" else bytes(32))
    with vault.catalogue.writing() as rows:
        rows.store(ids[0], replace(rows.stored(ids[0]), generation=0, wrapped=stranger))
    assert rotate(vault.folder, provider, new) == rotation.Rotated(3, (), done=True)
    assert holds_all(vault.folder, new, ids)


def test_where_neither_header_nor_note_opens_it_is_a_fault(vault, provider, new, ids):
    path, whole = vault.path(ids[0]), vault.path(ids[0]).read_bytes()
    path.write_bytes(whole[:20] + bytes(8) + whole[28:])
    with vault.catalogue.writing() as rows:
        rows.store(ids[0], replace(rows.stored(ids[0]), generation=0, wrapped=bytes(40)))
    assert rotate(vault.folder, provider, new) == rotation.Rotated(0, (Fault(ids[0], "damaged"),), done=False)
    path.write_bytes(whole)
    assert rotate(vault.folder, provider, new).done
    assert holds_all(vault.folder, new, ids)


def test_the_old_key_never_opens_what_is_put_or_rewrapped_later(vault, provider, new, ids, monkeypatch):
    copies = []
    write = Ring.write

    def copied(ring, path):
        write(ring, path)
        copies.append(path.read_bytes())

    monkeypatch.setattr(Ring, "write", copied)
    stopped_after_the_first_batch(vault, provider, new, monkeypatch)
    assert rotate(vault.folder, provider, new).done
    final = (vault.folder / "vault.json").read_bytes()
    later = Vault(vault.folder, new).put(b"put later")
    assert len(copies) == 3
    opened = 0
    for copy in copies:
        (vault.folder / "vault.json").write_bytes(copy)
        try:
            stolen = Vault(vault.folder, provider)
        except VaultError:
            continue
        opened += 1
        for object_id in (later, *ids):
            with pytest.raises(VaultError, match="its header was changed"):
                read(stolen, object_id)
    assert opened == 1
    (vault.folder / "vault.json").write_bytes(final)
    assert holds_all(vault.folder, new, [later, *ids], [b"put later", *PLAINS])


def test_in_the_second_half_the_new_key_alone_opens_and_finishes(vault, provider, new, ids, tmp_path, monkeypatch):
    stopped_in_the_second_half(vault, provider, new, monkeypatch)
    third = KeyFile(tmp_path / "third")
    for other in (provider, third):
        with pytest.raises(VaultError, match="the key is not this vault's"):
            rotate(vault.folder, provider, other)
    assert holds_all(vault.folder, new, ids)
    assert Vault(vault.folder, new).ring.rotating
    assert rotate(vault.folder, new, third) == rotation.Rotated(3, (), done=True)  # ends that one, then does this one
    assert holds_all(vault.folder, third, ids)
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(vault.folder, new)


def test_a_row_with_a_forged_id_leads_no_rotation_out_of_the_vault(vault, provider, new, ids, tmp_path):
    outside = tmp_path / "evil"
    outside.write_bytes(vault.path(ids[0]).read_bytes())
    before = outside.read_bytes()
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        for forged in ("../../../evil", b"\xff", str(outside)):
            connection.execute("INSERT INTO objects VALUES (?, 1, 'file', '', '', '', '', NULL, 1, NULL)", [forged])
    assert rotate(vault.folder, provider, new).done
    assert outside.read_bytes() == before
    with pytest.raises(VaultError, match="object id is malformed"):
        vault.path("../../../evil")


@pytest.mark.parametrize("old_is_lost", [False, True])
def test_a_rotation_that_an_earlier_version_began_is_finished(vault, provider, new, ids, old_is_lost):
    announced = vault.keys.announced()
    both = announced.switched()  # under either key, as that version sealed them
    new.fresh()
    slots = [Slot.seal(both, key.fresh(), key) for key in (provider, new)]
    Ring(tuple(slots), rotating=True).write(vault.folder / "vault.json")
    with vault.catalogue.writing() as rows:
        key = stream.unwrap(stream.read_header(io.BytesIO(contents(vault)[ids[0]])).wrapped, both.keks)
        rows.store(ids[0], replace(rows.stored(ids[0]), wrapped=stream.wrap(key, both.kek)))
    assert holds_all(vault.folder, provider, ids)
    if old_is_lost:
        provider.path.unlink()
    assert rotate(vault.folder, provider, new) == rotation.Rotated(3, (), done=True)
    assert holds_all(vault.folder, new, ids)
    assert (Vault(vault.folder, new).keys.kek == both.kek) is old_is_lost  # else it was leaked, and is replaced
