"""Data sets with some attributes left out or replaced, without a copy of the others' values."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileDataset, FileMetaDataset


def changed(dataset: Dataset, without: Iterable[str] = (), **values: object) -> Dataset:
    """A new data set with the elements of this one, but for those left out and those given new values, by keyword.

    The others are shared and must not be changed in place. Values that pydicom has not parsed yet stay so, and texts
    keep their character set.
    """
    gone = {tag_for_keyword(keyword) for keyword in (*without, *values)}
    elements = {tag: element for tag, element in dataset.items() if int(tag) not in gone}
    new = FileMetaDataset(elements) if isinstance(dataset, FileMetaDataset) else Dataset(elements)
    if isinstance(dataset, FileDataset):
        new = FileDataset("", elements, preamble=dataset.preamble, file_meta=dataset.file_meta)
    new.set_original_encoding(*dataset.original_encoding, dataset.original_character_set)
    for keyword, value in values.items():
        setattr(new, keyword, value)
    return new
