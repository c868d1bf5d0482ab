import io
import subprocess
import sys

import pytest

from radvit.cli import main
from radvit.vault.keys import ENVIRONMENT

PATIENT = "P-ABCDEFGHIJKLMNOP"


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.delenv("RADVIT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"first" * 1000)
    (tmp_path / "b.dcm").write_bytes(b"second")


@pytest.fixture
def told(capsys):
    """Run `radvit vault ...`: (exit code, lines on standard output, lines on standard error)."""

    def run(*arguments):
        code = 0
        try:
            main(["vault", *arguments])
        except SystemExit as left:
            code = left.code
        out = capsys.readouterr()
        return code, out.out.splitlines(), out.err.splitlines()

    return run


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


def test_as_a_process():
    done = subprocess.run(
        [sys.executable, "-m", "radvit.cli", "vault", "list", "absent"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
