"""Which precision a saved model runs in."""

from __future__ import annotations

import logging

from radvit.bundle import Bundle
from radvit.config import PrecisionConfig, PrecisionName
from radvit.inference.precision import State, check_released, fastest, read_quantization

log = logging.getLogger(__name__)


def released(bundle: Bundle, config: PrecisionConfig) -> str:
    """The precision to read studies with. Raises ConfigError where it was not released for this model."""
    if config.name is PrecisionName.auto:
        return settled(bundle, config.name)
    name = str(config.name.value)
    check_released(bundle, name, config.allow_rejected)
    known = read_quantization(bundle)
    if known.state(name) is State.REJECTED:
        log.warning("precision=%s was rejected for this model and is used all the same: %s", name, known.why[name])
    if name == "int8" and not known.exact_here:
        log.warning(
            "precision=int8 was judged where products of bytes are added up in 32 bits; this processor may overflow: "
            "scores may differ from those that were judged; quantize anew on this machine"
        )
    return name


def settled(bundle: Bundle, name: PrecisionName) -> str:
    """A precision by its name; `auto` is the fastest of those released on this machine."""
    if name is not PrecisionName.auto:
        return str(name.value)
    chosen = fastest(bundle)
    log.info("precision=auto: %s", chosen)
    return chosen
