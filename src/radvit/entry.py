"""What the three Hydra entry points share: one-line errors, exit codes, and shorthand on the command line."""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from radvit import config as schemas
from radvit.errors import ConfigError, RadvitError, SomeInputsFailedError, StoppedError
from radvit.training import ranks

log = logging.getLogger(__name__)

SHORTHAND = {"input": "input.path"}  # `input=DIR` for `input.path=DIR`
OF_INFERENCE = {**SHORTHAND, "precision": "precision.name"}
OF_DATA = ("data.path", "data.truth", "data.boxes", "data.cache")
PATHS = ("checkpoint", "input.path", "output", "resume", "run_dir", "hydra.run.dir", "deid.key", *OF_DATA)
PLAIN = re.compile(r"[\w./:+%@ -]*", re.ASCII)  # what Hydra's grammar takes without quotes
ADVICE = ("full_key", "object_type", "reference_type", "To append to your config", "See https://hydra.cc")


def prepare(shorthand: Mapping[str, str] = SHORTHAND) -> None:
    """Register the schemas and expand shorthand; to be called before Hydra reads the command line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises, and `guarded` makes one line of it
    wait_asleep()
    schemas.register()
    sys.argv[1:] = [expand(argument, shorthand) for argument in sys.argv[1:]]
    if ranks.launched():
        guarded(ranks.started)  # one name of the run's folder for all processes
    if ranks.rank() > 0:
        sys.argv += ["hydra.output_subdir=null", "hydra/job_logging=console"]  # the first process writes the folder


def wait_asleep() -> None:
    """Let PyTorch's threads sleep while they wait: spinning costs up to 6x on a busy machine. Before it is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def expand(argument: str, shorthand: Mapping[str, str] = SHORTHAND) -> str:
    """A command-line argument with its key written out, and its path quoted where Hydra's grammar needs that.

    A comma stays as it is (it makes a sweep), and so do quotes and `${...}` that are already there.
    """
    key, equals, value = argument.partition("=")
    if not equals:
        return argument
    key = shorthand.get(key, key)
    if key in PATHS and not PLAIN.fullmatch(value) and not re.search(r"^['\"]|,|\$\{", value):
        value = "'" + value.replace("'", r"\'") + "'"
    return f"{key}={value}"


def job(name: str, config: DictConfig) -> float | None:
    """Check a composed configuration against its schema and run train, evaluate or infer.

    Ends the process at an error, with one line; in a sweep the error is logged and raised, as the other jobs go on.
    Returns what a sweep goes by: how good a trained model is, the more, the better.
    """
    if HydraConfig.get().mode is not RunMode.MULTIRUN:
        guarded(lambda: dispatch(name, config))
        return None
    try:
        return dispatch(name, config)
    except Exception as error:
        log.error("%s", one_line(error))
        raise


def dispatch(name: str, config: DictConfig) -> float | None:
    """The same, with errors left to the caller. Raises ConfigError where an argument is missing or out of range."""
    missing = sorted(OmegaConf.missing_keys(config))
    if name == "evaluate" and config.checkpoint is None and not config.compare:
        missing.append("checkpoint")
    if missing:
        short = {long: short for short, long in SHORTHAND.items()}
        names = ", ".join(short.get(key, key) for key in missing)
        raise ConfigError(f"not given: {names}; expected NAME=VALUE for each")
    plain = OmegaConf.to_object(config)
    from radvit import run  # heavy libraries load only once the configuration holds

    if isinstance(plain, schemas.TrainConfig):
        return run.attempt(plain)
    if isinstance(plain, schemas.EvaluateConfig):
        if plain.compare:
            run.compare(plain)
        elif plain.external:
            run.external(plain)
        else:
            run.evaluate(plain)
    elif isinstance(plain, schemas.InferConfig):
        run.infer(plain)
    else:
        raise TypeError(f"{name}: configuration of type {type(plain).__name__}")
    return None


def one_line(error: BaseException) -> str:
    """What a person needs of an error: its first lines, joined, without Hydra's advice."""
    text = str(error).split("\nAvailable options", 1)
    lines = text[0].splitlines()
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        lines += str(cause).splitlines()[:1] + near(cause)
    if len(text) > 1:
        lines.append("available: " + ", ".join(text[1].split("Config search path")[0].split(":", 1)[1].split()))
    useful = [line.strip().removesuffix(".") for line in lines if line.strip() and not line.strip().startswith(ADVICE)]
    return "; ".join(dict.fromkeys(useful)) or type(error).__name__


def near(error: OmegaConfBaseException) -> list[str]:
    """The keys that a mistyped one may stand for; none where nothing comes near, or it was no key that was wrong."""
    known = getattr(error.object_type, "__dataclass_fields__", ())
    found = (
        difflib.get_close_matches(error.key, list(known))
        if isinstance(error.key, str) and error.key not in known
        else []
    )
    return [f"did you mean {' or '.join(found)}?"] if found else []


def guarded(main: Callable[[], object]) -> None:
    """Run something. Exit code 0: done; 1: some inputs failed; 2: bad configuration, arguments or files, in one line;
    128 and a signal's number: a run that the signal ended.

    With RADVIT_DEBUG=1 errors pass through, with their traceback.
    """
    debug = os.environ.get("RADVIT_DEBUG") == "1"
    try:
        main()
    except SomeInputsFailedError as error:
        fail(str(error), 1)
    except StoppedError as error:
        fail(str(error), error.code)
    except (RadvitError, HydraException, OmegaConfBaseException) as error:
        if debug:
            raise
        fail(one_line(error), 2)
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}", 2)
    except KeyboardInterrupt:
        fail("interrupted", 130)


def fail(message: str, code: int) -> None:
    """Print one line on stderr and leave."""
    print(f"radvit: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
