import io
import json
import sqlite3
import subprocess
import sys

import keyring
import numpy as np
import pytest
from keyring.backend import KeyringBackend

from radvit.vault.keys import ENVIRONMENT
from radvit.vault.tls import server_context

from .vaults import PATIENT, audited, put


def test_from_init_to_verify(told, tmp_path):
    assert told("init", "v", "--key", "vault.key")[:2] == (0, ["vault made at v"])
    put = ("put", "v", "a.dcm", "b.dcm", "--key", "vault.key", "--patient", PATIENT, "--study", "2.25.7")
    code, lines, _ = told(*put, "--modality", "DX", "--date", "20240131", "--kind", "dicom")
    assert code == 0
    (first, name), (second, _) = (line.split() for line in lines)
    assert name == "a.dcm"
    code, lines, _ = told("list", "v", "--key", "vault.key", "--patient", PATIENT)
    assert code == 0
    assert lines[0].replace("┃", " ").split() == ["id", "bytes", "kind", "patient", "study", "modality", "date"]
    rows = {tuple(line.replace("│", " ").split()) for line in lines[2:]}
    shared = ("dicom", PATIENT, "2.25.7", "DX", "20240131")
    assert rows == {(first, "5000", *shared), (second, "6", *shared)}
    assert told("get", "v", first, "out.dcm", "--key", "vault.key")[:2] == (0, ["written to out.dcm"])
    assert (tmp_path / "out.dcm").read_bytes() == b"first" * 1000
    assert told("verify", "v", "--key", "vault.key")[:2] == (0, ["every object is whole"])


def test_key_from_the_environment_or_the_default_place(told, monkeypatch, tmp_path):
    assert told("init", "v")[0] == 0
    assert (tmp_path / ".radvit" / "vault.key").is_file()
    monkeypatch.setenv(ENVIRONMENT, "ab" * 32)
    assert told("verify", "v")[0] == 2
    assert told("init", "w")[0] == told("put", "w", "a.dcm")[0] == told("verify", "w")[0] == 0


@pytest.mark.parametrize(("words", "code"), [("correct horse\n", 0), ("wrong horse\n", 2)])
def test_passphrase_through_a_pipe(told, monkeypatch, words, code):
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert told("init", "v", "--passphrase")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(words))
    left, _, lines = told("verify", "v", "--passphrase")
    assert left == code
    assert "horse" not in " ".join(lines)


def test_damage_is_named_and_leaves_with_1(told, tmp_path):
    told("init", "v", "--key", "vault.key")
    object_id = told("put", "v", "a.dcm", "--key", "vault.key")[1][0].split()[0]
    path = tmp_path / "v" / "objects" / object_id[:2] / object_id
    path.write_bytes(path.read_bytes()[:-1])
    code, _, lines = told("verify", "v", "--key", "vault.key")
    assert code == 1
    assert f"{object_id}: damaged" in lines
    assert told("get", "v", object_id, "out.dcm", "--key", "vault.key")[0] == 2
    assert not (tmp_path / "out.dcm").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("put", "absent", "a.dcm"), "is not a vault"),
        (("init", "v"), "is not empty"),
        (("put", "v", "absent.dcm"), "absent.dcm is no file; nothing was put"),
        (("put", "v", "a.dcm", "--patient", "Doe^Jane"), "patient: a value of 8 characters; expected a pseudonym"),
        (("get", "v", "ab" * 32, "out.dcm"), "no object abab"),
        (("init", "w", "--key", "w/vault.key"), "lies inside of the vault"),
        (("list", "v", "--key", "open.key"), "chmod 600 open.key"),
        (("list", "v", "--key", "other.key"), "the key is not this vault's"),
    ],
)
def test_errors_are_one_line_and_leave_with_2(told, tmp_path, arguments, words):
    told("init", "v")
    for name, mode in (("open.key", 0o644), ("other.key", 0o600)):
        (tmp_path / name).write_text("cd" * 32)
        (tmp_path / name).chmod(mode)
    code, _, lines = told(*arguments)
    assert (code, len(lines)) == (2, 1)
    assert words in lines[0]
    assert "Jane" not in lines[0]


def test_folders_are_put_whole_and_kinds_follow_endings(told, tmp_path):
    for name in ("in/b/c.dcm", "in/a.html", "in/notes"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    told("init", "v")
    code, lines, _ = told("put", "v", "in", "a.dcm", "a.dcm")
    assert (code, [line.split()[1] for line in lines]) == (0, ["in/a.html", "in/b/c.dcm", "in/notes", "a.dcm"])
    kinds = [line.replace("│", " ").split()[2] for line in told("list", "v")[1][2:]]
    assert sorted(kinds) == ["dicom", "dicom", "file", "html"]
    assert told("put", "v", "in")[0] == 0


def test_details_from_headers_and_the_files_without_are_named(told, grey_file, tmp_path):
    safe = {
        "PatientIdentityRemoved": "YES",
        "PatientID": PATIENT,
        "StudyInstanceUID": "2.25.7",
        "StudyDate": "20240131",
    }
    pixels = np.zeros((4, 4), np.uint8)
    grey_file(pixels, "in/safe.dcm", **safe)
    grey_file(pixels, "in/named.dcm", PatientID="JANE-1970")
    (tmp_path / "in/report.html").write_text("<p>no DICOM file")
    (tmp_path / "in/.notes").write_text("hidden")
    told("init", "v")
    code, lines, faults = told("put", "v", "in", "--from-header", "--modality", "DX")
    assert (code, [line.split()[1] for line in lines]) == (1, ["in/report.html", "in/safe.dcm"])
    assert any(line.startswith("in/named.dcm: not de-identified") for line in faults)
    assert faults[-1].startswith("radvit: 1 file not put")
    assert not any("JANE" in line for line in faults)
    rows = sorted(line.replace("│", " ").split()[2:] for line in told("list", "v")[1][2:])
    assert rows == [["dicom", PATIENT, "2.25.7", "DX", "20240131"], ["html", "DX"]]


def test_days_from_and_to(told, tmp_path):
    told("init", "v")
    for number, date in enumerate(("20240101", "20240102", "20240103")):
        (tmp_path / "x").write_text(date)
        put(told, "x", "--date", date, "--kind", f"k{number}")
    put(told, "a.dcm")  # of no date

    def kinds(*arguments):
        return [line.replace("│", " ").split()[2] for line in told("list", "v", *arguments)[1][2:]]

    assert kinds() == ["dicom", "k0", "k1", "k2"]
    assert kinds("--from", "20240102") == ["k1", "k2"]
    assert kinds("--to", "20240102") == ["k0", "k1"]
    assert kinds("--from", "20240102", "--to", "20240102") == ["k1"]
    assert kinds("--from", "20240102", "--kind", "k2") == ["k2"]
    assert told("export", "v", "out", "--from", "20240103")[:2] == (0, ["1 object written to out"])


def test_export_and_again(told, tmp_path):
    told("init", "v")
    first, second = put(told, "a.dcm", "b.dcm", "--study", "2.25.7", "--patient", PATIENT)
    assert told("export", "v", "out", "--patient", PATIENT)[:2] == (0, ["2 objects written to out"])
    assert (tmp_path / "out" / "2.25.7" / f"{first}.dcm").read_bytes() == b"first" * 1000
    assert told("export", "v", "out")[:2] == (0, ["0 objects written to out, 2 were there"])
    path = tmp_path / "v" / "objects" / second[:2] / second
    path.write_bytes(path.read_bytes()[:-1])
    code, lines, faults = told("export", "v", "again")
    assert (code, lines) == (1, ["1 object written to again"])
    assert any(line.startswith(f"{second}: chunk 0 fails its check") for line in faults)


def test_quick_verify(told, tmp_path):
    told("init", "v")
    (object_id,) = put(told, "a.dcm")
    assert told("verify", "v", "--quick")[:2] == (0, ["every object is as it was put"])
    path = tmp_path / "v" / "objects" / object_id[:2] / object_id
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, _, faults = told("verify", "v", "--quick")
    assert (code, f"{object_id}: damaged" in faults) == (1, True)


def test_rotation_from_key_to_key(told, tmp_path):
    told("init", "v")
    (object_id,) = put(told, "a.dcm")
    assert told("rotate", "v", "--new-key", "new.key")[:2] == (0, ["1 object rewrapped; v opens by the new key alone"])
    assert told("verify", "v")[0] == 2
    assert told("get", "v", object_id, "out", "--key", "new.key")[0] == 0
    assert told("rotate", "v", "--new-key", "new.key")[:2] == (0, ["0 objects rewrapped; v opens by the new key alone"])
    assert told("rotate", "v", "--key", "new.key", "--same-key")[0] == 0
    assert told("verify", "v", "--key", "new.key")[0] == 0


def test_rotation_between_passphrases_of_both_derivations(told, monkeypatch, tmp_path):
    def through(words):
        monkeypatch.setattr("sys.stdin", io.StringIO(words))

    def derivation():
        (slot,) = json.loads((tmp_path / "v" / "vault.json").read_text())["slots"]
        return slot["derivation"]["name"]

    through("correct horse\n")
    assert told("init", "v", "--passphrase", "--kdf", "pbkdf2")[0] == 0
    assert derivation() == "pbkdf2-hmac-sha256"
    through("correct horse\nanother horse\n")
    assert told("rotate", "v", "--passphrase", "--new-passphrase")[0] == 0
    assert derivation() == "argon2id"
    monkeypatch.setenv("NEXT", "ab" * 32)
    through("another horse\n")
    assert told("rotate", "v", "--passphrase", "--new-env", "NEXT")[0] == 0
    monkeypatch.setenv(ENVIRONMENT, "ab" * 32)
    assert told("verify", "v")[0] == 0


def test_a_rotation_that_meets_a_lost_object(told, tmp_path):
    told("init", "v")
    (object_id,) = put(told, "a.dcm")
    path = tmp_path / "v" / "objects" / object_id[:2] / object_id
    path.unlink()
    code, _, faults = told("rotate", "v", "--new-key", "new.key")
    assert (code, f"{object_id}: missing" in faults) == (1, True)
    assert "--leave-damaged" in faults[-1]
    code, _, faults = told("list", "v")
    assert (code, faults) == (
        0,
        ["a rotation of v is unfinished; run `radvit vault rotate` again"],
    )
    assert put(told, "a.dcm") == [object_id]
    assert told("rotate", "v", "--new-key", "new.key")[0] == 0
    path.unlink()
    assert told("rotate", "v", "--key", "new.key", "--new-key", "last.key", "--leave-damaged")[0] == 0


def test_a_key_of_the_keyring(told):
    class Memory(KeyringBackend):
        priority = 1
        kept = {}  # noqa: RUF012

        def get_password(self, service, username):
            return self.kept.get((service, username))

        def set_password(self, service, username, password):
            self.kept[service, username] = password

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        assert told("init", "v", "--keyring", "ward")[0] == 0
        assert told("put", "v", "a.dcm", "--keyring", "ward")[0] == 0
        assert told("verify", "v", "--keyring", "other")[0] == 2
        assert told("rotate", "v", "--keyring", "ward", "--new-keyring", "other")[0] == 0
        assert told("verify", "v", "--keyring", "other")[0] == 0
    finally:
        keyring.set_keyring(before)


def test_what_leaves_or_enters_is_audited_by_ids_alone(told, tmp_path):
    told("init", "v")
    first, second = put(told, "a.dcm", "b.dcm", "--patient", PATIENT)
    told("get", "v", first, "out")
    told("export", "v", "folder", "--kind", "dicom")
    told("rotate", "v", "--same-key")
    for event, ids in (("vault.put", (first, second)), ("vault.get", (first,)), ("vault.export", (first, second))):
        (line,) = audited(event)
        assert all(object_id in line for object_id in ids)
        assert f'"count": {len(ids)}' in line or f'"count":{len(ids)}' in line
        assert PATIENT not in line
        assert "a.dcm" not in line
    assert len(audited("vault.rotate")) == 1


def test_tls_by_one_command(told, tmp_path):
    code, lines, _ = told("tls", "certs", "--host", "localhost", "--host", "127.0.0.1", "--days", "30")
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith("certificates for localhost, 127.0.0.1 in certs, good until 20")
    assert server_context(tmp_path / "certs")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("put", "v", "."), "the vault v lies in .; expected a folder without it"),
        (("put", "v", "empty"), "empty holds no file; nothing was put"),
        (("list", "v", "--from", "2024-01-31"), "--from 2024-01-31; expected a day as YYYYMMDD"),
        (("list", "v", "--to", "20240231"), "--to 20240231; expected a day as YYYYMMDD"),
        (("list", "v", "--from", "20240202", "--to", "20240201"), "--from 20240202 comes after --to 20240201"),
        (("export", "v", "out"), "no object is selected"),
        (("init", "w", "--kdf", "argon2id"), "--kdf argon2id is for a new passphrase"),
        (("rotate", "v", "--new-key", "v/new.key"), "lies inside of the vault"),
        (("rotate", "v", "--key", "other.key", "--new-key", "new.key"), "the key is not this vault's"),
        (("rotate", "absent", "--same-key"), "absent is not a vault"),
        (("rotate", "v", "--new-env", "NOT_SET"), "key NOT_SET is not set; expected 64 hexadecimal digits"),
        (("lookup", "absent", PATIENT, "--reason", "x"), "absent is no file; expected a re-identification map"),
        (("lookup", "a.dcm", PATIENT, "--reason", " "), "--reason is empty"),
        (("lookup", "a.dcm", PATIENT, "--reason", "x"), "re-identification map a.dcm: file is not a database"),
        (("tls", "certs", "--host", "a b"), "expected a name such as localhost"),
    ],
)
def test_errors_of_the_later_commands_are_one_line_too(told, tmp_path, arguments, words):
    told("init", "v")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.key").write_text("cd" * 32)
    (tmp_path / "other.key").chmod(0o600)
    (tmp_path / "a.dcm").write_bytes(b"first" * 1000)
    code, _, lines = told(*arguments)
    assert (code, len(lines)) == (2, 1), lines
    assert words in lines[0]


def test_as_a_process():
    done = subprocess.run(
        [sys.executable, "-m", "radvit.cli", "vault", "list", "absent"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_changed_row_is_named_and_the_rest_is_listed_and_exported(told, tmp_path):
    told("init", "v")
    first, second = put(told, "a.dcm", "b.dcm")
    with sqlite3.connect("v/catalogue.sqlite") as connection:
        connection.execute("UPDATE objects SET kind = '../../evil' WHERE id = ?", (first,))
    code, lines, faults = told("list", "v")
    assert (code, [line.split()[0] for line in lines[2:]], f"{first}: damaged" in faults) == (1, [second], True)
    code, lines, faults = told("export", "v", "out")
    assert (code, lines, f"{first}: damaged" in faults) == (1, ["1 object written to out"], True)
    assert faults[-1] == "radvit: 1 object not written, named above"
    code, _, faults = told("verify", "v")
    assert (code, f"{first}: damaged" in faults) == (1, True)
    with sqlite3.connect("v/catalogue.sqlite") as connection:
        connection.execute("UPDATE objects SET id = ? WHERE id = ?", ("\x1b[2J", first))
    assert r"\x1b[2J: damaged" in told("verify", "v")[2]


def test_get_writes_no_plaintext_into_the_vault(told, tmp_path):
    told("init", "v")
    (object_id,) = put(told, "a.dcm")
    code, _, faults = told("get", "v", object_id, "v/x")
    assert (code, faults) == (2, ["radvit: v/x lies inside of the vault; expected a place outside of it"])
    assert not (tmp_path / "v" / "x").exists()
