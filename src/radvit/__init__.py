"""radvit: fine-tune Vision Transformers on de-identified radiographs, measure, quantize, and report."""

from importlib.metadata import version

__version__ = version("radvit")
