"""How fast the vault is, next to bare AES-GCM and to copying; how large objects get; how much memory it takes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from radvit.bench.kills import KillReport
from radvit.bench.machine import machine
from radvit.bench.timing import interleaved
from radvit.vault import stream
from radvit.vault.files import placed
from radvit.vault.keys import KeyFile
from radvit.vault.store import Vault

PACKAGES = ("cryptography", "numpy")
MB = 10**6
SPEED_MB = 100
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over the repeats, in MB/s (10**6 bytes). against: what does about as much without the vault."""

    what: str
    mb: int
    mb_per_s: float
    plain_mb_per_s: float
    against: str

    @property
    def ratio(self) -> float:
        """Speed of the vault over that of the other."""
        return self.mb_per_s / self.plain_mb_per_s


@dataclass(frozen=True, slots=True)
class Size:
    """An object of so many MB. size_ratio: stored over plain bytes. put_mb, get_mb: a whole process's peak memory."""

    mb: int
    size_ratio: float
    put_mb: float
    get_mb: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured; kills is None where no process was killed."""

    speeds: list[Speed]
    sizes: list[Size]
    kills: KillReport | None
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        speeds = [{"part": "speed", **asdict(row), "ratio": row.ratio} for row in self.speeds]
        sizes = [{"part": "size", **asdict(row)} for row in self.sizes]
        kills = [{"part": "kills", **asdict(self.kills)}] if self.kills else []
        return {"rows": [*speeds, *sizes, *kills], "machine": self.machine}


def measure_speeds(mb: int, repeats: int) -> list[Speed]:
    """In one thread: in memory against bare AES-256-GCM of the same chunks, and on the disk against a durable copy."""
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        folder = Path(made)
        source = write_random(folder / "source", mb)
        return [*_memory_speeds(source.read_bytes(), mb, repeats), *_disk_speeds(folder, source, mb, repeats)]


def measure_sizes(sizes: Sequence[int]) -> list[Size]:
    """Put and get a file of each size, in MB, each in a process of its own."""
    rows = []
    for mb in sizes:
        with TemporaryDirectory(prefix="radvit-bench-") as made:
            folder = Path(made)
            source = write_random(folder / "source", mb)
            vault = Vault.init(folder / "vault", KeyFile(folder / "key"))
            put = _in_process("put", folder)
            source.unlink()  # so that there is never more than two of the file
            (entry,) = vault.list()
            size = vault.path(entry.id).stat().st_size
            rows.append(Size(mb, size / entry.size, put, _in_process("get", folder)))
    return rows


def facts() -> dict[str, str | int]:
    """What it was measured on."""
    return machine(PACKAGES)


def write_random(path: Path, mb: int) -> Path:
    """A file of so many MB that nothing can shorten."""
    with path.open("wb") as file:
        left = mb * MB
        while left:
            left -= file.write(os.urandom(min(_PIECE, left)))
    return path


class _Source:
    """Gives copies, as reading a file does."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    def read(self, size: int, /) -> bytes:
        piece = bytes(self._data[self._at : self._at + size])
        self._at += len(piece)
        return piece


class _Sink:
    def write(self, data: bytes, /) -> int:
        return len(data)


def _memory_speeds(plain: bytes, mb: int, repeats: int) -> list[Speed]:
    kek, collected = bytes(32), io.BytesIO()
    stream.encrypt(_Source(plain), collected, kek)
    encrypted = collected.getvalue()
    cipher, chunks = AESGCM(kek), [plain[at : at + _PIECE] for at in range(0, len(plain), _PIECE)]
    nonces = [stream.nonce(b"bench--", at, False) for at in range(len(chunks))]
    sealed = [cipher.encrypt(nonce, chunk, None) for nonce, chunk in zip(nonces, chunks, strict=True)]

    def bare(work: Callable[[bytes, bytes, None], bytes], pieces: list[bytes]) -> None:
        for nonce, piece in zip(nonces, pieces, strict=True):
            work(nonce, piece, None)

    seconds = interleaved(
        [
            lambda: stream.encrypt(_Source(plain), _Sink(), kek),
            lambda: bare(cipher.encrypt, chunks),
            lambda: stream.decrypt(_Source(encrypted), _Sink(), kek),
            lambda: bare(cipher.decrypt, sealed),
        ],
        repeats,
    )
    ours_in, bare_in, ours_out, bare_out = (mb / float(np.median(each)) for each in seconds)
    against = "AES-256-GCM alone, the same chunks"
    return [Speed("encrypt", mb, ours_in, bare_in, against), Speed("decrypt", mb, ours_out, bare_out, against)]


def _disk_speeds(folder: Path, source: Path, mb: int, repeats: int) -> list[Speed]:
    vault = Vault.init(folder / "vault", KeyFile(folder / "key"))
    object_id = vault.put(source)

    def put() -> None:
        vault.path(object_id).unlink()  # what is there already would not be encrypted again
        vault.put(source)

    def get() -> None:
        vault.get(object_id, folder / "out")
        (folder / "out").unlink()

    def copy() -> None:
        with source.open("rb") as file, placed(folder / "copy") as target:
            shutil.copyfileobj(file, target, _PIECE)
        (folder / "copy").unlink()

    puts, gets, copies = (mb / float(np.median(each)) for each in interleaved([put, get, copy], repeats))
    against = "a copy, as durable"
    return [Speed("put", mb, puts, copies, against), Speed("get", mb, gets, copies, against)]


def _in_process(what: str, folder: Path) -> float:
    """Peak memory, MB, of a process that puts or gets the one file of a folder."""
    command = [sys.executable, "-m", "radvit.bench.vault_child", what, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["peak_mb"])
