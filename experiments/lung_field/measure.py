"""Measure the estimate of the lung field on a phantom: python measure.py COHORT RESULTS.json [PICTURES]."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

from radvit.data.loader import Loader
from radvit.data.phantom.lungs import true_lungs
from radvit.data.phantom.spec import CohortSpec
from radvit.deid.pseudonym import Pseudonymizer
from radvit.inference.decoding import shown
from radvit.inference.location import locate, lungs_of
from radvit.inference.lung_field import LungField

PLACES = 25  # random places an image, within the lungs' bounds and a tenth around, beside its nodules
PICTURE_PX = 1024
WORDS = ("side", "zone", "depth")


def dice(one, other):
    """Twice the overlap of two masks over the sum of their areas."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def places(rng, truth, geometry):
    """Random boxes of no extent, in pixels of the stored image."""
    rows, columns = np.nonzero(truth)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
    scale = np.array([geometry.columns / truth.shape[1], geometry.rows / truth.shape[0]])
    points = rng.uniform(low - 0.1 * (high - low), high + 0.1 * (high - low), (PLACES, 2)) * scale
    return [(x, y, x, y) for x, y in points.tolist()]


def images(folder):
    """Each image with its true lungs and the boxes of its nodules."""
    spec = json.loads((folder / "cohort.json").read_text())["spec"]
    spec = CohortSpec(**{key: tuple(v) if isinstance(v, list) else v for key, v in spec.items()})
    truth = json.loads((folder / "truth.json").read_text())
    numbers = {image["file_name"]: image["id"] for image in truth["images"]}
    loader = Loader(Pseudonymizer(bytes(32)))
    for patient in range(spec.patients):
        for lungs in true_lungs(spec, patient, PICTURE_PX):
            (image,) = loader.load(folder / lungs.file_name)
            found = [a["bbox"] for a in truth["annotations"] if a["image_id"] == numbers[lungs.file_name]]
            yield image, lungs, [(x, y, x + w, y + h) for x, y, w, h in found]


def agreement(pairs):
    """Share of places whose word is the same, for each word; thirds of the image stand in for lungs not found."""
    words = [word for word in WORDS if any(getattr(found, word) for found, _ in pairs)]
    return {word: round(fmean(getattr(a, word) == getattr(b, word) for a, b in pairs), 4) for word in words}


def main(folder, results, pictures=None):
    """Go through a cohort and write the numbers."""
    scores, missed, pairs = [], 0, defaultdict(list)
    for number, (image, lungs, nodules) in enumerate(images(Path(folder))):
        header, geometry, truth = image.header, image.geometry, lungs.right | lungs.left
        picture = shown(image.pixels)
        found, right = lungs_of(picture, header), LungField.of_masks(lungs.right, lungs.left)
        for key, boxes in (("nodules", nodules), ("places", places(np.random.default_rng(number), truth, geometry))):
            for box in boxes:
                true = locate(box, header, geometry, right)
                pairs[key].append((locate(box, header, geometry, found), true))
                pairs[f"{key}, thirds of the image"].append((locate(box, header, geometry), true))
        if found is None:
            missed += 1
            continue
        mask = cv2.resize(found.mask.astype(np.uint8), truth.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        scores.append(dice(mask, truth))
        if pictures:
            outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            canvas = cv2.drawContours(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), outlines, -1, (0, 255, 255), 3)
            Path(pictures).mkdir(exist_ok=True)
            cv2.imwrite(f"{pictures}/{number:03}-{scores[-1]:.3f}.png", canvas)
    written = {
        "images": len(scores) + missed,
        "not_found": missed,
        "dice": {
            "mean": round(fmean(scores), 4),
            "p5": round(float(np.quantile(scores, 0.05)), 4),
            "min": round(min(scores), 4),
        },
        "agreement": {key: {"n": len(pair), **agreement(pair)} for key, pair in pairs.items()},
    }
    Path(results).write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
