"""Configuration to components: the only place below the entry points that reads a schema."""

from radvit.assemble.data import cohort, preprocess, scope, splits, voi
from radvit.assemble.external import INTERNAL, external_sets
from radvit.assemble.loggers import hyperparameters, logger
from radvit.assemble.measuring import hit_rule, tolerances
from radvit.assemble.models import backbone_spec, model, model_spec
from radvit.assemble.pretraining import autoencoder
from radvit.assemble.reading import burned_in, guard, limits, loader, options
from radvit.assemble.saliency import explainer
from radvit.assemble.sources import source
from radvit.assemble.training import augment, device, early_stop, loading, optim, recipe, sharded, trainer, windows

__all__ = [
    "INTERNAL",
    "augment",
    "autoencoder",
    "backbone_spec",
    "burned_in",
    "cohort",
    "device",
    "early_stop",
    "explainer",
    "external_sets",
    "guard",
    "hit_rule",
    "hyperparameters",
    "limits",
    "loader",
    "loading",
    "logger",
    "model",
    "model_spec",
    "optim",
    "options",
    "preprocess",
    "recipe",
    "scope",
    "sharded",
    "source",
    "splits",
    "tolerances",
    "trainer",
    "voi",
    "windows",
]
