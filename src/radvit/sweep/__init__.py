"""Sweeps over configurations that survive a kill: a study on disk, a folder a trial, nothing run twice."""

from pathlib import Path

ROOT = Path("outputs/sweep")  # where conf/train.yaml puts sweeps
