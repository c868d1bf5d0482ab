from pathlib import Path

import pytest

from radvit.vault.keys import KeyFile
from radvit.vault.reid import ReidentificationMap
from radvit.vault.store import Vault

from .vaults import PATIENT, audited


@pytest.fixture
def people(nowhere_else):
    made = ReidentificationMap.open(Path("people.map"), KeyFile(Path(".radvit/map.key")))
    made.add(PATIENT, {"PatientName": "Doe^Jane\x1b[2J", "PatientID": "4711"})
    return made


def test_a_lookup_is_audited_and_steers_no_terminal(told, people):
    code, lines, _ = told("lookup", "people.map", PATIENT, "--reason", "second reading")
    assert (code, lines) == (0, ["PatientID: 4711", r"PatientName: Doe^Jane\x1b[2J"])
    code, lines, faults = told("lookup", "people.map", PATIENT[:-1] + "Q", "--reason", "second reading")
    assert (code, lines, faults) == (1, [], [f"radvit: {PATIENT[:-1]}Q is not in people.map"])
    found, missed = audited("reid.lookup")
    assert all(words in found for words in (PATIENT, "second reading", "true"))
    assert "false" in missed
    assert not any("4711" in line or "Jane" in line for line in (found, missed))


def test_nothing_is_shown_where_the_audit_log_can_not_be_written(told, people, tmp_path):
    (tmp_path / ".radvit" / "audit.jsonl").mkdir()
    code, lines, faults = told("lookup", "people.map", PATIENT, "--reason", "second reading")
    assert (code, lines, len(faults)) == (2, [], 1)
    told("init", "v", "--key", "v.key")
    vault = Vault(tmp_path / "v", KeyFile(tmp_path / "v.key"))
    object_id = vault.put(tmp_path / "a.dcm")
    assert told("get", "v", object_id, "out", "--key", "v.key")[0] == 2
    assert told("export", "v", "out", "--key", "v.key")[0] == 2
    assert told("rotate", "v", "--key", "v.key", "--new-key", "w.key")[0] == 2
    assert not (tmp_path / "out").exists()
    assert vault.verify() == ()


def test_a_map_gets_a_new_key(told, people):
    assert told("rotate", "people.map", "--new-key", "new.key")[:2] == (
        0,
        ["1 people moved; people.map opens by the new key alone"],
    )
    assert told("lookup", "people.map", PATIENT, "--reason", "x")[0] == 2
    assert told("lookup", "people.map", PATIENT, "--reason", "x", "--key", "new.key")[0] == 0


@pytest.mark.parametrize("other", ["vault", "deid"])
def test_a_map_must_not_have_the_key_of_a_vault_or_of_pseudonyms(told, people, tmp_path, other):
    key = tmp_path / ".radvit" / f"{other}.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    code, _, faults = told("rotate", "people.map", "--new-key", str(key))
    assert (code, "expected a key of the map's own" in faults[-1]) == (2, True)
