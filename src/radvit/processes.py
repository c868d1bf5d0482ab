"""How worker processes come to be, and how many cores there are for them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.context import BaseContext


def context(preload: Sequence[str]) -> BaseContext:
    """What starts worker processes: forks of a server that imported `preload` once, where the system can do that.

    The first processes that are started decide what is imported.
    """
    methods = multiprocessing.get_all_start_methods()
    made = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    made.set_forkserver_preload([name for name in preload if name != "__main__"])
    return made


def begin_preload(preload: Sequence[str]) -> None:
    """Start that server now, so that it imports while this process does something else; nothing where there is none."""
    if context(preload).get_start_method() == "forkserver":
        forkserver.ensure_running()


def usable_cores() -> int:
    """Cores this process may use, which are not always all that the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_threads() -> int:
    """Threads for one computation: as many as usable cores, or as OMP_NUM_THREADS asks for."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else usable_cores()
