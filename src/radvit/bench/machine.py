"""What a measurement ran on: never a host's name."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import cv2

from radvit import __version__, hardware


def machine(packages: tuple[str, ...]) -> dict[str, str | int]:
    """Cores this process may use, the processor's model, and versions; a package that isn't there is left out."""
    found: dict[str, str | int] = {
        "cores": hardware.cores(),
        "cpu": hardware.cpu(),
        "python": platform.python_version(),
    }
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
