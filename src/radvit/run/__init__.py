"""train(), evaluate(), compare() and infer(): the one place that shows each flow whole."""

from radvit.run.comparison import compare
from radvit.run.evaluation import Measured, evaluate
from radvit.run.folder import saved_config
from radvit.run.inference import infer
from radvit.run.task import train
from radvit.run.trial import attempt

__all__ = ["Measured", "attempt", "compare", "evaluate", "infer", "saved_config", "train"]
