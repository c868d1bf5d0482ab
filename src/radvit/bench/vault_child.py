"""The processes that `radvit bench vault` starts: one file in or out, or a loop of puts or rotations to be killed in.

python -m radvit.bench.vault_child put|get FOLDER
python -m radvit.bench.vault_child puts|rotations FOLDER SEED
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import sys
from pathlib import Path

from radvit.errors import VaultError
from radvit.vault.keys import KeyFile
from radvit.vault.rotation import rotate
from radvit.vault.store import Vault

MOST_BYTES = 3_000_000  # of an object that `puts` makes: some have three chunks


def key_file(folder: Path, number: int) -> KeyFile:
    """The key that the vault has after so many rotations."""
    return KeyFile(folder / "keys" / f"{number:06d}.key")


def newest(folder: Path) -> tuple[Vault, int]:
    """The vault opened by the newest key that opens it, and that key's number."""
    numbers = sorted((int(path.stem) for path in (folder / "keys").glob("*.key")), reverse=True)
    for number in numbers:
        try:
            return Vault(folder / "vault", key_file(folder, number)), number
        except VaultError:
            continue
    raise VaultError(f"none of {len(numbers)} keys opens the vault")


def rotate_once(folder: Path, leave_damaged: bool = False) -> int:
    """Rotate to the next key, or finish the rotation that was begun; returns the number of the key."""
    vault, number = newest(folder)
    old, new = (number - 1, number) if vault.ring.rotating else (number, number + 1)
    keys = key_file(folder, old), key_file(folder, new)
    rotated = rotate(vault.folder, *keys, leave_damaged=leave_damaged)
    if not rotated.done:
        raise VaultError(f"{len(rotated.faults)} objects can't be rewrapped")
    return new


def main(what: str, folder: Path, seed: str = "0") -> None:
    """Do what is asked for."""
    if what in ("puts", "rotations"):
        print("ready", flush=True)  # noqa: T201
        (_puts if what == "puts" else _rotations)(folder, random.Random(seed))
        return
    vault = Vault(folder / "vault", KeyFile(folder / "key"))
    if what == "put":
        vault.put(folder / "source")
    else:
        vault.get(vault.list()[0].id, folder / "out")
    print(json.dumps({"peak_mb": _peak_mb()}))  # noqa: T201


def _puts(folder: Path, draw: random.Random) -> None:
    """Put without end; tell each object, with the hash of its plaintext, once it is stored."""
    vault, _ = newest(folder)
    while True:
        plain = draw.randbytes(draw.choice((0, 10, 1000, 100_000, draw.randrange(MOST_BYTES))))
        try:
            object_id = vault.put(plain, kind="note")
        except VaultError:  # its key is no longer the vault's: another process has rotated it
            vault, _ = newest(folder)
            continue
        print("stored", object_id, hashlib.sha256(plain).hexdigest(), flush=True)  # noqa: T201


def _rotations(folder: Path, draw: random.Random) -> None:
    while True:
        print("rotated", rotate_once(folder), flush=True)  # noqa: T201


def _peak_mb() -> float:
    """Of this process alone: what the system counts for it may include its parent's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
