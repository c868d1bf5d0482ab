"""train(), evaluate(), external(), compare() and infer(): the one place that shows each flow whole."""

from radvit.run.comparison import compare
from radvit.run.evaluation import Measured, evaluate
from radvit.run.external import external
from radvit.run.folder import saved_config
from radvit.run.inference import infer
from radvit.run.task import train
from radvit.run.trial import attempt

__all__ = ["Measured", "attempt", "compare", "evaluate", "external", "infer", "saved_config", "train"]
