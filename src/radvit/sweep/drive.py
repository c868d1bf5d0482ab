"""The loop of a sweep: claim trials, launch their runs, tell the study; a kill at any point loses no finished run.

The run folders are the truth: a run writes its outcome itself, and the study is told of it afterwards, by this process
or by the next one that finds it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from hydra.core.override_parser.types import Quote, QuotedString
from optuna import Study
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from radvit.errors import ConfigError, SomeInputsFailedError
from radvit.plural import counted
from radvit.study import open_study, reached
from radvit.sweep.claims import Claim, Plan, claim, lay_out, open_failures, planning, retry_failed
from radvit.sweep.record import SweepRecord, begin, goes_on, name_of
from radvit.sweep.sampling import GRID, make_sampler
from radvit.trial import Outcome, Pruner, Trial, load_outcome

log = logging.getLogger(__name__)

ERROR = "error"


@dataclass(frozen=True, slots=True)
class Job:
    """One run to launch: its trial's number, its command line, and the folder it is to work in."""

    number: int
    overrides: tuple[str, ...]
    folder: Path


Launch = Callable[[Sequence[Job]], Sequence[str | None]]
"""Runs jobs, and says for each how it failed in a line, or None."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as it is driven. batch: trials handed to the launcher at once. retry: run failed trials again."""

    folder: Path
    record: SweepRecord
    plan: Plan
    pruner: Pruner
    batch: int
    retry: bool = False


def drive(sweep: Sweep, launch: Launch) -> None:
    """Run what is missing of a sweep. Raises SomeInputsFailedError, naming them, where trials have failed."""
    with reached():
        study = opened(sweep)
        while claims := claim(study, sweep.plan, sweep.folder, sweep.batch):
            try:
                ended = work(sweep, study, claims, launch)
            finally:
                for one in claims:
                    one.held.close()
            log.info("sweep %s: %s", sweep.record.study, tally(study))
            if not ended:  # other processes are at work on all of them
                break
        conclude(study, sweep.folder)


def opened(sweep: Sweep) -> Study:
    """A sweep's study, with all that waits to be run in it. The record is written once its database has been reached.

    Raises ConfigError where the folder or the database holds another sweep of that name.
    """
    record = sweep.record
    with planning(sweep.folder):
        again = goes_on(sweep.folder, record)
        study = open_study(record.url(sweep.folder), record.study, sweep.pruner, sampler_of(sweep.plan))
        if not again and record.storage is not None and study.get_trials(deepcopy=False):
            told = f"{record.storage} holds a study {record.study} already, begun elsewhere than in {sweep.folder}"
            raise ConfigError(f"{told}; name a new one with hydra.sweeper.study=NAME")
        if not again:
            begin(sweep.folder, record)
        if sweep.plan.sampler == GRID:
            lay_out(study, sweep.plan.space)
        if sweep.retry:
            retry_failed(study)
    log.info("sweep %s in %s%s", record.study, sweep.folder, f" goes on: {tally(study)}" if again else "")
    return study


def sampler_of(plan: Plan) -> BaseSampler:
    """A sampler to open a study with; each trial gets its own."""
    return make_sampler(plan.sampler, plan.seed, 0)


def work(sweep: Sweep, study: Study, claims: Sequence[Claim], launch: Launch) -> int:
    """Run the claimed trials and tell the study how they ended, also of those that ended before launching broke off.

    Returns how many ended.
    """
    jobs = {one.number: jobs_of(sweep, one) for one in claims}
    errors: dict[Path, str] = {}
    try:
        for batch in rounds(jobs, pruning=sweep.pruner.kind != "none"):
            due = [job for job in batch if load_outcome(job.folder) is None and not given_up(jobs[job.number], errors)]
            for job in due:
                trial_of(sweep, job, decides=job is jobs[job.number][0]).save(job.folder)
            failed = launch(due) if due else []
            errors |= {job.folder: error for job, error in zip(due, failed, strict=True) if error is not None}
    finally:
        ended = sum(settle(study, one, jobs[one.number], errors) for one in claims)
    return ended


def jobs_of(sweep: Sweep, one: Claim) -> list[Job]:
    """The runs of a trial: one, or one a seed."""
    overrides = sweep.plan.space.overrides(one.params)
    if not sweep.plan.space.seeds:
        return [Job(one.number, (*overrides, *places(one.folder)), one.folder)]
    folders = [(seed, one.folder / f"seed_{seed}") for seed in sweep.plan.space.seeds]
    return [Job(one.number, (*overrides, f"seed={seed}", *places(folder)), folder) for seed, folder in folders]


def places(folder: Path) -> tuple[str, str]:
    """The overrides that make Hydra run a job in this folder."""
    parent = QuotedString(str(folder.parent), Quote.single).with_quotes()
    return f"hydra.sweep.dir={parent}", f"hydra.sweep.subdir={folder.name}"


def rounds(jobs: Mapping[int, Sequence[Job]], pruning: bool) -> list[list[Job]]:
    """All runs at once; where a trial may be pruned, those of the first seed before the others, as they decide."""
    if not pruning:
        return [[job for runs in jobs.values() for job in runs]]
    return [[runs[0] for runs in jobs.values()], [job for runs in jobs.values() for job in runs[1:]]]


def given_up(jobs: Sequence[Job], errors: Mapping[Path, str]) -> bool:
    """Whether a run of a trial was pruned or failed, so that its other runs would be for nothing."""
    outcomes = [load_outcome(job.folder) for job in jobs]
    return any(job.folder in errors for job in jobs) or any(outcome and outcome.pruned for outcome in outcomes)


def trial_of(sweep: Sweep, job: Job, decides: bool) -> Trial:
    """What a run of a trial must know. decides: it may be pruned."""
    record = sweep.record
    pruner = sweep.pruner if decides else Pruner()
    return Trial(record.study, record.url(sweep.folder), job.number, record.objective, pruner)


def settle(study: Study, one: Claim, jobs: Sequence[Job], errors: Mapping[Path, str]) -> bool:
    """Tell the study how a trial ended; nothing is told of one that didn't. Returns whether it did."""
    outcomes = [load_outcome(job.folder) for job in jobs]
    ended = [outcome for outcome in outcomes if outcome is not None]
    failed = [errors[job.folder] for job in jobs if job.folder in errors]
    if failed:
        mark(study, one, **{ERROR: failed[0]})
        study.tell(one.number, state=TrialState.FAIL)
    elif any(outcome.pruned for outcome in ended):
        mark(study, one, **facts(ended))
        study.tell(one.number, state=TrialState.PRUNED)
    elif len(ended) == len(jobs):
        mark(study, one, **facts(ended))
        study.tell(one.number, fmean(outcome.value for outcome in ended))
    else:
        return False
    return True


def facts(ended: Sequence[Outcome]) -> dict[str, object]:
    """What is kept of a trial beside its value: the objective's name, and value and metrics of each run."""
    return {
        "objective": ended[0].objective,
        "values": [outcome.value for outcome in ended],
        "metrics": [outcome.metrics for outcome in ended],
        "epochs": [outcome.epoch for outcome in ended],
    }


def mark(study: Study, one: Claim, **attributes: object) -> None:
    """Write attributes of a trial that isn't over yet."""
    trial = study.get_trials(deepcopy=False)[one.number]
    for key, value in attributes.items():
        study._storage.set_trial_user_attr(trial._trial_id, key, value)


def tally(study: Study) -> str:
    """How many trials are in which state."""
    names = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "under way", "WAITING": "to do"}
    states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
    told = [f"{states.count(state)} {word}" for state, word in names.items() if state in states]
    return ", ".join(told) or "nothing done yet"


def conclude(study: Study, folder: Path) -> None:
    """Say where a sweep is ranked. Raises SomeInputsFailedError where trials have failed.

    No trial is called the best here: one seed may be, while its point is not.
    """
    trials = study.get_trials(deepcopy=False)
    if any(trial.state is TrialState.COMPLETE for trial in trials):
        log.info("next: radvit sweep show %s", name_of(folder, study.study_name))
    elsewhere = sum(trial.state is TrialState.RUNNING for trial in trials)
    if elsewhere:
        log.info("%s under way elsewhere; the same command takes in what comes of it", counted(elsewhere, "trial"))
    failed = open_failures(trials)
    if failed:
        named = "; ".join(f"trial {trial.number}: {trial.user_attrs.get(ERROR, 'unknown')}" for trial in failed)
        again = "hydra.sweeper.retry_failed=true runs them again"
        raise SomeInputsFailedError(f"{len(failed)} of {counted(len(trials), 'trial')} failed ({named}); {again}")
