"""train(), evaluate() and infer(): the one place that shows each flow whole."""

from radvit.run.evaluation import Measured, evaluate
from radvit.run.folder import saved_config
from radvit.run.inference import infer
from radvit.run.task import train

__all__ = ["Measured", "evaluate", "infer", "saved_config", "train"]
