import fcntl
import io
import json
import os
import sqlite3

import pytest

from radvit.errors import VaultError
from radvit.vault import rotation, stream
from radvit.vault.catalogue import Catalogue
from radvit.vault.keys import EnvironmentKey, KeyFile, Passphrase
from radvit.vault.rotation import rotate
from radvit.vault.store import Fault, Vault

from .vaults import (
    PLAINS,
    Stopped,
    contents,
    holds_all,
    read,
    stopped_after_the_first_batch,
    stopping,
)


def test_the_new_key_alone_opens_the_vault_and_no_object_keeps_the_old_wrapping(vault, provider, new, ids):
    leaked, before = vault.keys.kek, contents(vault)
    seals = [vault.catalogue.stored(object_id).seal for object_id in ids]
    rotated = rotate(vault.folder, provider, new)
    assert (rotated.rewrapped, rotated.faults, rotated.done) == (3, (), True)
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(vault.folder, provider)
    assert holds_all(vault.folder, new, ids)
    assert [vault.catalogue.stored(object_id).seal for object_id in ids] == seals
    for name, data in contents(vault).items():
        assert data[:15] + data[55:] == before[name][:15] + before[name][55:]  # the wrapped key alone is another
        header = stream.read_header(io.BytesIO(data))
        assert stream.unwrap(header.wrapped, [leaked]) is None
        assert stream.unwrap(stream.read_header(io.BytesIO(before[name])).wrapped, [leaked])
    again = Vault(vault.folder, new)
    assert again.keys.kek != leaked
    assert (again.keys.generation, again.keys.old) == (2, None)


def test_putting_after_a_rotation_gives_the_same_ids(vault, provider, new, ids):
    rotate(vault.folder, provider, new)
    assert [Vault(vault.folder, new).put(plain) for plain in PLAINS] == ids


def test_between_kinds_of_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("OTHER", "ab" * 32)
    old = KeyFile(tmp_path / "k")
    vault = Vault.init(tmp_path / "v", old)
    object_id = vault.put(b"small")
    for new in (Passphrase("correct horse"), EnvironmentKey("OTHER")):
        assert rotate(vault.folder, old, new).done
        assert read(Vault(vault.folder, new), object_id) == b"small"
        with pytest.raises(VaultError):
            Vault(vault.folder, old)
        old = new


def test_with_the_same_key_all_the_rest_is_made_anew(vault, provider, ids):
    before, kek = (vault.folder / "vault.json").read_bytes(), vault.keys.kek
    assert rotate(vault.folder, provider, provider).rewrapped == 3
    again = Vault(vault.folder, provider)
    assert again.keys.kek != kek
    assert holds_all(vault.folder, provider, ids)
    assert b'"rotating"' not in (vault.folder / "vault.json").read_bytes() != before


def test_run_again_after_its_end_it_changes_nothing(vault, provider, new, ids):
    rotate(vault.folder, provider, new)
    before = contents(vault), (vault.folder / "vault.json").read_bytes()
    assert rotate(vault.folder, provider, new) == rotation.Rotated(0, (), done=True)
    assert (contents(vault), (vault.folder / "vault.json").read_bytes()) == before


def test_neither_key(vault, tmp_path, ids):
    strangers = [KeyFile(tmp_path / name) for name in ("a", "b")]
    strangers[0].fresh()
    with pytest.raises(VaultError, match="the key is not this vault's"):
        rotate(vault.folder, *strangers)
    assert not (tmp_path / "b").exists()
    with pytest.raises(VaultError, match="is not a vault"):
        rotate(tmp_path, *strangers)


def test_stopped_at_any_step_both_keys_open_everything_and_it_can_be_finished(tmp_path, monkeypatch):
    old, new = KeyFile(tmp_path / "old"), KeyFile(tmp_path / "new")
    new.fresh()
    states, steps, plains = set(), [], [b"one", b"two"]
    for after in range(100):
        folder = tmp_path / f"v{after}"
        vault = Vault.init(folder, old)
        ids = [vault.put(plain) for plain in plains]
        with monkeypatch.context() as patch:
            steps = stopping(patch, after)
            try:
                rotate(folder, old, new)
                break
            except Stopped:
                pass
        told = json.loads((folder / "vault.json").read_text())
        half = (told["state"], len(told["slots"]))
        states.add(half)
        openers = (old, new) if half == ("rotating", 2) else (old,) if steps.count("ring") < 2 else (new,)
        for provider in openers:
            assert holds_all(folder, provider, ids, plains), (after, steps)
        assert rotate(folder, old, new).done
        assert holds_all(folder, new, ids, plains)
        assert Catalogue(folder / "catalogue.sqlite").count_behind(2) == 0
        with pytest.raises(VaultError, match="the key is not this vault's"):
            Vault(folder, old)
    assert states == {("ready", 1), ("rotating", 2), ("rotating", 1)}
    assert steps.count("pwrite") == 2
    durable = [steps[at : at + 3] for at, step in enumerate(steps) if step == "pwrite"]
    assert durable == [["pwrite", "fsync", "store"]] * 2  # in the file, before its note is cleared
    assert steps.count("ring") == 3
    assert steps.index("pwrite") > [at for at, step in enumerate(steps) if step == "ring"][1]
    assert len(steps) == after


def test_readers_and_writers_beside_a_rotation(vault, provider, new):
    ids = [vault.put(bytes([number])) for number in range(6)]
    beside = Vault(vault.folder, provider)  # opened before, with the old key
    added, halves = [], []

    def meanwhile(done, total):
        by_new = Vault(vault.folder, new)
        both = done <= total // 2  # the rest is the second half, in which the new key alone opens the vault
        if both in halves:  # an object that is put may come before the present place, or after it
            return
        halves.append(both)
        for opened in (vault, by_new) if both else (by_new,):
            assert [read(opened, object_id) for object_id in ids] == [bytes([number]) for number in range(6)]
            assert opened.verify() == opened.verify(quick=True) == ()
        for opened in (beside, by_new) if both else (by_new,):
            added.append(opened.put(b"added" + bytes([len(added)])))
            assert read(by_new, added[-1]) == b"added" + bytes([len(added) - 1])
            assert not both or read(vault, added[-1]) == b"added" + bytes([len(added) - 1])

    assert rotate(vault.folder, provider, new, meanwhile).done
    assert (len(added), halves) == (3, [True, False])
    assert Vault(vault.folder, new).verify() == ()
    for stale in (vault, beside):  # theirs is no longer the vault's key
        with pytest.raises(VaultError, match="the key is not this vault's"):
            stale.put(b"too late")
        with pytest.raises(VaultError, match="the key is not this vault's"):
            read(stale, ids[0])
    assert len(Vault(vault.folder, new).list()) == 9


def test_a_put_that_meets_a_rotation_encrypts_again_under_the_new_key(vault, provider, new, monkeypatch):
    encrypt, rotations = stream.encrypt_body, []

    def while_encrypting(*arguments):
        encrypt(*arguments)
        if not rotations:
            rotations.append(rotate(vault.folder, provider, provider))

    monkeypatch.setattr("radvit.vault.store.stream.encrypt_body", while_encrypting)
    object_id = vault.put(b"small")
    assert rotations[0].rewrapped == 0  # it saw no row
    assert vault.catalogue.stored(object_id).generation == 2
    assert read(Vault(vault.folder, provider), object_id) == b"small"
    assert vault.verify() == ()


def test_a_begun_rotation_may_end_with_another_new_key(vault, provider, new, ids, tmp_path, monkeypatch):
    stopped_after_the_first_batch(vault, provider, new, monkeypatch)
    third = KeyFile(tmp_path / "third")
    assert rotate(vault.folder, provider, third).done
    assert holds_all(vault.folder, third, ids)
    for lost in (provider, new):
        with pytest.raises(VaultError, match="the key is not this vault's"):
            Vault(vault.folder, lost)


def test_a_begun_rotation_is_finished_by_whoever_has_the_new_key_alone(vault, provider, new, ids, monkeypatch):
    stopped_after_the_first_batch(vault, provider, new, monkeypatch)
    provider.path.unlink()
    assert rotate(vault.folder, provider, new).done
    assert holds_all(vault.folder, new, ids)


def test_what_cannot_be_rewrapped_keeps_the_rotation_open(vault, provider, new, ids):
    vault.path(ids[0]).unlink()
    whole = vault.path(ids[1]).read_bytes()
    vault.path(ids[1]).write_bytes(whole[:20] + b"x" + whole[21:])
    rotated = rotate(vault.folder, provider, new)
    faults = {Fault(ids[0], "missing"), Fault(ids[1], "damaged")}
    assert (rotated.rewrapped, set(rotated.faults), rotated.done) == (0, faults, False)
    assert read(Vault(vault.folder, provider), ids[2]) == read(Vault(vault.folder, new), ids[2]) == PLAINS[2]
    vault.path(ids[1]).write_bytes(whole)
    Vault(vault.folder, new).put(PLAINS[0])
    assert rotate(vault.folder, provider, new).done
    assert holds_all(vault.folder, new, ids)


def test_what_cannot_be_rewrapped_may_be_left_behind(vault, provider, new, ids):
    vault.path(ids[0]).unlink()
    rotated = rotate(vault.folder, provider, new, leave_damaged=True)
    assert (rotated.faults, rotated.done) == ((Fault(ids[0], "missing"),), True)
    assert Vault(vault.folder, new).verify() == (Fault(ids[0], "missing"),)
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(vault.folder, provider)


def test_an_object_lost_between_note_and_writing_is_a_fault_of_its_own(vault, provider, new, ids, monkeypatch):
    write = rotation._write_noted

    def lose(opened, batch, faults):
        opened.path(ids[1]).unlink(missing_ok=True)
        return write(opened, batch, faults)

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_write_noted", lose)
        rotated = rotate(vault.folder, provider, new)
    assert rotated == rotation.Rotated(2, (Fault(ids[1], "missing"),), done=False)
    Vault(vault.folder, new).put(PLAINS[1])
    assert rotate(vault.folder, provider, new).done
    assert holds_all(vault.folder, new, ids)


def test_two_rotations_at_once_are_refused(vault, provider, new, ids):
    descriptor = os.open(vault.folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(VaultError, match=r"another rotation of .* is running"):
        rotate(vault.folder, provider, new)
    os.close(descriptor)

    def another(done, total):
        with pytest.raises(VaultError, match=r"another rotation of .* is running"):
            rotate(vault.folder, provider, new)

    assert rotate(vault.folder, provider, new, another).done


def test_no_key_stands_in_the_open_while_rotating(vault, provider, new, ids, monkeypatch):
    stopped_after_the_first_batch(vault, provider, new, monkeypatch)
    keys = Vault(vault.folder, new).keys
    secrets = [keys.kek, keys.coming, keys.naming, keys.sealing]
    for path in (vault.folder / "vault.json", *vault.folder.glob("catalogue.sqlite*")):
        data = path.read_bytes()
        assert not any(secret in data or secret.hex().encode() in data for secret in secrets)
    assert "kek=" not in repr(keys)


def test_a_ring_of_three_slots_or_none_is_malformed(vault, provider):
    told = json.loads((vault.folder / "vault.json").read_text())
    for slots in ([], told["slots"] * 3):
        (vault.folder / "vault.json").write_text(json.dumps(told | {"slots": slots}))
        with pytest.raises(VaultError, match="malformed"):
            Vault(vault.folder, provider)


def test_the_catalogue_says_nothing_of_wrappings_after_the_end(vault, provider, new, ids):
    rotate(vault.folder, provider, new)
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        assert connection.execute("SELECT DISTINCT generation, wrapped FROM objects").fetchall() == [(2, None)]
