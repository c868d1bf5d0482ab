"""Decrypt a selection of a vault's objects into a folder that other programs can read.

OUT/<study>/<id>.<ending by kind>    the objects; `no-study` where there is none
OUT/manifest.csv                     what is there: written last, so that where it stands the export came to its end
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from radvit.errors import VaultError
from radvit.vault.catalogue import Entry
from radvit.vault.files import PART, placed, sweep, told
from radvit.vault.kinds import ending_of
from radvit.vault.store import Vault

MANIFEST = "manifest.csv"
UNFINISHED = "manifest.unfinished.csv"  # all that is to be there, from the start to the end of an export
COLUMNS = ("id", "path", "size", "kind", "patient", "study", "modality", "date")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did. written: objects, now. kept: from an earlier run. faults: id and reason of the others."""

    written: int
    kept: int
    faults: tuple[tuple[str, str], ...]


def export(
    vault: Vault,
    entries: Sequence[Entry],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Decrypt entries into a new folder, or go on with one that an earlier run of the same export began.

    Each file appears whole and verified. Raises VaultError where the folder holds something else.
    """
    vault.check_outside(folder)
    with told(f"export to {folder}"):
        _begin(folder, entries)
        written, kept, faults, whole = 0, 0, [], []
        for done, entry in enumerate(entries, 1):
            try:
                new = _exported(vault, entry, folder)
                written, kept = written + new, kept + (not new)
                whole.append(entry)
            except VaultError as error:
                faults.append((entry.id, str(error)))
            if progress is not None:
                progress(done, len(entries))
        _write(folder / MANIFEST, whole)
        (folder / UNFINISHED).unlink()
    return Exported(written, kept, tuple(faults))


def place_of(entry: Entry) -> Path:
    """Where an object goes, below the folder of an export."""
    return Path(entry.details.study or "no-study") / f"{entry.id}.{ending_of(entry.details.kind)}"


def _begin(folder: Path, entries: Sequence[Entry]) -> None:
    """Make the folder, and say in it what is to be there; what an earlier run said must be a part of that."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = [folder / name for name in (UNFINISHED, MANIFEST) if (folder / name).is_file()]
    if not before and any(path.suffix != PART for path in folder.iterdir()):
        raise VaultError(f"{folder} is not empty; expected a new folder, or one that this export began")
    named = {entry.id for entry in entries}
    for path in before:
        with path.open(newline="") as file:
            if not {row.get("id") for row in csv.DictReader(file)} <= named:
                raise VaultError(f"{folder} holds another export; expected a new folder, or the same selection")
    _write(folder / UNFINISHED, entries)


def _exported(vault: Vault, entry: Entry, folder: Path) -> bool:
    """Whether the object had to be written: an earlier run's file is kept where it holds the object."""
    path = folder / place_of(entry)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    sweep(path.parent.glob(f"{path.name}.*{PART}"))  # what a run that was killed left
    if not path.exists():
        vault.get(entry.id, path)
        return True
    if not vault.is_whole(path, entry.id):
        raise VaultError(f"{path} is there and is not the object; move it away")
    return False


def _write(path: Path, entries: Sequence[Entry]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        known = entry.details
        place = place_of(entry).as_posix()
        writer.writerow(
            (entry.id, place, entry.size, known.kind, known.patient, known.study, known.modality, known.date)
        )
    with placed(path) as file:
        file.write(text.getvalue().encode())
