"""What the three Hydra entry points share: one-line errors, exit codes, and shorthand on the command line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from radvit import config as schemas
from radvit.errors import RadvitError, SomeInputsFailedError

SHORTHAND = {"input": "input.path"}  # `input=DIR` for `input.path=DIR`


def prepare() -> None:
    """Register the schemas and expand shorthand; to be called before Hydra reads the command line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises, and `guarded` makes one line of it
    schemas.register()
    sys.argv[1:] = [expand(argument) for argument in sys.argv[1:]]


def expand(argument: str) -> str:
    """A command-line argument with its key written out."""
    key, equals, value = argument.partition("=")
    return f"{SHORTHAND.get(key, key)}{equals}{value}" if equals else argument


def job(name: str, config: DictConfig) -> None:
    """Check a composed configuration against its schema and run train, evaluate or infer."""
    guarded(lambda: dispatch(name, config))  # leaves before Hydra adds lines of its own to an error


def dispatch(name: str, config: DictConfig) -> None:
    """Run the flow that a configuration is for."""
    plain = OmegaConf.to_object(config)
    from radvit import run  # heavy libraries load only once the configuration holds

    if isinstance(plain, schemas.TrainConfig):
        run.train(plain)
    elif isinstance(plain, schemas.EvaluateConfig):
        run.evaluate(plain)
    elif isinstance(plain, schemas.InferConfig):
        run.infer(plain)
    else:
        raise TypeError(f"{name}: configuration of type {type(plain).__name__}")


def one_line(error: Exception) -> str:
    """What a person needs of an error: its first lines, joined, without Hydra's advice."""
    text = str(error).split("\nAvailable options", 1)
    lines = [line.strip() for line in text[0].splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("full_key", "object_type", "reference_type", "To append"))]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        useful.append(str(cause).splitlines()[0])
    if len(text) > 1:
        useful.append("available: " + ", ".join(text[1].split("Config search path")[0].split(":", 1)[1].split()))
    return " ".join(dict.fromkeys(useful)) or type(error).__name__


def guarded(main: Callable[[], None]) -> None:
    """Run an entry point. Exit code 0: done; 1: some inputs failed; 2: bad configuration or arguments, in one line."""
    try:
        main()
    except SomeInputsFailedError as error:
        logging.getLogger(__name__).debug("some inputs failed", exc_info=True)
        fail(str(error), 1)
    except (RadvitError, HydraException, OmegaConfBaseException) as error:
        if os.environ.get("RADVIT_DEBUG") == "1":
            raise
        fail(one_line(error), 2)
    except KeyboardInterrupt:
        fail("interrupted", 130)


def fail(message: str, code: int) -> None:
    """Print one line on stderr and leave."""
    print(f"radvit: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
