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


def machine(packages: tuple[str, ...]) -> dict[str, str | int]:
    """Cores this process may use, the processor's model, and versions; a package that isn't there is left out."""
    found: dict[str, str | int] = {"cores": _cores(), "cpu": _cpu(), "python": platform.python_version()}
    found["radvit"] = __version__
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV, the only library here that takes more threads on its own, to one."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    """The model as Linux tells it, else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
