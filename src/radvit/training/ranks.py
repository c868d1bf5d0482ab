"""The processes of one run: which of them is first, what they agree on, and who waits for whom.

They may be started by Lightning (`trainer=ddp`), by torchrun, or by Slurm. Lightning starts the others only once the
first has all data ready. Those of torchrun and of Slurm all start at once: they meet at a key-value store, before there
is a process group, so that a run has one folder and the first alone reads images, fills the cache and writes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from radvit.errors import ConfigError, RadvitError

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

T = TypeVar("T")

STARTED = "RADVIT_STARTED"  # names a run's folder; the processes of one run share it through the environment
STAMP = "%Y-%m-%d_%H-%M-%S"
LAST_WORDS_S = 60.0
CONNECTING = timedelta(minutes=10)
PATIENCE = timedelta(hours=24)  # reading and caching a large data set takes the first process hours

_turns = itertools.count()


def rank() -> int:
    """The place of this process among those of its run, 0 for the first: as torchrun, Slurm or Lightning says."""
    named = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return next((int(value) for value in named if value is not None), 0)


def launched() -> bool:
    """Whether torchrun or Slurm started several processes of this run."""
    if "RANK" in os.environ:
        return int(os.environ.get("WORLD_SIZE", "1")) > 1
    shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")  # as in Lightning: no srun, a shell
    return int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ and not shell


def started() -> str:
    """When this run began, for the name of its folder; all its processes get the same answer."""
    if STARTED not in os.environ:
        now = datetime.now().strftime(STAMP)
        os.environ[STARTED] = shared(lambda: now) if launched() else now
    return os.environ[STARTED]


def shared(value: Callable[[], str]) -> str:
    """A text that the first process makes and every process gets. Raises RadvitError where the first one failed."""
    store, key = meeting_point(), f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{next(_turns)}"
    if store is None:
        return value()
    if rank() > 0:
        store.wait([key], PATIENCE)
        made, text = store.get(key).decode().split(":", 1)
        store.add(f"{key}/heard", 1)
        if made != "made":
            raise RadvitError(f"the first process stopped: {text}")
        return text
    try:
        text = value()
    except BaseException as error:
        store.set(key, f"failed:{str(error).partition(chr(10))[0] or type(error).__name__}")
        until_heard(store, f"{key}/heard")
        raise
    store.set(key, f"made:{text}")
    return text


def until_heard(store: Store, key: str) -> None:
    """Let the other processes hear why the first one stops, before the store ends with it; not for ever."""
    others = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS", "1")) - 1
    latest = time.monotonic() + LAST_WORDS_S
    while store.add(key, 0) < others and time.monotonic() < latest:
        time.sleep(0.1)


def first_then_all(work: Callable[[], T]) -> T:
    """Do work in the first process, and only then in the others, which find what the first one left on the disk."""
    done: list[T] = []

    def once() -> str:
        done.append(work())
        return ""

    shared(once)
    return done[0] if done else work()


@cache
def meeting_point() -> Store | None:
    """The store at which processes meet that torchrun or Slurm started; None where there is one process so far."""
    if not launched():
        return None
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":  # torchrun's own, open since before this process
        return TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=CONNECTING)
    if "RANK" in os.environ:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    else:
        address, port = slurm_address()
    first = rank() == 0  # one port further, as the process group will take the port itself
    return TCPStore(address, port + 1, is_master=first, timeout=CONNECTING, wait_for_workers=False)


def slurm_address() -> tuple[str, int]:
    """Where the processes of a Slurm job step meet. Raises ConfigError where they were started in an unfit way."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    try:
        cluster = SLURMEnvironment(auto_requeue=False)
        return cluster.main_address, cluster.main_port
    except RuntimeError as error:
        raise ConfigError(f"srun: {error}") from error


def wait_for_all() -> None:
    """Let no process go further before all are here."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def gathered(mine: T) -> list[T]:
    """What each process holds, in order of rank; all of them must call this at the same point. Alone: what it holds."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return [mine]
    held: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(held, mine)
    return [one for one in held if one is not None]
