"""Holding out a site: every image of some makers, views or the like is measured on, and none is learned from."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from radvit.data.samples import Sample
from radvit.data.splits.by_patient import carve
from radvit.data.splits.record import Splits, uids
from radvit.errors import DataError
from radvit.plural import counted

logger = logging.getLogger(__name__)

COLUMNS = ("manufacturer", "view", "modality", "body_part", "sex")


def split_by_site(
    samples: Sequence[Sample], column: str, hold_out: Sequence[str], val: float = 0.125, seed: int = 0
) -> Splits:
    """All images with one of the named values as the test split; of the other patients a part as val, the rest train.

    column: one of COLUMNS. hold_out: values, in whatever case. val: share of the other patients. Other images of a
    patient who is held out, and images that don't name their value, stand in no split. Raises DataError where a value
    doesn't occur or nobody is left to learn from.
    """
    values = [_value(sample, column) for sample in samples]
    wanted = {value.strip().casefold() for value in hold_out}
    known = Counter(value for value in values if value)
    unknown = sorted(wanted - set(known))
    if unknown or not wanted:
        found = ", ".join(f"{value} ({count})" for value, count in known.most_common()) or "none"
        asked = ", ".join(unknown) or "nothing"
        raise DataError(f"data.split.hold_out names {asked}; expected values of {column} that occur: {found}")
    test = [index for index, value in enumerate(values) if value in wanted]
    held = {samples[i].header.patient for i in test}
    others = [i for i, value in enumerate(values) if value not in wanted]
    rest = [i for i in others if values[i] and samples[i].header.patient not in held]
    if len(rest) < len(others):
        logger.warning(
            "%s in no split: no %s, or of a patient who is held out", counted(len(others) - len(rest), "image"), column
        )
    train, tuned = carve(samples, rest, val, seed)
    return Splits(tuple(train), tuple(tuned), tuple(test), uids(samples))


def _value(sample: Sample, column: str) -> str:
    header = sample.header
    values = {
        "manufacturer": header.manufacturer,
        "view": header.view,
        "modality": header.modality,
        "body_part": header.body_part,
        "sex": header.sex,
    }
    if column not in values:
        raise DataError(f"data.split.column={column}; expected one of {', '.join(COLUMNS)}")
    return (values[column] or "").strip().casefold()
