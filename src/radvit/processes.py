"""How worker processes come to be."""

from __future__ import annotations

import multiprocessing
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
