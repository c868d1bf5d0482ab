"""Reports of all kinds, drawn from a seed."""

import numpy as np

from radvit.records import Basis, Finding, Location, SpacingPlane

from .conftest import report

LABELS = ("nodule", "mass", "pleural effusion", "Pleural_Thickening", "something else", "opacity")
SIDES, ZONES = (None, "left", "right"), (None, "upper", "middle", "lower")


def drawn(seed):
    """One report: up to four images, each with up to three findings."""
    rng = np.random.default_rng(seed)
    groups = [[_finding(rng, image) for _ in range(rng.integers(0, 4))] for image in range(rng.integers(1, 5))]
    refused = ("a.dcm: not read",) * int(rng.integers(0, 2))
    known = {"sex": _one(rng, None, "M", "F", "O"), "age": _one(rng, None, "004M", "051Y", "odd")}
    return report(*groups, labels=LABELS, refused=refused, **known)


def _finding(rng, image):
    score = float(_one(rng, 0.3, 0.5, 0.8, 0.505, rng.uniform(0.3, 1)))
    name = f"2.25.{12 + image}"
    label = _one(rng, *LABELS)
    if rng.random() < 0.2:
        return Finding(label, score, name, basis=Basis.IMAGE)
    corner, side = rng.uniform(0, 500, 2), rng.uniform(1, 90, 2)
    box = tuple(np.concatenate([corner, corner + side]).astype(float).tolist())
    size = _one(rng, None, 9.949, 9.96, 0.31, rng.uniform(2, 60))
    plane = _one(rng, *SpacingPlane) if size else SpacingPlane.UNKNOWN
    place = Location(_one(rng, *SIDES), _one(rng, *ZONES), _one(rng, None, "central", "peripheral", "outside"))
    if place.zone or place.side:
        basis = "image" if place.depth is None and place.zone else "lungs"
        place = Location(place.side, place.zone, place.depth, basis)
    else:
        place = Location()
    contrast = _one(rng, None, float(rng.normal()))
    basis = _one(rng, Basis.BOX, Basis.BOX, Basis.ATTENTION)
    return Finding(label, score, name, box, size, plane, place, contrast, basis)


def _one(rng, *choices):
    return choices[rng.integers(len(choices))]
