"""Dividing a cohort at random, whole patients at a time.

Patients count in the order of their first image and never by their pseudonym, so that a split, and every number that
follows from it, does not depend on the pseudonyms' key.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from radvit.data.samples import Sample
from radvit.data.splits.record import NAMES, Splits, check_disjoint, uids
from radvit.errors import DataError
from radvit.plural import counted

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Fractions = tuple[float, float, float]


def split_by_patient(samples: Sequence[Sample], fractions: Fractions = (0.7, 0.1, 0.2), seed: int = 0) -> Splits:
    """Divide patients at random, those with any positive image apart from those without.

    fractions: of the patients, for train, val and test; they add up to 1. Raises DataError where a split would be
    empty.
    """
    patients = images_of_patients(samples, range(len(samples)))
    positive = np.array([any(samples[i].positive for i in images) for images in patients], bool)
    _check_fractions(fractions)
    return _divided(samples, patients, _assign(positive, fractions, np.random.default_rng(seed)), fractions)


def split_stratified(samples: Sequence[Sample], fractions: Fractions = (0.7, 0.1, 0.2), seed: int = 0) -> Splits:
    """Divide patients at random so that each label, and each pair of labels, comes in the same share everywhere.

    As `split_by_patient`, for several labels: see `stratify`.
    """
    _check_fractions(fractions)
    patients = images_of_patients(samples, range(len(samples)))
    part = stratify(labels_of_patients(samples, patients), fractions, np.random.default_rng(seed))
    return _divided(samples, patients, part, fractions)


def carve(samples: Sequence[Sample], indices: Sequence[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Part some images, by patient and stratified, into what is left of them and a val split.

    share: of the patients, for val, from 0 to 1. Raises DataError where either would be empty that was asked for.
    """
    patients = images_of_patients(samples, indices)
    part = stratify(labels_of_patients(samples, patients), (1 - share, share), np.random.default_rng(seed))
    rest, val = (_images(patients, part == side) for side in (0, 1))
    if (share < 1 and not rest) or (share > 0 and not val):
        raise DataError(f"{counted(len(patients), 'patient')} left to learn from; too few for a train and a val split")
    return rest, val


def images_of_patients(samples: Sequence[Sample], indices: Sequence[int]) -> list[list[int]]:
    """The images of each patient, patients in the order of their first image."""
    images_of: dict[str, list[int]] = {}
    for index in indices:
        images_of.setdefault(samples[index].header.patient, []).append(index)
    return list(images_of.values())


def labels_of_patients(samples: Sequence[Sample], patients: Sequence[Sequence[int]]) -> Bools:
    """Which of K labels a patient has on any image, (P, K); what is unknown counts as absent."""
    found = [[any(samples[i].targets[k] > 0 for i in images) for k in range(_width(samples))] for images in patients]
    return np.array(found, bool).reshape(len(patients), _width(samples))


def stratify(labels: Bools, shares: Sequence[float], rng: np.random.Generator) -> Ints:
    """Which part each patient goes to, (P,), so that each label and pair of labels keeps its share in each part.

    labels: (P, K). shares: of the patients, adding up to 1. The rarest label or pair among those not yet placed comes
    first, and each of its patients goes to the part that lacks it most. Source: Sechidis et al., ECML PKDD 2011, with
    the pairs of Szymanski and Kajdanowicz, PMLR 74, 2017.
    """
    pairs = [labels[:, a] & labels[:, b] for a, b in combinations(range(labels.shape[1]), 2)]
    columns = np.column_stack([labels, *pairs]) if pairs else labels  # (P, K + pairs)
    share = np.asarray(shares, np.float64)
    wanted = share[:, None] * columns.sum(0)  # (parts, columns): how many of each are still to come
    places = share * len(labels)
    part = np.full(len(labels), -1, np.int64)
    order = rng.permutation(len(labels))
    left = columns[order].astype(np.int64).sum(0)
    while (left > 0).any():
        rarest = int(np.where(left > 0, left, len(labels) + 1).argmin())
        for patient in order[(part[order] < 0) & columns[order, rarest]]:
            part[patient] = _neediest(wanted[:, rarest], places, share)
            wanted[part[patient]] -= columns[patient]
            places[part[patient]] -= 1
            left -= columns[patient]
    for patient in order[part[order] < 0]:
        part[patient] = _neediest(places, places, share)
        places[part[patient]] -= 1
    return part


def _neediest(wanted: npt.NDArray[np.float64], places: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> int:
    """The part that lacks most, and of several the one with the most places left."""
    lacking = np.where(share > 0, wanted, -np.inf)
    most = np.isclose(lacking, lacking.max())
    return int(np.where(most, places, -np.inf).argmax())


def _width(samples: Sequence[Sample]) -> int:
    return len(samples[0].targets) if samples else 0


def _images(patients: Sequence[Sequence[int]], chosen: Bools) -> list[int]:
    return sorted(i for patient in np.flatnonzero(chosen).tolist() for i in patients[patient])


def _divided(samples: Sequence[Sample], patients: Sequence[Sequence[int]], part: Ints, wanted: Fractions) -> Splits:
    chosen = [tuple(_images(patients, part == s)) for s in range(3)]
    empty = [name for name, images, want in zip(NAMES, chosen, wanted, strict=True) if want > 0 and not images]
    if empty:
        raise DataError(f"{len(patients)} patients are too few for a {' and a '.join(empty)} split of {wanted}")
    splits = Splits(chosen[0], chosen[1], chosen[2], uids(samples))
    check_disjoint(samples, splits)
    return splits


def _check_fractions(fractions: Fractions) -> None:
    if min(fractions) < 0 or not np.isclose(sum(fractions), 1):
        raise DataError(f"split fractions {fractions}; expected three numbers of at least 0 that add up to 1")


def _assign(positive: Bools, fractions: Fractions, rng: np.random.Generator) -> Ints:
    """Split number, 0 to 2, of every patient. positive: (P,).

    Both strata are shuffled and laid one after another; every patient then goes to the split that is furthest behind
    its share, so that sizes are off by less than one patient overall and each stratum is spread evenly.
    """
    order = np.concatenate([rng.permutation(np.flatnonzero(positive)), rng.permutation(np.flatnonzero(~positive))])
    share = np.array(fractions)
    part, filled = np.zeros(len(positive), np.int64), np.zeros(3)
    for done, patient in enumerate(order, start=1):
        behind = np.where(share > 0, share * done - filled, -np.inf)
        part[patient] = behind.argmax()
        filled[part[patient]] += 1
    return part
