import json

import pytest

from radvit.deid.destination import RECORD, check_outside, claim, quarantine_list, write_whole
from radvit.errors import ConfigError, DeidError

SETTINGS = {"key": "0123456789ab", "options": ["113101"], "thorough": True}


def test_a_new_folder_is_made_and_says_with_which_settings(tmp_path):
    out = tmp_path / "deep/out"
    claim(out, SETTINGS)
    assert json.loads((out / RECORD).read_text()) == SETTINGS
    assert [path.name for path in out.parent.rglob("*")] == ["out", RECORD]


def test_copies_by_the_same_settings_are_taken_on_and_others_are_not_mixed(tmp_path):
    claim(tmp_path / "out", SETTINGS)
    (tmp_path / "out/copy.dcm").write_text("")
    claim(tmp_path / "out", dict(reversed(SETTINGS.items())))
    for changed in ({"key": "ba9876543210"}, {"options": []}, {"thorough": False}):
        with pytest.raises(DeidError, match="by another key, project or other options; expected the same"):
            claim(tmp_path / "out", SETTINGS | changed)
    assert json.loads((tmp_path / "out" / RECORD).read_text()) == SETTINGS


def test_the_folder_of_another_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DeidError, match="aren't of `radvit deid`; expected a new or an empty folder"):
        claim(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_that_was_killed_as_it_began_can_begin_again(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / f"out/.{RECORD}.0123456789abcdef.part").write_text("{")
    claim(tmp_path / "out", SETTINGS)
    assert (tmp_path / "out" / RECORD).is_file()


def test_half_written_copies_of_a_killed_run_are_removed(tmp_path):
    claim(tmp_path, SETTINGS)
    (tmp_path / "2.25.1").mkdir()
    for name in (".2.25.7.dcm.99999999.part", "2.25.8.dcm"):
        (tmp_path / "2.25.1" / name).write_text("ROE^JANE")
    claim(tmp_path, SETTINGS)
    assert [path.name for path in (tmp_path / "2.25.1").iterdir()] == ["2.25.8.dcm"]


def test_what_can_not_be_written_is_found_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeidError, match=r"can't write .*file: File exists"):
        claim(tmp_path / "file", SETTINGS)
    with pytest.raises(DeidError, match=r"can't write .*out: Not a directory"):
        claim(tmp_path / "file/out", SETTINGS)
    quarantine_list(tmp_path / "out").mkdir()
    with pytest.raises(DeidError, match=r"out\.quarantine\.csv: is a folder; expected a place for the list"):
        claim(tmp_path / "out", SETTINGS)


def test_a_secret_inside_of_the_folder_is_refused_by_any_path_that_leads_there(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "link").symlink_to(out)
    (out / "pointer").symlink_to(tmp_path / "safe.key")
    for secret in (out / "k.key", tmp_path / "link/new/k.key", out / "../out/k.key", out / "pointer", out):
        with pytest.raises(ConfigError, match=r"pseudonym key .* lies inside of the output"):
            check_outside(out, secret, "pseudonym key")
    for secret in (tmp_path / "k.key", tmp_path / "out.key", out / "../k.key"):
        check_outside(out, secret, "pseudonym key")


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_file_gets_its_own_mode_whatever_stands_there(tmp_path, mode):
    for name in ("list.csv", ".list.csv.part"):
        (tmp_path / name).write_text("open to all")
        (tmp_path / name).chmod(0o666)
    write_whole(tmp_path / "list.csv", b"new", mode)
    assert (tmp_path / "list.csv").stat().st_mode & 0o777 == mode
    assert (tmp_path / "list.csv").read_bytes() == b"new"


def test_a_failed_write_leaves_what_stood_there(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "taken", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
