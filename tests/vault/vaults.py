"""Vaults to test with: what is put, read back, stopped half-way and forged."""

import io
import os
import sqlite3
from pathlib import Path

import pytest

from radvit.vault import rotation
from radvit.vault.ring import Ring
from radvit.vault.rotation import rotate
from radvit.vault.store import Vault
from radvit.vault.stream import CHUNK_BYTES

PATIENT, OTHER = "P-ABCDEFGHIJKLMNOP", "P-QRSTUVWXYZ234567"
KNOWN = {"kind": "dicom", "patient": PATIENT, "study": "2.25.123", "modality": "DX", "date": "20240131"}
MARK = b"Doe^Jane, born 19700101, "
PLAINS = [b"", b"small", bytes(CHUNK_BYTES + 1)]


def object_file(vault, object_id):
    return vault.folder / "objects" / object_id[:2] / object_id


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read(vault, object_id):
    target = io.BytesIO()
    vault.get(object_id, target)
    return target.getvalue()


def put(told, *arguments):
    code, lines, _ = told("put", "v", *arguments)
    assert code == 0
    return [line.split()[0] for line in lines]


def audited(event):
    """The lines of the audit log that hold an event."""
    lines = Path(".radvit/audit.jsonl").read_text().splitlines()
    return [line for line in lines if event in line]


def forge(vault, object_id, **columns):
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        for column, value in columns.items():
            connection.execute(f"UPDATE objects SET {column} = ? WHERE id = ?", (value, object_id))


class Stopped(BaseException):
    """Stands for a kill: nothing catches it, and nothing is done after it."""


def contents(vault):
    return {path.name: path.read_bytes() for path in vault.folder.glob("objects/*/*")}


def holds_all(folder, provider, ids, plains=PLAINS):
    vault = Vault(folder, provider)
    return [read(vault, object_id) for object_id in ids] == plains and vault.verify() == vault.verify(quick=True) == ()


def stopping(monkeypatch, after):
    """Stop at the step `after` of those that reach the disk, half of it done; returns the names of the steps done."""
    done = []

    def step(name, whole, half=lambda *arguments: None):
        def run(*arguments):
            if len(done) == after:
                half(*arguments)
                raise Stopped
            done.append(name)
            return whole(*arguments)

        return run

    pwrite, store, fsync, write = os.pwrite, rotation.Writer.store, os.fsync, Ring.write
    torn = lambda descriptor, data, at: pwrite(descriptor, data[:17], at)  # noqa: E731
    monkeypatch.setattr(os, "pwrite", step("pwrite", pwrite, torn))
    monkeypatch.setattr(os, "fsync", step("fsync", fsync))
    monkeypatch.setattr(rotation.Writer, "store", step("store", store, store))
    monkeypatch.setattr(Ring, "write", step("ring", write))
    return done


def stopped_after_the_first_batch(vault, provider, new, monkeypatch):
    def stop(done, total):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "BATCH", 1)
        with pytest.raises(Stopped):
            rotate(vault.folder, provider, new, stop)


def stopped_in_the_second_half(vault, provider, new, monkeypatch):
    def stop(*_):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_write_noted", stop)
        with pytest.raises(Stopped):
            rotate(vault.folder, provider, new)
