"""Official splits as item indices, completed where a data set publishes no validation part."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

NAMES = ("train", "val", "test")
EIGHTH = 8  # of the training patients: 10 % of all where train and val together are 80 %

Official = Mapping[str, tuple[int, ...]]


def official(splits: Sequence[str | None], patients: Sequence[Hashable]) -> Official | None:
    """Items by split; None where no item has one.

    splits: of each item, `train`, `val`, `test` or None. patients: whose each is; each differs where unknown. Where
    there is no `val`, every eighth patient of `train`, in the order of items, makes it: the same for everybody.
    """
    if not any(splits):
        return None
    parts = {name: tuple(i for i, split in enumerate(splits) if split == name) for name in NAMES}
    if not parts["val"]:
        order = {patient: n for n, patient in enumerate(dict.fromkeys(patients[i] for i in parts["train"]))}
        held_out = tuple(i for i in parts["train"] if order[patients[i]] % EIGHTH == EIGHTH - 1)
        parts |= {"val": held_out, "train": tuple(i for i in parts["train"] if i not in set(held_out))}
    return parts
