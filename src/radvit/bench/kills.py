"""Processes that put into a vault and rotate its key, killed at random: what was told as stored must be there."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from radvit.bench.vault_child import key_file, newest, rotate_once
from radvit.errors import VaultError
from radvit.vault.store import Vault

LONGEST_S = 0.3  # from the moment a process is ready to its death
_POLL_S = 0.002
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class KillReport:
    """What was left after so many kills. in_rotation: those after which a rotation was unfinished.

    told: objects that a process had told as stored. lost: those of them that are gone or differ. faults: what verify
    names, be it missing or damaged. unlisted: files without a row, which a put of the same content would adopt.
    """

    kills: int
    in_rotation: int
    rotations: int
    told: int
    lost: int
    faults: int
    quick_faults: int
    unlisted: int


def kill_at_random(
    folder: Path, kills: int, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> KillReport:
    """Run a process of puts beside one of rotations in an empty folder, and kill one or the other, again and again.

    At the end the rotation is finished, every object that was told is decrypted and compared, and the vault verified.
    """
    draw = random.Random(seed)
    Vault.init(folder / "vault", key_file(folder, 0))
    running = {what: _start(what, folder, f"{seed}-{what}-0") for what in ("puts", "rotations")}
    in_rotation = 0
    try:
        for done in range(1, kills + 1):
            what = draw.choice(sorted(running))
            _wait_ready(running[what], folder / f"{what}.log")
            time.sleep(draw.uniform(0, LONGEST_S))
            _kill(running.pop(what))
            in_rotation += newest(folder)[0].ring.rotating
            running[what] = _start(what, folder, f"{seed}-{what}-{done}")
            if progress is not None:
                progress(done, kills)
    finally:
        for process in running.values():
            _kill(process)
    return _report(folder, kills, in_rotation)


def _report(folder: Path, kills: int, in_rotation: int) -> KillReport:
    rotated = rotate_once(folder, leave_damaged=True)  # finishes what the last kill left; verify names the rest
    vault, _ = newest(folder)
    told = _told(folder / "puts.log")
    lost = sum(_content(vault, object_id) != content for object_id, content in told.items())
    full, quick = ([fault.reason for fault in vault.verify(quick=quick)] for quick in (False, True))
    faults, quick_faults = (len(reasons) - reasons.count("unlisted") for reasons in (full, quick))
    return KillReport(kills, in_rotation, rotated, len(told), lost, faults, quick_faults, full.count("unlisted"))


def _start(what: str, folder: Path, seed: str) -> subprocess.Popen[bytes]:
    """A process whose lines go to a log, behind a mark of its own, and whose faults go to another."""
    with (folder / f"{what}.log").open("ab") as log, (folder / "faults.log").open("ab") as faults:
        log.write(b"start\n")
        log.flush()
        return _popen([what, str(folder), seed], log, faults)


def _popen(arguments: list[str], log: IO[bytes], faults: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "radvit.bench.vault_child", *arguments]
    return subprocess.Popen(command, stdout=log, stderr=faults)


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while b"ready" not in log.read_bytes().rpartition(b"start\n")[2]:
        if process.poll() is not None or time.monotonic() > deadline:
            faults = (log.parent / "faults.log").read_text().splitlines()
            raise VaultError(f"a process ended by itself: {faults[-1] if faults else 'it told nothing'}")
        time.sleep(_POLL_S)


def _kill(process: subprocess.Popen[bytes]) -> None:
    ended = process.poll()
    process.kill()
    process.wait()
    if ended is not None:
        raise VaultError(f"a process ended by itself, with exit code {ended}")


def _told(log: Path) -> dict[str, str]:
    """Hashes of the contents by object id, of every line that was written whole."""
    lines = log.read_text().split("\n")[:-1]
    stored = [line.split() for line in lines if line.startswith("stored ")]
    return {object_id: content for _, object_id, content in stored}


def _content(vault: Vault, object_id: str) -> str:
    digest = hashlib.sha256()
    try:
        vault.get(object_id, _Hashing(digest.update))
    except VaultError:
        return ""
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Hashing:
    write: Callable[[bytes], None]
