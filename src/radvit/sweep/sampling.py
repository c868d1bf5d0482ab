"""Which points a search tries next."""

from __future__ import annotations

import warnings

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from radvit.errors import ConfigError

GRID = "grid"
SAMPLERS = (GRID, "random", "tpe", "gp")


def make_sampler(kind: str, seed: int, number: int) -> BaseSampler:
    """The sampler of one trial: `tpe` (Bergstra et al. 2011), `gp` (a Gaussian process) or `random`.

    It is seeded by the sweep's seed and the trial's number, so that a search which was killed goes on as it would have.
    A grid's points are laid out before it starts; its sampler has nothing to choose.
    """
    check_sampler(kind)
    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if kind == "tpe":
            return TPESampler(multivariate=True, constant_liar=True, seed=drawn)
        if kind == "gp":
            return GPSampler(seed=drawn)
        return RandomSampler(seed=drawn)


def check_sampler(kind: str) -> None:
    """Raise ConfigError for a kind that isn't one."""
    if kind not in SAMPLERS:
        raise ConfigError(f"hydra.sweeper.sampler={kind}; expected one of {', '.join(SAMPLERS)}")
