"""What a sweep varies, in Hydra's override grammar: `a,b`, choice(...), range(...), interval(...), tag(log, ...).

`range(a,b)` ends before b, as in Hydra and in Python. Names of keys and written values are kept as Hydra takes them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from radvit.errors import ConfigError

SEED = "seed"
NOT_SWEPT = ("run_dir", "resume")
Params = Mapping[str, Any]

Values = CategoricalDistribution | FloatDistribution | IntDistribution


@dataclass(frozen=True, slots=True)
class Axis:
    """One key that a sweep varies, and the values it may take."""

    key: str
    values: Values


@dataclass(frozen=True, slots=True)
class Space:
    """A command line as its fixed overrides and its axes, in the order they were given.

    seeds: those that a search runs every point with; a grid has none here, as `seed` is one of its axes.
    """

    terms: tuple[str | Axis, ...]
    seeds: tuple[str, ...] = ()

    @property
    def axes(self) -> dict[str, Values]:
        """What is varied, by key."""
        return {term.key: term.values for term in self.terms if isinstance(term, Axis)}

    def overrides(self, params: Params) -> list[str]:
        """The command line of one point."""
        return [term if isinstance(term, str) else f"{term.key}={params[term.key]}" for term in self.terms]

    def corner(self) -> dict[str, Any]:
        """One point: the first choice, the lowest number."""
        return {key: v.choices[0] if isinstance(v, CategoricalDistribution) else v.low for key, v in self.axes.items()}

    def points(self) -> Iterator[dict[str, Any]]:
        """Every point of a space whose axes are all choices, the last axis the fastest."""
        for values in itertools.product(*(choices(axis) for axis in self.axes.values())):
            yield dict(zip(self.axes, values, strict=True))

    def to_list(self) -> list[str | dict[str, Any]]:
        """For JSON: equal where two command lines ask for the same."""
        seeds: list[str | dict[str, Any]] = [{"key": SEED, "seeds": list(self.seeds)}] if self.seeds else []
        return seeds + [
            term if isinstance(term, str) else {"key": term.key, **json.loads(distribution_to_json(term.values))}
            for term in self.terms
        ]

    @staticmethod
    def from_list(told: Sequence[Any]) -> Space:
        """The space that `to_list` told of."""
        terms: list[str | Axis] = []
        seeds: tuple[str, ...] = ()
        for term in told:
            if isinstance(term, str):
                terms.append(term)
            elif "seeds" in term:
                seeds = tuple(term["seeds"])
            else:
                given = {key: value for key, value in term.items() if key != "key"}
                terms.append(Axis(term["key"], written_values(json.dumps(given))))
        return Space(tuple(terms), seeds)


def written_values(text: str) -> Values:
    """A distribution as Optuna writes it. Raises TypeError for a kind that no space has."""
    values = json_to_distribution(text)
    if not isinstance(values, CategoricalDistribution | FloatDistribution | IntDistribution):
        raise TypeError(f"{values}: not a distribution of a space")
    return values


def choices(values: Values) -> Sequence[Any]:
    """The values of a distribution that names them all."""
    if not isinstance(values, CategoricalDistribution):
        raise TypeError(f"{values}: not a distribution of choices")
    return values.choices


def read_space(overrides: Sequence[Override], grid: bool) -> Space:
    """A space from Hydra's parsed overrides. grid: every value is to be named, and `seed` is an axis like any other.

    Raises ConfigError where a key can't be swept, comes twice, or a grid has an interval.
    """
    terms: list[str | Axis] = []
    seeds: tuple[str, ...] = ()
    for override in overrides:
        key = override.get_key_element()
        if override.key_or_group in NOT_SWEPT:
            raise ConfigError(f"{key}=... in a sweep; each trial has a folder of its own: expected neither {NOT_SWEPT}")
        if not override.is_sweep_override():
            terms.append(str(override.input_line))
        elif key == SEED and not grid:
            seeds = named(override)
        else:
            terms.append(Axis(key, CategoricalDistribution(named(override)) if grid else distribution(override)))
    keys = [term.key for term in terms if isinstance(term, Axis)]
    if len(set(keys)) < len(keys):
        raise ConfigError(f"swept keys {', '.join(keys)}; expected each once")
    return Space(tuple(terms), seeds)


def named(override: Override) -> tuple[str, ...]:
    """Every value of an override, as Hydra would take it. Raises ConfigError for an interval or a value given twice."""
    if not override.is_discrete_sweep():
        raise ConfigError(f"{override.input_line}: a grid needs values; expected hydra/sweeper=optuna for an interval")
    values = tuple(override.sweep_string_iterator())
    if not values or len(set(values)) < len(values):
        raise ConfigError(f"{override.input_line}: expected at least one value, and each once")
    return values


def distribution(override: Override) -> Values:
    """What a search may set a key to. Raises ConfigError where the numbers don't make a range."""
    sweep: Any = override.value()
    log = "log" in getattr(sweep, "tags", ())
    try:
        if isinstance(sweep, IntervalSweep):
            return interval(sweep, log)
        if isinstance(sweep, RangeSweep):
            return stepped(sweep, log)
    except ValueError as error:
        raise ConfigError(f"{override.input_line}: {error}") from error
    return CategoricalDistribution(named(override))


def interval(sweep: IntervalSweep, log: bool) -> Values:
    """Any number from start to end; whole ones for int(interval(...))."""
    low, high = sweep.start, sweep.end
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low or 0), float(high or 0), log=log)


def stepped(sweep: RangeSweep, log: bool) -> Values:
    """The numbers of a range. log: the step must be 1."""
    values = list(sweep.range())
    if not values:
        raise ValueError("an empty range")
    low, high = min(values), max(values)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=abs(int(sweep.step)))
    return FloatDistribution(low, high, log=log, step=None if log else abs(float(sweep.step)))
