"""Cross-validation: folds that are disjoint, cover the cohort and keep each patient whole."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from radvit.data.samples import Sample
from radvit.data.splits.by_patient import carve, images_of_patients, labels_of_patients
from radvit.data.splits.record import Splits, uids
from radvit.errors import DataError


def split_fold(samples: Sequence[Sample], folds: int, fold: int, val: float = 0.125, seed: int = 0) -> Splits:
    """One fold of several as the test split, and of the other folds a part as val and the rest as train.

    fold: from 0. val: share of the other folds' patients. Folds keep the shares of each combination of labels; those
    that fewer patients have than there are folds count as one. Raises DataError where there are too few patients.
    """
    if not 0 <= fold < folds or folds < 2:
        raise DataError(f"fold {fold} of {folds}; expected at least 2 folds, the first of them 0")
    patients = images_of_patients(samples, range(len(samples)))
    if len(patients) < folds:
        raise DataError(f"{len(patients)} patients are too few for {folds} folds")
    owner = np.zeros(len(samples), np.int64)
    for number, images in enumerate(patients):
        owner[images] = number
    kind = np.array(_combinations(samples, patients, folds))[owner]
    if np.bincount(kind).max() < folds:  # nothing is frequent enough to be spread
        kind = np.zeros_like(kind)
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # what remains rare is spread as far as it goes
        test = list(cutter.split(owner, kind, owner))[fold][1]
    if not len(test):
        raise DataError(f"fold {fold} of {folds} is empty: {len(patients)} patients are too few")
    rest = sorted(set(range(len(samples))) - set(test.tolist()))
    train, tuned = carve(samples, rest, val, seed)
    return Splits(tuple(train), tuple(tuned), tuple(sorted(test.tolist())), uids(samples))


def _combinations(samples: Sequence[Sample], patients: Sequence[Sequence[int]], folds: int) -> list[int]:
    """A number for each patient's combination of labels: 0 for none, 1 for any that is too rare to be spread."""
    found = [tuple(row.tolist()) for row in labels_of_patients(samples, patients)]
    counts = Counter(found)
    common = [combination for combination in sorted(counts) if any(combination) and counts[combination] >= folds]
    number = {combination: place for place, combination in enumerate(common, 2)}
    return [number.get(combination, 1) if any(combination) else 0 for combination in found]
