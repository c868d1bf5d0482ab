"""Where a classifier looked, in evaluate(): whether its boxes can be measured, and whether its maps mean anything."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from radvit import terminal
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.evaluation.predict import model_input
from radvit.evaluation.sanity import Sanity, check
from radvit.inference.saliency import Explainer
from radvit.models.vit import RadiographViT
from radvit.records import FloatArray

log = logging.getLogger(__name__)


def measurable(explain: Explainer, cohort: Cohort, indices: Sequence[int]) -> Explainer | None:
    """The same where some images have true boxes; else None, and a warning."""
    if any(cohort.samples[i].lesions for i in indices):
        return explain
    log.warning("the split has no true boxes: there is nothing to measure a classifier's boxes by")
    return None


def sanity_of(explain: Explainer, cohort: Cohort, chosen: Sequence[int], preprocess: Preprocess, seed: int) -> Sanity:
    """Whether maps of where a classifier looked depend on its weights, on some images."""
    shown = cohort.pixels[np.asarray(chosen)].astype(np.float32)

    def map_of(model: RadiographViT, image: FloatArray, label: int) -> FloatArray:
        return np.asarray(Explainer(model, explain.spec).patches(image, [label])[0].numpy())

    with terminal.bar("randomising weights", "maps") as advance:
        images = model_input(cohort, chosen, preprocess)
        return check(explain.model, map_of, explain.spec.method.value, images, shown, seed, advance)


def spread_over(indices: Sequence[int], n: int) -> list[int]:
    """At most n of some images, evenly spread."""
    places = np.unique(np.linspace(0, len(indices) - 1, n).round().astype(int))
    return [indices[place] for place in places]
