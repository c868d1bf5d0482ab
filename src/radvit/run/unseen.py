"""Whether what is measured was trained on: a test split that was is refused, and whatever was is marked as such."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from radvit.assemble.weights import own_folder
from radvit.bundle import Bundle, file_hash
from radvit.config import EvaluateConfig, SourceKind, SplitName
from radvit.data.checks.duplicates import look_alikes
from radvit.data.checks.leaks import LeakKind, find_leaks
from radvit.data.samples import Cohort
from radvit.data.seen import (
    PARTS,
    Known,
    Overlap,
    load_training_images,
    overlaps,
    save_training_images,
    training_images,
    united,
)
from radvit.data.splits import Splits
from radvit.errors import BundleError, DataError

log = logging.getLogger(__name__)

RECORD = "training_images.json"


def remember(folder: Path, cohort: Cohort, splits: Splits, start: str | None) -> str:
    """Write beside a saved model what it was trained on. start: the weights it began with, whose images it knows too.

    Returns the file's sha256, for the model's own record.
    """
    known = training_images(cohort, splits)
    began = None if start is None else own_folder(Path(start)) or Path(start).parent
    if began is not None and (began / RECORD).is_file():
        known = united(known, load_training_images(began / RECORD))
    folder.mkdir(parents=True, exist_ok=True)
    save_training_images(folder / RECORD, known)
    return file_hash(folder / RECORD)


def check_unseen(config: EvaluateConfig, bundle: Bundle, cohort: Cohort, splits: Splits) -> str:
    """What of the measured split was seen in training, in words; empty where nothing was.

    Raises DataError where a test split was, unless the configuration accepts that. Of the run's own data, train and val
    are seen by definition.
    """
    own = config.data.kind is SourceKind.run
    if own and config.split is not SplitName.test:
        return f"the images that the model was {'trained' if config.split is SplitName.train else 'tuned'} on"
    known = remembered(bundle)
    if known is None and own:
        known = training_images(cohort, splits)
    if known is None:
        log.warning("%s doesn't say what it was trained on: whether it knows these images can't be told", bundle.folder)
        return ""
    found = overlaps(known, cohort, splits[config.split.value])
    if own and any(one.look_alikes for one in found):
        found = confirmed(found, cohort, splits, config.split.value)
    words = ", ".join(map(str, found))
    if found and config.split is SplitName.test and not config.accept_seen:
        others = "other data" if own else "data without them"
        raise DataError(
            f"split=test holds {words}; expected images the model never saw: name {others}, or mark the numbers as "
            "seen in training with accept_seen=true"
        )
    return words


def confirmed(found: Sequence[Overlap], cohort: Cohort, splits: Splits, split: str) -> list[Overlap]:
    """The same, less the images that only seemed to look like training images of this very data set.

    A record of training images holds hashes, and of a million pairs some are alike by chance; here the images
    themselves are at hand to be compared. What looks like images of an earlier training stays.
    """
    here = {one.split: one.look_alikes for one in overlaps(training_images(cohort, splits), cohort, splits[split])}
    parts = np.full(len(cohort), -1, np.int64)
    for number, name in enumerate((*PARTS, split)):
        parts[list(splits[name])] = number
    leaks = find_leaks(cohort, splits, look_alikes(cohort, parts)[1])
    alike = {one.between[0]: one.count for one in leaks if one.kind is LeakKind.NEAR_DUPLICATE and split in one.between}
    sure = []
    for one in found:
        truly = max(0, alike.get(one.split, 0) - one.images)
        sure.append(replace(one, look_alikes=one.look_alikes - here.get(one.split, 0) + truly))
    return [one for one in sure if one.images or one.patients or one.look_alikes]


def remembered(bundle: Bundle) -> Mapping[str, Known] | None:
    """What a bundle was trained on; None where it is of a version that didn't say.

    Raises BundleError where the record is gone or was changed.
    """
    expected = bundle.trained.get("training_images")
    path = bundle.folder / RECORD
    if expected is None:
        return None
    if not path.is_file() or file_hash(path) != expected:
        raise BundleError(f"{path}: missing or not the record that the bundle was saved with")
    return load_training_images(path)
