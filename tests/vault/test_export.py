import csv
import stat

import pytest

from radvit.errors import VaultError
from radvit.vault.export import COLUMNS, MANIFEST, UNFINISHED, Exported, export

PATIENT = "P-ABCDEFGHIJKLMNOP"


@pytest.fixture
def entries(vault):
    vault.put(b"image", kind="dicom", patient=PATIENT, study="2.25.1", modality="DX", date="20240131")
    vault.put(b"page", kind="html", patient=PATIENT, study="2.25.1")
    vault.put(b"weights", kind="bundle")
    return vault.list()


def rows(folder):
    with (folder / MANIFEST).open(newline="") as file:
        return list(csv.DictReader(file))


def held(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_files_by_study_with_a_manifest(vault, entries, tmp_path):
    seen = []
    done = export(vault, entries, tmp_path / "out", lambda *counts: seen.append(counts))
    assert done == Exported(3, 0, ())
    assert seen == [(1, 3), (2, 3), (3, 3)]
    told = rows(tmp_path / "out")
    assert tuple(told[0]) == COLUMNS
    assert {(row["path"].rpartition("/")[0], row["path"].rpartition(".")[2], row["kind"]) for row in told} == {
        ("2.25.1", "dcm", "dicom"),
        ("2.25.1", "html", "html"),
        ("no-study", "bin", "bundle"),
    }
    files = held(tmp_path / "out")
    files.pop(MANIFEST)
    assert {row["path"] for row in told} == set(files)
    assert sorted(files.values()) == [b"image", b"page", b"weights"]
    assert all(len(files[row["path"]]) == int(row["size"]) for row in told)
    (image,) = (row for row in told if row["kind"] == "dicom")
    assert (image["id"], image["patient"], image["modality"], image["date"]) == (
        next(entry.id for entry in entries if entry.details.kind == "dicom"),
        PATIENT,
        "DX",
        "20240131",
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*") if path.is_file()} == {0o600}


def test_a_stopped_export_goes_on(vault, entries, tmp_path):
    class Stopped(BaseException):
        pass

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        export(vault, entries, tmp_path / "out", stop)
    assert not (tmp_path / "out" / MANIFEST).exists()
    assert (tmp_path / "out" / UNFINISHED).is_file()
    (first,) = (path for path in (tmp_path / "out").rglob("*.*") if len(path.stem) == 64)
    left = first.with_name(f"{first.name}.00112233.part")
    left.write_bytes(b"half")
    assert export(vault, entries, tmp_path / "out") == Exported(2, 1, ())
    assert not left.exists()
    assert not (tmp_path / "out" / UNFINISHED).exists()
    assert len(rows(tmp_path / "out")) == 3
    assert export(vault, entries, tmp_path / "out") == Exported(0, 3, ())


def test_a_wider_selection_adds_and_a_narrower_one_is_refused(vault, entries, tmp_path):
    export(vault, vault.list(kind="html"), tmp_path / "out")
    assert export(vault, entries, tmp_path / "out") == Exported(2, 1, ())
    before = held(tmp_path / "out")
    with pytest.raises(VaultError, match="holds another export"):
        export(vault, vault.list(kind="html"), tmp_path / "out")
    assert held(tmp_path / "out") == before


def test_a_changed_file_is_neither_taken_for_the_object_nor_overwritten(vault, entries, tmp_path):
    export(vault, entries, tmp_path / "out")
    changed = next((tmp_path / "out").rglob("*.dcm"))
    changed.write_bytes(b"imagf")
    done = export(vault, entries, tmp_path / "out")
    assert [(object_id, "is not the object" in reason) for object_id, reason in done.faults] == [(changed.stem, True)]
    assert changed.read_bytes() == b"imagf"
    assert len(rows(tmp_path / "out")) == 2


def test_a_damaged_object_costs_itself_only(vault, entries, tmp_path):
    damaged = entries[0].id
    vault.path(damaged).write_bytes(vault.path(damaged).read_bytes()[:-1])
    done = export(vault, entries, tmp_path / "out")
    assert (done.written, [object_id for object_id, _ in done.faults]) == (2, [damaged])
    assert damaged not in str(held(tmp_path / "out").keys())
    assert damaged not in {row["id"] for row in rows(tmp_path / "out")}


def test_other_folders_are_refused(vault, entries, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    with pytest.raises(VaultError, match="is not empty; expected a new folder"):
        export(vault, entries, tmp_path / "full")
    with pytest.raises(VaultError, match="inside of the vault"):
        export(vault, entries, vault.folder / "out")
    with pytest.raises(VaultError, match=r"notes: Not a directory|notes: File exists"):
        export(vault, entries, tmp_path / "full" / "notes")
    assert held(tmp_path / "full") == {}
