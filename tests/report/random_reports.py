"""Reports of all kinds, drawn from a seed."""

from dataclasses import replace

import numpy as np

from radvit.records import Basis, Finding, Location, SpacingPlane
from radvit.report.verdicts import Change, Comparison, Criteria, Prior, Size, Status, Verdict

from .conftest import report

LABELS = ("nodule", "mass", "pleural effusion", "Pleural_Thickening", "something else", "opacity")
SIDES, ZONES = (None, "left", "right"), (None, "upper", "middle", "lower")


def drawn(seed):
    """One report: up to four images, each with up to three findings; two of three compared with an earlier study."""
    rng = np.random.default_rng(seed)
    groups = [[_finding(rng, image) for _ in range(rng.integers(0, 4))] for image in range(rng.integers(1, 5))]
    refused = ("a.dcm: not read",) * int(rng.integers(0, 2))
    known = {"sex": _one(rng, None, "M", "F", "O"), "age": _one(rng, None, "004M", "051Y", "odd")}
    made = report(*groups, labels=LABELS, refused=refused, **known)
    return made if seed % 3 == 0 else replace(made, comparison=_comparison(np.random.default_rng((seed, 1)), made))


def _comparison(rng, made):
    """A comparison that any study could have: it speaks of some of the findings, and of some that are gone."""
    others = {"same_day": int(rng.integers(0, 3)), "undated": int(rng.integers(0, 3))}
    if rng.random() < 0.2:
        return Comparison(_one(rng, *(one for one in Status if one is not Status.COMPARED)), **others)
    criteria = _one(rng, Criteria(), Criteria(2.5, 15.0))
    changes = [_kept(rng, item, criteria) for item in made.findings if rng.random() < 0.8]
    lost = (Verdict.GONE, Verdict.UNSHOWN, Verdict.UNCLEAR)
    for number in range(1, 1 + int(rng.integers(0, 4))):
        entry = _finding(rng, 0)
        verdict = _one(rng, *lost)
        changes.append(Change(verdict, entry.type, None, number, entry.location, _shown(rng, verdict)))
    days = int(_one(rng, 1, 365, rng.integers(2, 4000)))
    prior = Prior(f"2.25.{rng.integers(20, 10**9)}", "2019-02-03", days)
    return Comparison(Status.COMPARED, prior, criteria, tuple(changes), **others)


def _kept(rng, item, criteria):
    """What became of a finding of this study."""
    finding = item.finding
    if rng.random() < 0.6:
        now = finding.size_mm or float(rng.uniform(2, 60))
        before = float(_one(rng, now, now + 0.04, now * rng.uniform(0.3, 3)))
        size = Size(before, now, _one(rng, SpacingPlane.PATIENT, SpacingPlane.DETECTOR))
        number = int(rng.integers(1, 9))
        return Change(criteria.verdict(size), finding.type, item.number, number, finding.location, size=size)
    verdict = _one(rng, Verdict.NEW, Verdict.SEEN, Verdict.UNSHOWN, Verdict.UNCLEAR)
    prior = 1 if verdict is Verdict.SEEN else None
    return Change(verdict, finding.type, item.number, prior, finding.location, _shown(rng, verdict))


def _shown(rng, verdict):
    return {Verdict.UNSHOWN: False, Verdict.NEW: _one(rng, None, True), Verdict.GONE: _one(rng, None, True)}.get(
        verdict
    )


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
