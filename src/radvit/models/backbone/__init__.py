"""Vision Transformers of timm and of transformers behind one protocol: any input size, any number of channels."""

from radvit.models.backbone.backbone import Backbone, count_parameters
from radvit.models.backbone.layers import UNDECAYED, layer_of
from radvit.models.backbone.loading import Loaded, Weights, load
from radvit.models.backbone.spec import BackboneSpec, Features, Normalisation, Vit

__all__ = [
    "UNDECAYED",
    "Backbone",
    "BackboneSpec",
    "Features",
    "Loaded",
    "Normalisation",
    "Vit",
    "Weights",
    "count_parameters",
    "layer_of",
    "load",
]
