"""Which data sets describe a frame: in an enhanced object its functional groups, else the top level."""

from __future__ import annotations

from pydicom import Dataset

PER_FRAME, SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"


def frame_sources(dataset: Dataset, frame: int) -> tuple[Dataset, ...]:
    """The data sets that describe a frame, nearest first: its functional groups, the shared ones, the top level.

    Source: PS3.3 C.7.6.16.
    """
    groups: list[Dataset] = []
    per_frame = dataset.get(PER_FRAME) or []
    shared = dataset.get(SHARED) or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        groups.extend(element.value[0] for element in group if element.VR == "SQ" and element.value)
    return (*groups, dataset)


def first_with(sources: tuple[Dataset, ...], keyword: str) -> Dataset | None:
    """The nearest data set in which an attribute is present with a value."""
    return next((source for source in sources if has(source, keyword)), None)


def has(source: Dataset, keyword: str) -> bool:
    """Whether an attribute is present with a value."""
    return source.get(keyword) not in (None, "", [])
