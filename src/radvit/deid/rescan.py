"""Search what is about to be written for the identifiers that the input held: the proof, file by file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding

from radvit.deid.identifiers import Identifiers
from radvit.deid.profile import FIXED_WORDS
from radvit.deid.statement import STATED

_TEXTS = ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT")
# Every encoding that DICOM knows (PS3.3 C.12.1.1.2), and the two orders of UTF-16 that makers put into binary values.
_ENCODINGS = tuple(sorted({*python_encoding.values(), "utf_8", "gb18030"} - {"ascii"}))
_LEAST_TIME, _LEAST_WORD = 6, 4  # characters, from which on the raw search could take them for an identifier
_WIDE = ("utf_16_le", "utf_16_be")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was searched, and for how much: bytes, identifiers, and the number of hits. places: where texts were hit."""

    searched: int
    identifiers: int
    hits: int
    places: tuple[str, ...] = ()


def rescan(header: bytes, dataset: Dataset, identifiers: Identifiers, own: Iterable[str]) -> Scan:
    """Search every byte of a file but its pixels, and every text of it value by value.

    header: the file up to its pixel data. dataset: the same, as a data set. own: what de-identification itself wrote,
    pseudonyms and the names of its options, which are made of no identifier and don't count; nor do times of day, which
    some systems make numbers of, nor the standard's words for how an image was made.
    """
    places = tuple(name for name, text in _texts(dataset) if identifiers.count(text, raw=False))
    masked = header
    for word in sorted({*own, *_known(dataset)}, key=len, reverse=True):
        masked = masked.replace(word.encode(), b" " * len(word.encode()))
    raw = sum(identifiers.count(text, raw=True) for text in _decoded(masked, identifiers.plain))
    return Scan(len(header), len(identifiers), raw + len(places), places)


def _decoded(header: bytes, plain: bool) -> Iterator[str]:
    """The bytes as text in every encoding in which an identifier could stand. plain: identifiers are ASCII."""
    yield header.decode("ascii", "replace")
    for encoding in _WIDE:
        yield header.decode(encoding, "replace")
        yield header[1:].decode(encoding, "replace")
    if not plain:
        for encoding in _ENCODINGS:
            yield header.decode(encoding, "replace")


def _texts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Keyword and text of every element that holds text of the original, at every depth."""
    for element in dataset:
        if element.keyword in STATED:
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in _TEXTS and not element.is_empty:
            fixed = FIXED_WORDS.get(element.keyword, frozenset())
            text = "\n".join(value for value in _values(element) if value not in fixed)
            if text:
                yield element.keyword or str(element.tag), text


def _known(dataset: Dataset) -> Iterator[str]:
    """Times of day, and words of imaging, as they stand in a data set."""
    for element in dataset.iterall():
        fixed = FIXED_WORDS.get(element.keyword, frozenset())
        if element.VR == "TM":
            yield from (value for value in _values(element) if len(value) >= _LEAST_TIME)
        elif fixed:
            yield from (value for value in _values(element) if value in fixed and len(value) >= _LEAST_WORD)


def _values(element: DataElement) -> list[str]:
    return [str(value) for value in (element.value if element.VM > 1 else [element.value]) if value is not None]
