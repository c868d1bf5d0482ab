"""Which trial a process works on next: one that a dead process left, one that waits, or a new one.

A trial is under way while its state is RUNNING and a process holds its folder's lock. Processes that sweep side by side
agree through the lock of the sweep's folder, and so must share that folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from optuna.trial import Trial as OptunaTrial

from radvit.errors import BusyError
from radvit.sweep.sampling import GRID, make_sampler
from radvit.sweep.space import Space
from radvit.trial import alone

OWNER, SWEEP_LOCK = ".sweep.lock", ".sweep.lock"
RETRY = "retry_of"


@dataclass(frozen=True, slots=True)
class Plan:
    """How many trials a sweep makes and how they are chosen. n_trials: None for a grid, which has as many as points."""

    space: Space
    sampler: str
    seed: int = 0
    n_trials: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this process works on until `held` is closed."""

    number: int
    params: dict[str, Any]
    folder: Path
    resumed: bool
    held: ExitStack


@contextmanager
def planning(folder: Path) -> Iterator[None]:
    """Let one process at a time look at the trials and choose."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / SWEEP_LOCK):
        yield


def lay_out(study: Study, space: Space) -> None:
    """Queue the points of a grid that its study lacks; to be called within `planning`."""
    queued = {frozenset(planned(trial).items()) for trial in study.get_trials(deepcopy=False)}
    for point in space.points():
        if frozenset(point.items()) not in queued:
            study.enqueue_trial(point)


def planned(trial: FrozenTrial) -> dict[str, Any]:
    """The point of a trial, also while it waits or where its process died before it had asked for all of it."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def retry_failed(study: Study) -> None:
    """Queue the points of failed trials again; to be called within `planning`."""
    trials = study.get_trials(deepcopy=False)
    for trial in open_failures(trials):
        study.enqueue_trial(planned(trial), user_attrs={RETRY: trial.number})


def open_failures(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Failed trials that no other took the place of."""
    retried = {trial.user_attrs.get(RETRY) for trial in trials}
    return [trial for trial in trials if trial.state is TrialState.FAIL and trial.number not in retried]


def claim(study: Study, plan: Plan, folder: Path, most: int) -> list[Claim]:
    """Up to `most` trials to work on, none of which another process works on; empty where nothing is left to begin."""
    with planning(folder):
        claims: list[Claim] = []
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            held = hold(folder / str(trial.number)) if len(claims) < most else None
            if held is not None and ended(study, trial):
                held.close()
            elif held is not None:
                study.sampler = make_sampler(plan.sampler, plan.seed, trial.number)
                claims.append(taken(study, plan, folder, trial._trial_id, held, resumed=True))
        while len(claims) < most and some_left(study, plan):
            study.sampler = make_sampler(plan.sampler, plan.seed, len(study.get_trials(deepcopy=False)))
            asked = study.ask()
            held = hold(folder / str(asked.number))
            if held is None:
                raise BusyError(f"{folder / str(asked.number)}: another process is at work in this folder")
            claims.append(taken(study, plan, folder, asked._trial_id, held, resumed=False))
        return claims


def ended(study: Study, trial: FrozenTrial) -> bool:
    """Whether a trial is over by now; the process that ran it may have said so after the trials had been listed."""
    return bool(study._storage.get_trial(trial._trial_id).state.is_finished())


def taken(study: Study, plan: Plan, folder: Path, trial_id: int, held: ExitStack, resumed: bool) -> Claim:
    """A claim on a trial, with its point; where a process died while it asked for the point, the rest is asked now."""
    trial = OptunaTrial(study, trial_id)
    params = {key: trial._suggest(key, values) for key, values in plan.space.axes.items()}
    return Claim(trial.number, params, folder / str(trial.number), resumed, held)


def some_left(study: Study, plan: Plan) -> bool:
    """Whether a trial waits, or the search has some to make."""
    trials = study.get_trials(deepcopy=False)
    if any(trial.state is TrialState.WAITING for trial in trials):
        return True
    made = sum(RETRY not in trial.user_attrs for trial in trials)
    return plan.sampler != GRID and made < (plan.n_trials or 0)


def hold(folder: Path) -> ExitStack | None:
    """A trial's folder for this process, None where a sweep or a run of another process is at work there."""
    held = ExitStack()
    try:
        held.enter_context(alone(folder, OWNER))
        for inner in (folder, *(path for path in folder.glob("seed_*") if path.is_dir())):
            with alone(inner):  # a run that outlived its sweep
                pass
    except BusyError:
        held.close()
        return None
    return held
