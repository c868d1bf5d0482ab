"""Search what is about to be written for the identifiers that the input held: the proof, file by file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.charset import python_encoding

from radvit.deid.identifiers import Identifiers
from radvit.deid.profile import FIXED_WORDS

_TEXTS = ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
# Every encoding that DICOM knows (PS3.3 C.12.1.1.2), and the two orders of UTF-16 that makers put into binary values.
_ENCODINGS = tuple(sorted({*python_encoding.values(), "utf_8", "gb18030"} - {"ascii"}))
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
    pseudonyms and the names of its options, which are made of no identifier and don't count.
    """
    places = tuple(name for name, text in _texts(dataset, tuple(own)) if identifiers.count(text, raw=False))
    masked = header
    for word in own:
        masked = masked.replace(word.encode(), b" " * len(word))
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


def _texts(dataset: Dataset, own: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Keyword and text of every element that holds text, at every depth."""
    for element in dataset.iterall():
        if element.VR in _TEXTS and not element.is_empty:
            values = element.value if element.VM > 1 else [element.value]
            fixed = FIXED_WORDS.get(element.keyword, frozenset())
            text = "\n".join(str(value) for value in values if str(value) not in own and str(value) not in fixed)
            if text:
                yield element.keyword or str(element.tag), text
