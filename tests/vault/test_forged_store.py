import io
import sqlite3

import pytest

from radvit.errors import VaultError
from radvit.vault.ring import MOST_BYTES
from radvit.vault.store import Fault, Vault

from .vaults import KNOWN, OTHER, forge, object_file, read


@pytest.mark.parametrize(("column", "value"), [("patient", OTHER), ("date", "20200101"), ("size", 3)])
def test_a_changed_row_is_refused(vault, column, value):
    object_id = vault.put(b"mine", **KNOWN)
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        connection.execute(f"UPDATE objects SET {column} = ?", (value,))
    with pytest.raises(VaultError, match="chunk 0 fails its check"):
        read(vault, object_id)
    assert vault.verify() == (Fault(object_id, "damaged"),)


def test_a_forged_id_leads_nowhere(vault):
    vault.put(b"mine")
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        connection.execute("UPDATE objects SET id = '../../vault.json'")
    with pytest.raises(VaultError, match="object id is malformed"):
        vault.get("../../vault.json", io.BytesIO())


@pytest.mark.parametrize(
    "header", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "derivation": {}, "check": ""}', '"version"', "\xff"]
)
def test_refuses_a_malformed_header(vault, provider, header):
    (vault.folder / "vault.json").write_bytes(header.encode("latin-1"))
    with pytest.raises(VaultError, match="malformed"):
        Vault(vault.folder, provider)


def test_refuses_other_versions_and_folders(vault, tmp_path, provider):
    with pytest.raises(VaultError, match="is not a vault; `radvit vault init"):
        Vault(tmp_path, provider)
    with pytest.raises(VaultError, match="is not empty"):
        Vault.init(vault.folder, provider)
    (vault.folder / "vault.json").write_text('{"version": 7}')
    with pytest.raises(VaultError, match="version 7; expected 2"):
        Vault(vault.folder, provider)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "../../evil"),
        ("patient", "Doe^Jane"),
        ("kind", b"\xff\xfe"),
        ("size", "many"),
        ("size", b"5"),
        ("id", "../../evil"),
        ("id", b"\xff"),
        ("wrapped", "text"),
        ("seal", "text"),
    ],
)
def test_verify_names_a_row_of_any_form_and_goes_on(vault, column, value):
    damaged, cut, whole = (vault.put(plain) for plain in (b"one", b"two", b"three"))
    object_file(vault, cut).write_bytes(object_file(vault, cut).read_bytes()[:-1])
    forge(vault, damaged, **{column: value})
    named = str(value) if column == "id" else damaged
    expected = {Fault(cut, "damaged"), Fault(named, "damaged")}
    if column == "id":
        expected.add(Fault(damaged, "unlisted"))
    if column == "wrapped":  # is no part of what an object is, and the header opens it
        expected.remove(Fault(damaged, "damaged"))
    assert set(vault.verify()) == set(vault.verify(quick=True)) == expected
    assert read(vault, whole) == b"three"


def test_text_that_is_none_is_a_changed_row_too(vault):
    object_id = vault.put(b"one")
    with sqlite3.connect(vault.folder / "catalogue.sqlite") as connection:
        connection.execute("UPDATE objects SET kind = CAST(x'ff' AS TEXT)")
    assert vault.verify() == (Fault(object_id, "damaged"),)
    with pytest.raises(VaultError, match=f"object '{object_id}': its row was changed"):
        vault.list()


@pytest.mark.parametrize("length", [1000, 30_000, 100_000])
def test_a_header_of_any_depth_and_length_is_malformed(vault, provider, length):
    (vault.folder / "vault.json").write_bytes(b"[" * length)
    with pytest.raises(VaultError, match="is malformed"):
        Vault(vault.folder, provider)


def test_a_long_header_is_not_read_whole(vault, provider):
    told = (vault.folder / "vault.json").read_bytes()
    (vault.folder / "vault.json").write_bytes(told + b" " * MOST_BYTES)
    with pytest.raises(VaultError, match="is malformed"):
        Vault(vault.folder, provider)
