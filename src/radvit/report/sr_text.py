"""The sentences of a Structured Report, read back from its file."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from radvit.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

RECOMMENDATION = "121075"  # DCM


def texts(data: bytes, code: str) -> list[str]:
    """What the text items of a concept name say, in the order of the tree. Raises DataError where it is no report."""
    from pydicom import dcmread

    try:
        return list(_texts(dcmread(BytesIO(data)), code))
    except Exception as error:  # noqa: BLE001 - pydicom raises anything of a broken file
        raise DataError(f"{len(data)} bytes that are no report by radvit ({type(error).__name__})") from None


def _texts(node: Dataset, code: str) -> Iterator[str]:
    for child in node.get("ContentSequence") or ():
        names = child.get("ConceptNameCodeSequence")
        if child.ValueType == "TEXT" and names and names[0].get("CodeValue") == code:
            yield str(child.TextValue)
        yield from _texts(child, code)
