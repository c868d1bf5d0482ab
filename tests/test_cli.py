import argparse
import csv
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from radvit import __version__, cli

KEY = "cd" * 32


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "deid.key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def every_command(parser):
    """The words and the parser of each command, and of those below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            shown = {choice.dest: choice.help for choice in action._choices_actions}
            for name, inner in action.choices.items():
                yield inner.prog, inner, shown[name]
                yield from every_command(inner)


def test_every_command_explains_itself_and_all_that_it_takes(ran):
    commands = list(every_command(cli.parser()))
    assert {"radvit phantom", "radvit data check", "radvit sweep show"} <= {name for name, _, _ in commands}
    for name, parser, words in commands:
        assert words, name
        for action in parser._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), (name, action.dest)
    code, lines, _ = ran("data", "check", "--help")
    assert code == 0
    assert lines[0].startswith("usage: radvit data check")


def test_version(ran):
    assert ran("--version") == (0, [f"radvit {__version__}"], [])


@pytest.mark.parametrize("arguments", ["", "nosuch", "inspect", "deid in", "phantom x --patients a"])
def test_wrong_arguments_leave_with_2_and_say_why_in_the_last_line(arguments, ran):
    code, _, err = ran(*arguments.split())
    assert code == 2
    assert err[-1].startswith("radvit")
    assert "error: " in err[-1]


def test_deid_writes_what_it_can_and_names_the_rest(mixed_folder, key, tmp_path, ran):
    code, out, err = ran("deid", mixed_folder, tmp_path / "out", "--key", key, "--workers", "1")
    assert code == 1
    output, listed = tmp_path / "out", tmp_path / "out.quarantine.csv"
    assert out[0] == f"2 images of 2 patients, 2 studies, written to {output}"
    assert out[1] == "0 regions of text blanked in 0 of 2 images searched"
    assert re.fullmatch(r"searched 2 written files for \d+ identifiers: none found", out[2])
    assert out[3:] == [f"report: {output / 'DEID_REPORT.html'}"]
    assert err[-1].startswith(f"radvit: 2 files not written, 2 in quarantine, 0 failed; {listed} says which and why")
    assert [line for line in err if ": not-" in line] == [
        "notes.txt: not-dicom: no DICM prefix at byte 128; expected a DICOM file"
    ]
    rows = list(csv.DictReader(listed.open()))
    assert [(row["number"], row["file"], row["reason"]) for row in rows] == [
        ("1", "SC_rgb_small_odd.dcm", "capture"),
        ("2", "notes.txt", "not-dicom"),
    ]
    assert listed.stat().st_mode & 0o077 == 0
    written = sorted(output.rglob("*.dcm"))
    assert len(written) == 2
    for path in written:
        safe = pydicom.dcmread(path)
        assert safe.PatientIdentityRemoved == "YES"
        assert str(safe.PatientID).startswith("P-")


def test_deid_of_a_good_file_is_no_failure(mixed_folder, key, tmp_path, ran):
    listed = tmp_path / "out.quarantine.csv"
    listed.write_text("of an earlier run")
    code, out, _ = ran("deid", mixed_folder / "CT_small.dcm", tmp_path / "out", "--key", key, "--workers", "1")
    assert (code, out[0]) == (0, f"1 image of 1 patient, 1 study, written to {tmp_path / 'out'}")
    assert not listed.exists()


def test_deid_tells_the_audit_log_of_every_file_and_the_report_of_all(mixed_folder, key, tmp_path, ran):
    log = tmp_path / "audit.jsonl"
    ran("deid", mixed_folder, tmp_path / "out", "--key", key, "--audit", log, "--option", "clean-descriptors")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events] == [
        *("audit.begun", "deid.begun", "deid.file", "deid.quarantined", "deid.file", "deid.quarantined", "deid.ended"),
    ]
    assert events[1]["options"] == ["113101", "113105", "113107", "113108"]
    assert events[1]["every_image"] is events[1]["thorough"] is events[1]["quarantine_unfound"] is True
    assert events[1]["project"] is False
    assert "PatientName" in events[2]["actions"]["D"]
    assert (events[-1]["read"], events[-1]["written"], events[-1]["quarantined"]) == (4, 2, 2)
    assert events[-1]["failed"] == 0
    assert b"CompressedSamples" not in log.read_bytes()
    report = json.loads((tmp_path / "out/deid_report.json").read_text())
    assert (report["files"]["read"], report["files"]["quarantined"], report["rescan"]["hits"]) == (4, 2, 0)
    assert report["audit"] == {"first": 2, "last": 7, "head": events[-1]["hash"]}
    assert ran("audit", "verify", log)[0] == 0


def test_deid_tells_the_log_and_the_board_which_safeguards_were_switched_off(mixed_folder, key, tmp_path, ran):
    log, given = tmp_path / "audit.jsonl", ("--allow-unfound", "--trust-header", "--quick", "--project", "secret lung")
    ran("deid", mixed_folder / "CT_small.dcm", tmp_path / "out", "--key", key, "--audit", log, *given)
    off = {"every_image": False, "thorough": False, "quarantine_unfound": False, "project": True, "search": True}
    begun = json.loads(log.read_text().splitlines()[1])
    assert begun == begun | off
    assert json.loads((tmp_path / "out/deid_report.json").read_text())["safeguards"] == off
    page = (tmp_path / "out/DEID_REPORT.html").read_text()
    assert "3 safeguards against text in the pixels switched off" in page
    assert "secret lung" not in log.read_text() + page


def test_deid_takes_its_own_output_on_and_mixes_no_two_kinds_of_copies(mixed_folder, key, tmp_path, ran):
    given = ("deid", mixed_folder / "CT_small.dcm", tmp_path / "out", "--key", key, "--quick")
    assert ran(*given)[0] == 0
    (tmp_path / "out/DEID_REPORT.html").unlink()  # as where a run was killed before its report
    (tmp_path / "out/deid_report.json").unlink()
    assert ran(*given)[0] == 0
    before = sorted((path, path.read_bytes()) for path in (tmp_path / "out").rglob("*") if path.is_file())
    for changed in (("--allow-unfound",), ("--option", "full-dates"), ("--project", "lung")):
        code, _, err = ran(*given, *changed)
        assert (code, len(err)) == (2, 1)
        assert "expected the same as then, or another folder" in err[0]
    assert sorted((path, path.read_bytes()) for path in (tmp_path / "out").rglob("*") if path.is_file()) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("")
    code, _, err = ran("deid", mixed_folder, tmp_path / "mine", "--key", key)
    assert (code, len(err)) == (2, 1)
    assert "expected a new or an empty folder" in err[0]


def test_deid_into_the_working_folder_keeps_names_and_secrets_outside_of_it(
    mixed_folder, key, tmp_path, ran, monkeypatch
):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.delenv("RADVIT_DEID_KEY", raising=False)
    code, _, err = ran("deid", "../in", ".")
    assert (code, err[-1]) == (
        2,
        "radvit: pseudonym key .radvit/deid.key lies inside of the output; expected a place that isn't passed on",
    )
    code, _, err = ran("deid", "../in", ".", "--key", key)
    assert (code, "audit log .radvit/audit.jsonl lies inside" in err[-1]) == (2, True)
    assert not list((tmp_path / "out").iterdir())
    code, _, _ = ran("deid", "../in", ".", "--key", key, "--audit", "../audit.jsonl", "--quick")
    assert code == 1
    assert (tmp_path / "out.quarantine.csv").is_file()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".key", ".jsonl", ".csv", ".head")]


@pytest.mark.parametrize(
    ("variable", "what"),
    [("RADVIT_DEID_KEY", "pseudonym key"), ("RADVIT_AUDIT_LOG", "audit log"), ("RADVIT_AUDIT_KEY", "audit key")],
)
def test_deid_refuses_secrets_that_the_environment_puts_into_the_output(
    mixed_folder, tmp_path, ran, monkeypatch, variable, what
):
    monkeypatch.setenv("RADVIT_DEID_KEY", KEY)
    monkeypatch.setenv(variable, str(tmp_path / "out/secret"))
    code, _, err = ran("deid", mixed_folder, tmp_path / "out")
    assert (code, len(err)) == (2, 1)
    assert f"{what} {tmp_path / 'out/secret'} lies inside of the output" in err[0]
    assert not (tmp_path / "out").exists()


def test_deid_finds_out_before_it_begins_that_its_list_can_not_be_written(mixed_folder, key, tmp_path, ran):
    (tmp_path / "out.quarantine.csv").mkdir()
    code, _, err = ran("deid", mixed_folder, tmp_path / "out", "--key", key)
    assert (code, "out.quarantine.csv: is a folder" in err[-1]) == (2, True)
    assert not (tmp_path / ".radvit/audit.jsonl").exists()


def test_deid_stops_at_a_full_disk_with_one_line_and_goes_on_later(mixed_folder, key, tmp_path, ran, monkeypatch):
    replace = Path.replace

    def full(self, target):
        if self.name.endswith(".part") and ".dcm." in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    given = ("deid", mixed_folder, tmp_path / "out", "--key", key, "--workers", "0", "--quick")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        code, _, err = ran(*given)
    assert (code, err[-1]) == (
        2,
        "radvit: the output's disk is full, 1 of 4 files in; make room and run it again",
    )
    stopped = json.loads((tmp_path / ".radvit/audit.jsonl").read_text().splitlines()[-1])
    assert (stopped["event"], stopped["read"], stopped["failed"]) == ("deid.stopped", 1, 1)
    assert ran(*given)[0] == 1
    assert json.loads((tmp_path / "out/deid_report.json").read_text())["files"]["written"] == 2


def test_deid_loads_no_torch(mixed_folder, key, tmp_path):
    program = """if True:
        import sys
        from radvit import cli
        cli.main(sys.argv[1:])
        print(sorted({"torch", "timm", "pytorch_lightning"} & set(sys.modules)))"""
    given = ("deid", mixed_folder / "CT_small.dcm", tmp_path / "out", "--key", key, "--workers", "0", "--quick")
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, given)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_deid_keeps_a_map_only_where_it_is_asked_for(mixed_folder, key, tmp_path, ran):
    people, lock = tmp_path / "people.map", tmp_path / "people.key"
    asked = ("--map", people, "--map-key", lock)
    assert ran("deid", mixed_folder / "CT_small.dcm", tmp_path / "out", "--key", key, *asked)[0] == 0
    copy = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")))
    code, out, _ = ran("vault", "lookup", people, copy.PatientID, "--key", lock, "--reason", "incidental finding")
    assert code == 0
    assert any("1CT1" in line for line in out)
    assert b"1CT1" not in people.read_bytes()
    assert json.loads((tmp_path / ".radvit/audit.jsonl").read_text().splitlines()[-1])["event"] == "reid.lookup"


def test_deid_refuses_a_map_that_would_be_passed_on_or_shares_the_key(mixed_folder, key, tmp_path, ran):
    given = ("deid", mixed_folder / "CT_small.dcm", tmp_path / "out", "--key", key)
    code, _, err = ran(*given, "--map", tmp_path / "out/people.map")
    assert (code, len(err)) == (2, 1)
    assert "lies inside of the output" in err[0]
    code, _, err = ran(*given, "--map", tmp_path / "people.map", "--map-key", key)
    assert code == 2
    vault = tmp_path / ".radvit/vault.key"
    vault.parent.mkdir(exist_ok=True)
    vault.write_text("ab" * 32)
    vault.chmod(0o600)
    code, _, err = ran(*given, "--map", tmp_path / "people2.map", "--map-key", vault)
    assert (code, "in use for pseudonyms or for a vault" in err[-1]) == (2, True)
    assert ran(*given, "--map-key", key)[2] == ["radvit: --map-key without --map; expected both"]
    assert not (tmp_path / "out").exists()


def test_deid_refuses_an_unknown_option_and_a_source_that_is_absent(mixed_folder, key, tmp_path, ran):
    code, _, err = ran("deid", mixed_folder, tmp_path / "out", "--key", key, "--option", "dates")
    assert (code, len(err)) == (2, 1)
    assert "expected one of clean-pixels, " in err[0]
    code, _, err = ran("deid", tmp_path / "nowhere", tmp_path / "out", "--key", key)
    assert (code, err) == (2, [f"radvit: {tmp_path / 'nowhere'}: no such file or folder; expected DICOM files"])
    assert not (tmp_path / "out").exists()


def test_deid_with_a_bad_key_or_into_its_own_source_writes_nothing(mixed_folder, key, tmp_path, ran):
    bad = tmp_path / "bad.key"
    bad.write_text("short")
    bad.chmod(0o600)
    code, _, err = ran("deid", mixed_folder, tmp_path / "out", "--key", bad)
    assert code == 2
    assert err == [f"radvit: key file {bad} has 5 characters; expected 64 hexadecimal digits"]
    code, _, err = ran("deid", mixed_folder, mixed_folder / "out", "--key", key)
    assert code == 2
    assert len(err) == 1
    assert "lie in one another" in err[0]
    assert not (tmp_path / "out").exists()


def test_an_error_passes_through_where_debugging_is_asked_for(tmp_path, monkeypatch):
    from radvit.errors import DicomReadError

    monkeypatch.setenv("RADVIT_DEBUG", "1")
    with pytest.raises(DicomReadError, match="no file or folder"):
        cli.main(["inspect", str(tmp_path / "nowhere")])


def test_phantom_writes_a_cohort_with_its_truth(tmp_path, ran):
    arguments = ("--patients", "2", "--seed", "3", "--small", "--workers", "1")
    code, out, _ = ran("phantom", tmp_path / "cohort", *arguments)
    assert code == 0
    truth = json.loads((tmp_path / "cohort" / "truth.json").read_text())
    files = sorted(path for path in (tmp_path / "cohort" / "dicom").rglob("*") if path.is_file())
    assert len(files) >= len(truth["images"]) >= 2
    assert "2 patients" in out[-1]
    assert f"{len(truth['annotations'])} nodules" in out[-1]
    assert {pydicom.dcmread(path, stop_before_pixels=True).Modality for path in files} <= {"CR", "DX"}
