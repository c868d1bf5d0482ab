"""What a measurement ran on: never a host's name."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2

from radvit import __version__

# Of a processor's features, those that decide how fast matrices are multiplied, as Linux names them (x86, then ARM).
FEATURES = (
    *("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni"),
    *("amx_tile", "amx_bf16", "amx_int8", "amx_fp16", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme"),
)
CPUINFO = Path("/proc/cpuinfo")


def machine(packages: tuple[str, ...]) -> dict[str, str | int]:
    """Cores this process may use, the processor's model, and versions; a package that isn't there is left out."""
    found: dict[str, str | int] = {"cores": cores(), "cpu": _cpu(), "python": platform.python_version()}
    found["radvit"] = __version__
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def features(source: Path = CPUINFO) -> str:
    """Which of FEATURES the first processor has, with spaces between; empty where the system doesn't tell."""
    told = _told(source)
    flags = next((value.split() for name, value in told if name in ("flags", "Features")), [])
    return " ".join(name for name in FEATURES if name in flags)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV, the only library here that takes more threads on its own, to one."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _cpu() -> str:
    """The model as Linux tells it, else as Python does."""
    named = (value for name, value in _told(CPUINFO) if name == "model name")
    return next(named, platform.processor() or platform.machine())


def _told(source: Path) -> list[tuple[str, str]]:
    """The lines of /proc/cpuinfo as names and values; none where there is no such file."""
    try:
        lines = source.read_text().splitlines()
    except OSError:
        return []
    parts = (line.partition(":") for line in lines)
    return [(name.strip(), value.strip()) for name, _, value in parts]
