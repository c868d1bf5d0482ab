"""infer(), with what its worker processes import begun before all else."""

from __future__ import annotations

from radvit.config import InferConfig
from radvit.processes import begin_preload

WORKERS_NEED = ("radvit.pool", "radvit.inference.decoding", "radvit.report.write")


def infer(config: InferConfig) -> None:
    """Read every study under a folder into a report. Raises SomeInputsFailedError where some could not be read."""
    begin_preload(WORKERS_NEED)
    from radvit.run.inference import infer  # loads the same and more, beside it

    infer(config)
