"""Configuration to components: the only place below the entry points that reads a schema."""

from radvit.assemble.data import cohort, preprocess, scope, source, splits, voi
from radvit.assemble.loggers import hyperparameters
from radvit.assemble.models import model, model_spec
from radvit.assemble.reading import burned_in, guard, limits, loader, options
from radvit.assemble.training import augment, optim, trainer

__all__ = [
    "augment",
    "burned_in",
    "cohort",
    "guard",
    "hyperparameters",
    "limits",
    "loader",
    "model",
    "model_spec",
    "optim",
    "options",
    "preprocess",
    "scope",
    "source",
    "splits",
    "trainer",
    "voi",
]
