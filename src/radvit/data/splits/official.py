"""The splits that a data set was published with."""

from __future__ import annotations

from radvit.data.samples import Cohort
from radvit.data.splits.by_patient import carve
from radvit.data.splits.record import NAMES, Splits, uids
from radvit.errors import DataError


def official_splits(cohort: Cohort, val: float = 0.1, seed: int = 0) -> Splits:
    """The source's own splits. Raises DataError where it has none.

    val: the share of the training patients that becomes the val split where the source has none of its own.
    """
    if cohort.official is None:
        raise DataError("the data set has no official splits; expected data.split.official=false")
    train, tuned, test = (tuple(cohort.official.get(name, ())) for name in NAMES)
    if train and not tuned:
        rest, carved = carve(cohort.samples, train, val, seed)
        train, tuned = tuple(rest), tuple(carved)
    return Splits(train, tuned, test, uids(cohort.samples))
