"""Runs as Slurm jobs: one that is preempted or out of time saves and is queued again; a lost one costs itself alone.

An underscore keeps Hydra from importing this module where submitit is not installed.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import OmegaConf
from submitit import AutoExecutor, Job, JobEnvironment
from submitit.core.utils import FailedJobError, UncompletedJobError

from radvit.errors import RadvitError, StoppedError

log = logging.getLogger(__name__)

OF_EXECUTOR = "max_num_timeout"
LOST = 1  # exit code of a sweep that lost a job and can go on


class SlurmJobs(SlurmLauncher):  # type: ignore[misc]  # Hydra has no types
    """submitit's launcher, but for what becomes of jobs that end before their run does."""

    def __call__(self, *arguments: Any) -> JobReturn:
        """Do a job's run, in the job. One that a signal stopped has saved by now, and is queued again."""
        done = super().__call__(*arguments)
        if isinstance(done._return_value, StoppedError):
            queue_again()
        return done

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Submit jobs, and wait for all of them, however each ends."""
        if self.config is None:
            raise RuntimeError("setup() comes before launch()")
        executor = AutoExecutor(
            self.params["submitit_folder"], cluster=self._EXECUTOR, slurm_max_num_timeout=self.params[OF_EXECUTOR]
        )
        executor.update_parameters(**self._named())
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        numbered = list(enumerate(job_overrides, initial_job_idx))
        state = Singleton.get_state()
        given = [(list(job), "hydra.sweep.dir", number, f"job_id_for_{number}", state) for number, job in numbered]
        jobs = executor.map_array(self, *zip(*given, strict=True))
        for (_, overrides), job in zip(numbered, jobs, strict=True):
            log.info("Slurm job %s: %s", job.job_id, " ".join(filter_overrides(overrides)))
        return [ended(job) for job in jobs]

    def _named(self) -> dict[str, Any]:
        """What a job asks for, by submitit's names: those that only Slurm knows begin with its name."""
        common = set(OmegaConf.structured(BaseQueueConf).keys())
        asked = {key: value for key, value in self.params.items() if key not in (OF_EXECUTOR, "submitit_folder")}
        return {key if key in common else f"{self._EXECUTOR}_{key}": value for key, value in asked.items()}


def queue_again() -> None:
    """Have this job queued again and leave, unless it was cancelled, or Slurm queues it anyway: then only leave.

    Returns where Slurm refuses, so that the sweep hears of it. submitit's own handler of its signal does the queueing.
    """
    job = JobEnvironment()
    if job.global_rank == 0 and state_of(job.job_id) == "RUNNING":
        try:
            signal.raise_signal(job._usr_sig())
        except subprocess.CalledProcessError as error:
            log.warning("can't be queued again: %s", error)
            return
    sys.exit(os.EX_TEMPFAIL)


def state_of(job_id: str) -> str:
    """The state of a job in Slurm's queue, in a word; empty where that can't be known."""
    asked = ["squeue", "--noheader", f"--jobs={job_id}", "--format=%T"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def ended(job: Job[JobReturn]) -> JobReturn:
    """What came of a job. One that ended without a word counts as stopped: it can go on from its checkpoint."""
    try:
        return job.results()[0]
    except FailedJobError:
        return broken(RadvitError(f"Slurm job {job.job_id} failed outside of its run; its log: {job.paths.stderr}"))
    except UncompletedJobError:
        word = job.state.split()[0]  # as in `CANCELLED by 1000`
        where = f"Slurm job {job.job_id} ended before its run did ({word}); its log: {job.paths.stderr}"
        return broken(StoppedError(f"{where}; the same command goes on", LOST))


def broken(error: RadvitError) -> JobReturn:
    """What Hydra calls a job that failed."""
    return JobReturn(status=JobStatus.FAILED, _return_value=error)
