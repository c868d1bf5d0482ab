"""The launcher behind `hydra/launcher=slurm`.

Hydra imports this module at every start, also where submitit is not installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class RadvitSlurmLauncher(Launcher):  # type: ignore[misc]  # Hydra has no types
    """Its arguments are those of submitit's launcher; see conf/hydra/launcher/slurm.yaml."""

    def __init__(self, **params: Any) -> None:
        from ._jobs import SlurmJobs

        self.jobs = SlurmJobs(**params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what the jobs need."""
        self.jobs.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run each as a Slurm job, and wait for all of them."""
        return self.jobs.launch(job_overrides, initial_job_idx)
