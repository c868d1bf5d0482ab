"""Configuration to components: the only place below the entry points that reads a schema."""

from radvit.assemble.data import cohort, preprocess, scope, source, splits, voi
from radvit.assemble.models import backbone_spec, model, model_spec
from radvit.assemble.pretraining import autoencoder
from radvit.assemble.reading import burned_in, guard, limits, loader, options
from radvit.assemble.training import augment, optim, trainer

__all__ = [
    "augment",
    "autoencoder",
    "backbone_spec",
    "burned_in",
    "cohort",
    "guard",
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
