"""Training in forked processes: they need no second for imports, and can be killed."""

import os
import signal
import sys
import traceback

import torch

from radvit import run
from radvit.errors import StoppedError
from radvit.training.module import RadiographModule

PATIENCE = 120  # seconds; a process that waits for another one for ever is ended


def forked(work):
    """Start work in a child process of its own; its exit code is that of StoppedError, 0, or 99 at any other error."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.alarm(PATIENCE)
            torch.set_num_threads(1)  # OpenMP's threads don't survive a fork
            work()
            code = 0
        except StoppedError as stopped:
            os.write(1, f"{stopped}\n".encode())
            code = stopped.code
        except SystemExit as left:
            code = left.code
        except BaseException:  # noqa: BLE001 - pytest must not go on in the child
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return child


def ended(child):
    """Wait for a child process. Returns its exit code, negative for a signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def train(config, at=None, number=signal.SIGKILL, times=1):
    """Train; before batch `at` (from 0) this process gets a signal."""
    inner, seen = RadiographModule.training_step, []

    def training_step(self, *args):
        seen.append(None)
        if len(seen) - 1 == at:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return inner(self, *args)

    RadiographModule.training_step = training_step
    run.train(config)
