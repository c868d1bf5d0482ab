"""The points of a sweep, best first: seeds taken together, the state of each, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from radvit.errors import BusyError, ConfigError
from radvit.study import open_storage, reached
from radvit.sweep.claims import OWNER, RETRY, planned, planning
from radvit.sweep.drive import ERROR
from radvit.sweep.record import SweepRecord, load_record
from radvit.sweep.space import SEED, Space
from radvit.trial import alone

STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.WAITING: "to do",
}
RUNNING, STOPPED = "running", "stopped"
FEWEST = 4  # finished trials, before the importance of a key says anything
Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of what is swept, whatever the seed.

    values: the metric in its own sign, one a finished run. trials, seeds and states: of its trials. error: why the
    first that failed did.
    """

    params: dict[str, Any]
    values: tuple[float, ...]
    seeds: tuple[str, ...]
    trials: tuple[int, ...]
    states: tuple[str, ...]
    error: str | None = None

    @property
    def mean(self) -> float | None:
        """Mean over the seeds."""
        return fmean(self.values) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of a sample (n - 1); None for fewer than two seeds."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def state(self) -> str:
        """The state of its trials, with counts where they differ."""
        counts = {state: self.states.count(state) for state in dict.fromkeys(self.states)}
        return self.states[0] if len(counts) == 1 else ", ".join(f"{n} {state}" for state, n in counts.items())


@dataclass(frozen=True, slots=True)
class Ranking:
    """A sweep as it stands. metric: what is ranked by, in its own sign. points: best first, those without a value last.

    importances: share of the spread between finished trials that each key explains (fANOVA, Hutter et al. 2014).
    """

    record: SweepRecord
    space: Space
    metric: str
    less_is_better: bool
    points: tuple[Point, ...]
    importances: dict[str, float]

    @property
    def best(self) -> Point | None:
        """The best point, None where nothing is done."""
        return self.points[0] if self.points and self.points[0].values else None

    def command(self, point: Point) -> str:
        """What to type in a shell to train a point again, with each of its seeds."""
        params: dict[str, Any] = dict(point.params)
        seeds = list(dict.fromkeys(point.seeds))
        overrides = []
        if SEED in self.space.axes:
            params[SEED] = ",".join(seeds)
        elif seeds:
            overrides = [f"{SEED}={','.join(seeds)}"]
        several = ["-m"] if len(seeds) > 1 else []
        return shlex.join(["python", "train.py", *several, *self.space.overrides(params), *overrides])


def rank(folder: Path) -> Ranking:
    """The ranking of the sweep in a folder. Raises ConfigError where there is none."""
    record = load_record(folder)
    space = Space.from_list(record.space)
    url = record.url(folder)
    try:
        with reached():
            study = optuna.load_study(study_name=record.study, storage=open_storage(url))
    except KeyError:
        raise ConfigError(f"{folder}: no study {record.study} in {url}") from None
    trials = study.get_trials(deepcopy=False)
    objective = next((t.user_attrs["objective"] for t in trials if "objective" in t.user_attrs), record.objective or "")
    less = objective.startswith("-")
    points = [point_of(runs, space, states(folder, runs), -1.0 if less else 1.0) for runs in grouped(trials)]
    ordered = sorted(points, key=lambda point: place(point, less))
    return Ranking(record, space, objective.removeprefix("-"), less, tuple(ordered), importances(study))


def place(point: Point, less_is_better: bool) -> tuple[bool, float]:
    """Where a point stands in the ranking: the smaller, the higher."""
    mean = point.mean
    return (True, 0.0) if mean is None else (False, mean if less_is_better else -mean)


def grouped(trials: Sequence[FrozenTrial]) -> list[list[FrozenTrial]]:
    """Trials that differ in their seed alone, together; those that another took the place of are left out."""
    retried = {trial.user_attrs.get(RETRY) for trial in trials}
    groups: dict[Key, list[FrozenTrial]] = {}
    for trial in trials:
        if trial.number not in retried:
            groups.setdefault(key_of(planned(trial)), []).append(trial)
    return list(groups.values())


def key_of(params: Mapping[str, Any]) -> Key:
    """A point without its seed."""
    return tuple(sorted((key, value) for key, value in params.items() if key != SEED))


def point_of(trials: Sequence[FrozenTrial], space: Space, told: Sequence[str], sign: float) -> Point:
    """One point from its trials."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    values = [sign * value for trial in done for value in trial.user_attrs["values"]]
    seeds = space.seeds or [str(planned(trial)[SEED]) for trial in trials if SEED in planned(trial)]
    errors = [str(trial.user_attrs[ERROR]) for trial in trials if ERROR in trial.user_attrs]
    numbers = tuple(trial.number for trial in trials)
    params = {key: value for key, value in planned(trials[0]).items() if key != SEED}
    return Point(params, tuple(values), tuple(seeds), numbers, tuple(told), errors[0] if errors else None)


def states(folder: Path, trials: Sequence[FrozenTrial]) -> list[str]:
    """The state of each trial in a word; one under way is `stopped` where no sweep works on it any more."""
    return [STATES.get(t.state) or (RUNNING if held(folder, t.number) else STOPPED) for t in trials]


def held(folder: Path, number: int) -> bool:
    """Whether a sweep works on a trial."""
    try:
        with planning(folder), alone(folder / str(number), OWNER):
            return False
    except BusyError:
        return True


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each key matters, in shares of 1, most first; empty where too few trials are done to say."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < FEWEST or len({trial.value for trial in done}) < 2:
        return {}
    return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))
