"""train(): the flow of the task that a configuration asks for."""

from __future__ import annotations

from pathlib import Path

from radvit.bundle import Bundle
from radvit.config import TaskName, TrainConfig
from radvit.run import pretraining, training
from radvit.run.folder import begun


def train(config: TrainConfig) -> Bundle | Path:
    """Train a model and give its bundle, or pretrain a backbone and give the folder of its encoder."""
    asked = begun(config)
    return pretraining.pretrain(asked) if asked.model.task is TaskName.mae else training.train(asked)
