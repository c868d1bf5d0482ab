"""The sweeper behind `python train.py -m`: grids and searches that go on after a kill; see radvit.sweep.

Hydra imports this module at every start, so that heavy libraries come in only with a sweep.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

if TYPE_CHECKING:
    from radvit.sweep.drive import Job
    from radvit.sweep.space import Space
    from radvit.trial import Pruner

GRID = "grid"
AT_ONCE = 4  # trials of a search handed to a launcher that doesn't say how many it runs


class RadvitSweeper(Sweeper):  # type: ignore[misc]  # Hydra has no types
    """Its arguments are described in conf/hydra/sweeper."""

    def __init__(
        self,
        study: str | None,
        storage: str | None,
        objective: str | None,
        sampler: str,
        seed: int,
        n_trials: int | None,
        pruner: str,
        startup_trials: int,
        min_epochs: int,
        reduction_factor: int,
        batch: int | None,
        retry_failed: bool,
    ) -> None:
        from radvit.config.ranges import INF, check_ranges
        from radvit.sweep.sampling import check_sampler

        counts = dict.fromkeys(("n_trials", "startup_trials", "min_epochs", "batch"), (1, INF))
        given = {key: value for key, value in locals().items() if key in {*counts, "seed", "reduction_factor"}}
        check_ranges("hydra.sweeper", given, **counts, seed=(0, INF), reduction_factor=(2, INF))
        check_sampler(sampler)
        self.study, self.storage, self.objective = study, storage, objective
        self.sampler, self.seed, self.n_trials = sampler, seed, n_trials
        self.pruner, self.startup_trials, self.min_epochs = pruner, startup_trials, min_epochs
        self.reduction_factor, self.batch, self.retry_failed = reduction_factor, batch, retry_failed
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Give the sweep its name, from which the launcher's folders follow."""
        from radvit.sweep.record import check_name, stable_name

        self.hydra_context, self.config = hydra_context, config
        if self.study is None:
            settings = (self.sampler, str(self.seed), str(self.objective), self.pruner)
            self.study = stable_name(str(config.name), self._space(list(config.hydra.overrides.task)), settings)
        check_name(self.study)
        with read_write(config), open_dict(config):
            config.hydra.sweeper.study = self.study
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing. Raises HydraException where the arguments don't compose."""
        from radvit.sweep.claims import Plan
        from radvit.sweep.drive import Sweep, drive
        from radvit.sweep.record import SweepRecord

        config, space = self.config, self._space(arguments)
        if config is None or self.study is None:
            raise RuntimeError("setup() comes before sweep()")
        self.validate_batch_is_legal([space.overrides(space.corner())])
        longest = None if "trainer.max_epochs" in space.axes else config.get("trainer", {}).get("max_epochs")
        plan = Plan(space, self.sampler, self.seed, self.n_trials)
        record = SweepRecord(self.study, self.storage, self.sampler, self.objective, space.to_list(), arguments)
        folder = Path(str(config.hydra.sweep.dir)).resolve()
        batch = self.batch or at_once(config.hydra.launcher, space, self.sampler == GRID)
        drive(Sweep(folder, record, plan, self._pruner(longest), batch, self.retry_failed), self._launch)

    def _space(self, arguments: list[str]) -> Space:
        from radvit.sweep.space import read_space

        if self.hydra_context is None:
            raise RuntimeError("setup() comes before sweep()")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return read_space(parser.parse_overrides(arguments), self.sampler == GRID)

    def _pruner(self, max_epochs: int | None) -> Pruner:
        from radvit.study import make_pruner
        from radvit.trial import Pruner

        spec = Pruner(self.pruner, self.startup_trials, self.min_epochs, self.reduction_factor, max_epochs)
        make_pruner(spec)  # raises where it can't be made
        return spec

    def _launch(self, jobs: Sequence[Job]) -> list[str | None]:
        """Compose and launch jobs; one that doesn't compose costs itself alone."""
        errors = {job: self._refusal(job) for job in jobs}
        legal = [job for job in jobs if errors[job] is None]
        if legal:
            number = legal[0].number if len(legal) == 1 else 0  # what Hydra's log line says
            done = self._launched([list(job.overrides) for job in legal], number)
            errors |= dict(zip(legal, map(failure, done), strict=True))
        return [errors[job] for job in jobs]

    def _launched(self, overrides: list[list[str]], number: int) -> Sequence[JobReturn]:
        """Raises RadvitError where the launcher itself broke off: a killed worker, a queue that takes no job."""
        from radvit.entry import one_line
        from radvit.errors import RadvitError

        if self.launcher is None:
            raise RuntimeError("setup() comes before sweep()")
        try:
            done: Sequence[JobReturn] = self.launcher.launch(overrides, initial_job_idx=number)
        except RuntimeError as error:
            raise RadvitError(f"hydra/launcher: {one_line(error)}; the sweep can go on") from error
        return done

    def _refusal(self, job: Job) -> str | None:
        from radvit.entry import one_line

        try:
            self.validate_batch_is_legal([list(job.overrides)])
        except HydraException as error:
            return one_line(error)
        return None


def at_once(launcher: DictConfig, space: Space, grid: bool) -> int:
    """How many trials a launcher is given at a time: all of a grid, as many of a search as it runs side by side."""
    if launcher._target_.endswith("BasicLauncher"):
        return 1
    if grid:
        return sum(1 for _ in space.points())
    jobs = int(launcher.get("n_jobs", AT_ONCE))  # joblib's, of which -1 stands for every core
    return jobs if jobs > 0 else os.cpu_count() or 1


def failure(done: JobReturn) -> str | None:
    """How a job failed, in a line; None where it didn't, or found that another process is at its run.

    Raises StoppedError where a signal ended it: it can go on.
    """
    from radvit.entry import one_line
    from radvit.errors import BusyError, StoppedError

    if isinstance(done._return_value, StoppedError):
        raise done._return_value
    if isinstance(done._return_value, BusyError):
        return None
    return one_line(done._return_value) if done.status is JobStatus.FAILED else None
