import subprocess
import sys

import pytest

from radvit.audit import default_log

from .conftest import ENTRIES, PATIENT


@pytest.fixture
def told(ran):
    """Run `radvit audit ...`: (exit code, lines on standard output, lines on standard error)."""
    return lambda *arguments: ran("audit", *arguments)


@pytest.fixture
def path(tmp_path):
    log = default_log()
    log.extend(ENTRIES)
    return tmp_path / log.path


def test_a_whole_log(told, path):
    head = default_log().head().hash
    assert told("verify") == (0, [f"5 lines, whole, head {head}"], [])
    assert told("verify", path, "--key", path.with_suffix(".key"), "--head", head)[0] == 0
    assert told("head") == told("head", path) == (0, [head], [])


def test_each_fault_is_one_line_and_the_code_is_1(told, path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"basic", b"other"), lines[3]]))
    assert told("verify") == (
        1,
        [],
        [
            "line 2: changed: it isn't as it was written",
            "line 3: missing: lines before it are gone (1)",
            "line 4: cut: lines are gone from the end (1)",
            "radvit: the audit log isn't as it was written: its faults are named above",
        ],
    )
    code, out, err = told("show")
    assert (code, len(out), err) == (0, 4, ["this log isn't as it was written; run: radvit audit verify"])


def test_log_and_head_put_back(told, path):
    files = [path, path.with_name("audit.jsonl.head")]
    older = [file.read_bytes() for file in files]
    head = default_log().append("a.b").hash
    for file, data in zip(files, older, strict=True):
        file.write_bytes(data)
    assert told("verify")[0] == 0
    assert told("verify", "--head", head)[::2] == (
        1,
        [
            "log: older: the log doesn't hold the line whose hash was given",
            "radvit: the audit log isn't as it was written: its faults are named above",
        ],
    )


def test_an_interrupted_write_is_told_and_no_fault(told, path):
    from .test_crash import run_to_death

    log = default_log()
    kept = log.head()
    key = bytes.fromhex(path.with_suffix(".key").read_text())
    assert run_to_death(path, 4, half=True, key=key)  # in the middle of writing the lines
    code, out, err = told("verify")
    assert code == 0
    found = log.examine()
    assert kept.lines < found.reached.lines < kept.lines + 4
    assert out == [f"{found.reached.lines} lines, whole, head {found.reached.hash}"]
    lost = f"{kept.lines + 4 - found.reached.lines} lines never came, {found.interrupted.bytes} bytes of one left"
    assert err == [f"a write was interrupted: {lost}; the next entry will say so"]
    log.append("a.b")
    assert "audit.recovered" in " ".join(told("show")[1])
    assert told("verify")[2] == []


def test_show_is_a_table_of_what_was_asked_for(told, path):
    default_log().append("vault.put", patient="P-" + "Z" * 16)
    code, out, _ = told("show")
    header, _, *rows = ([cell.strip() for cell in line.replace("┃", "│").split("│")] for line in out)
    assert (code, header) == (0, ["n", "time", "user", "event", "details"])
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[1][3:] == ["deid.begun", "profile=basic  options=113107,113108"]
    assert rows[2][3:] == ["deid.file", f"patient={PATIENT}  study=2.25.123  actions=X:1,Z:0"]
    shown = {
        ("--event", "deid.file"): ["3", "4"],
        ("--patient", PATIENT): ["3", "4"],
        ("--patient", PATIENT, "--last", "1"): ["4"],
        ("--event", "deid.ended", "--patient", PATIENT): [],
        ("--last", "2"): ["5", "6"],
        ("--last", "0"): ["1", "2", "3", "4", "5", "6"],
    }
    for options, numbers in shown.items():
        assert [line.split()[0] for line in told("show", *options)[1][2:]] == numbers


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "absent.jsonl"), "no audit log at absent.jsonl"),
        (("show", "."), "no audit log at"),
        (("head", "absent.jsonl"), "no audit log at absent.jsonl"),
        (("verify", "--key", "absent.key"), "key file absent.key: there is none"),
        (("verify", "--key", "other.key"), "the one given is"),
        (("head", "--key", "other.key"), "the one given is"),
        (("show", "--key", "other.key"), "the one given is"),
        (("verify", "--head", "abc"), "a head of 3 characters"),
    ],
)
def test_errors_are_one_line_and_leave_with_2(told, path, tmp_path, arguments, words):
    (tmp_path / "other.key").write_text("cd" * 32)
    (tmp_path / "other.key").chmod(0o600)
    code, out, err = told(*arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert words in err[0]


def test_as_a_process(path):
    command = [sys.executable, "-m", "radvit.cli", "audit", "verify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")
