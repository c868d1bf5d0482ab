"""Walk the element structure of a data set before pydicom parses it: lengths, nesting and number, never a value.

The walk goes where pydicom would go (PS3.5 7.1, 7.5, A.4, and pydicom's own leniencies: elements of implicit form among
explicit ones, items that switch to implicit form, sequences that hide in UN), but it keeps its own stack instead of
recursing, reads only the 8 to 12 bytes in front of each value, and never believes a length that leads out of what
encloses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from pydicom.datadict import DicomDictionary
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from radvit.dicom.limits import Limits
from radvit.errors import DicomReadError

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_HEAD_BYTES = 8  # tag and length, or tag, VR and short length
_LONG_HEAD_BYTES = 12  # tag, VR, two reserved bytes and long length
_KNOWN = frozenset(vr.encode() for vr in VR)
_LONG = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)
_SEQUENCE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
_BESIDE_PIXELS = 1 << 20  # bytes that a value may have beyond the pixels' limit: fragment headers, profiles, tables
# pydicom makes an object of some 200 to 400 bytes of each value of a list, which can be 2 bytes long in the file.
_NO_LISTS = ("OB", "OD", "OF", "OL", "OV", "OW", "LT", "ST", "UN", "UR", "UT", "US or OW", "OB or OW")
_LONG_LIST = 4096  # bytes from which on a list counts
_MOST_LISTED = 1 << 20  # bytes of all long lists together
_CONTOURS = 0x3006  # the group whose lists may be long: contours of radiotherapy structures, which no image has
_UN_MAY_HIDE = 0xFFFF  # pydicom looks a UN's VR up where its value is shorter than this


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written. implicit: without their VR. little: endianness."""

    implicit: bool
    little: bool


EXPLICIT_LITTLE = Encoding(implicit=False, little=True)


def check_structure(stream: BinaryIO, encoding: Encoding, limits: Limits, start: int = 0) -> int:
    """Walk a data set from byte `start` to the end of a stream that can seek. Returns the number of elements and items.

    Raises DicomReadError (`truncated`, `too-deep`, `too-large`, `bad-header`).
    """
    return _Walk(stream, encoding, limits).run(start)


def group_end(stream: BinaryIO, start: int, group: int, limits: Limits) -> int:
    """Where the elements of a group, in explicit little endian, end. start: of the first. Raises DicomReadError."""
    walk = _Walk(stream, EXPLICIT_LITTLE, limits)
    walk.only_group = group
    walk.run(start)
    return walk.position


@dataclass(slots=True)
class _Open:
    """An enclosing sequence or data set that the walk is in. end: byte after it, or after what encloses it."""

    is_sequence: bool
    defined: bool
    end: int
    implicit: bool


class _Walk:
    """One walk; `position` is the byte it has got to."""

    __slots__ = (
        "count", "depth", "formats", "limits", "listed", "only_group", "open", "position", "stream", "top_implicit"
    )  # fmt: skip

    def __init__(self, stream: BinaryIO, encoding: Encoding, limits: Limits) -> None:
        self.stream, self.limits, self.top_implicit = stream, limits, encoding.implicit
        order = "<" if encoding.little else ">"
        self.formats = Struct(order + "HHL"), Struct(order + "HH2sH"), Struct(order + "L")
        self.position = self.count = self.depth = self.listed = 0
        self.only_group: int | None = None
        self.open: list[_Open] = []

    def run(self, start: int) -> int:
        """Walk from byte `start` to the stream's end, or to where the data set ends before it."""
        size = self.stream.seek(0, 2)
        self.position = start
        self.open = [_Open(False, False, size, self._looks_implicit(size, self.top_implicit))]
        while self.open:
            inside = self.open[-1]
            if inside.is_sequence:
                self._item(inside)
            else:
                self._element(inside)
        return self.count

    def _looks_implicit(self, end: int, expected: bool) -> bool:
        """Whether a data set that begins here has no VRs, by its first element, as pydicom judges it."""
        self.stream.seek(self.position)
        head = self.stream.read(6)
        if self.position + 6 > end or len(head) < 6:
            return expected
        return not (0x40 < head[4] < 0x5B and 0x40 < head[5] < 0x5B)

    def _item(self, inside: _Open) -> None:
        """Go into the next item of a sequence, or out of the sequence."""
        if inside.defined and self.position >= inside.end:
            return self._leave()
        if inside.end - self.position < _HEAD_BYTES:
            raise DicomReadError("truncated", "a sequence ends within an item, or lacks its delimiter")
        tag, length = self._tag_and_length()
        self.position += _HEAD_BYTES
        if tag == _SEQUENCE_END:
            if inside.defined:
                self.position = inside.end
            return self._leave()
        if tag != _ITEM:
            raise DicomReadError("bad-header", "a sequence holds something else than items")
        self._count()
        # In a sequence of known length, a last item that is longer than what is left of it is read as far as it goes.
        end = inside.end if length == _UNDEFINED or inside.defined else self._end_of(length, inside)
        end = min(end, self.position + length)
        implicit = inside.implicit or self._looks_implicit(end, inside.implicit)
        self.open.append(_Open(False, length != _UNDEFINED, end, implicit))
        return None

    def _element(self, inside: _Open) -> None:
        """Step over one element, or go into it where it is a sequence, or out of the data set at its end."""
        if inside.end - self.position < _HEAD_BYTES:
            if inside.defined and self.position != inside.end:
                raise DicomReadError("truncated", "an item ends within an element")
            return self._leave()
        tag, vr, length = self._head(inside)
        if tag == _ITEM_END:
            return self._leave()
        self._count()
        if length == _UNDEFINED:
            if self._is_undefined_sequence(tag, vr, inside):
                return self._enter(_Open(True, False, inside.end, inside.implicit))
            return self._fragments(inside)
        end = self._end_of(length, inside)
        if vr == b"SQ" or (tag in _SEQUENCE_TAGS and (vr is None or (vr == b"UN" and length < _UN_MAY_HIDE))):
            return self._enter(_Open(True, True, end, inside.implicit))
        if length > _LONG_LIST:
            self._check_list(tag, vr, length)
        self.position = end
        return None

    def _head(self, inside: _Open) -> tuple[int, bytes | None, int]:
        """Tag, VR (None where it isn't written) and length of the element here; goes on to its value."""
        self.stream.seek(self.position)
        head = self.stream.read(_LONG_HEAD_BYTES)
        implicit, explicit, long = self.formats
        group, element, vr, length = explicit.unpack_from(head)
        if self.only_group is not None and group != self.only_group and len(self.open) == 1:
            inside.end = self.position
            return _ITEM_END, None, 0
        tag = group << 16 | element
        if inside.implicit or (vr not in _KNOWN and not b"AA" <= vr <= b"ZZ"):
            self.position += _HEAD_BYTES
            return tag, None, implicit.unpack_from(head)[2]
        if vr not in _LONG:
            self.position += _HEAD_BYTES
            return tag, vr, length
        self.position += _LONG_HEAD_BYTES
        if self.position > inside.end:
            raise DicomReadError("truncated", "the file ends within an element")
        return tag, vr, long.unpack_from(head, _HEAD_BYTES)[0]

    def _is_undefined_sequence(self, tag: int, vr: bytes | None, inside: _Open) -> bool:
        """Whether an element of undefined length is a sequence; else it is made of fragments (PS3.5 6.2.2, A.4)."""
        if vr is not None:
            return vr in (b"SQ", b"UN")
        if tag in DicomDictionary:
            return tag in _SEQUENCE_TAGS
        return inside.end - self.position >= _HEAD_BYTES and self._tag_and_length()[0] == _ITEM

    def _fragments(self, inside: _Open) -> None:
        """Step over encapsulated pixel data: its items, to the sequence delimiter (PS3.5 A.4)."""
        start = self.position
        while inside.end - self.position >= _HEAD_BYTES:
            tag, length = self._tag_and_length()
            self.position += _HEAD_BYTES
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise DicomReadError("bad-header", "encapsulated data holds something else than items")
            self._count()
            self.position = self._end_of(length, inside)
            self._check_size(self.position - start)
        raise DicomReadError("truncated", "encapsulated data lacks its delimiter")

    def _tag_and_length(self) -> tuple[int, int]:
        self.stream.seek(self.position)
        group, element, length = self.formats[0].unpack(self.stream.read(_HEAD_BYTES))
        return group << 16 | element, length

    def _end_of(self, length: int, inside: _Open) -> int:
        """The byte after a value that begins here. Raises DicomReadError where that is outside of what encloses it."""
        end = self.position + length
        if end > inside.end:
            raise DicomReadError("truncated", f"a value of {length} bytes where {inside.end - self.position} are left")
        self._check_size(length)
        return end

    def _check_size(self, length: int) -> None:
        most = self.limits.pixel_bytes + _BESIDE_PIXELS
        if length > most:
            raise DicomReadError("too-large", f"a value of {length} bytes; the limit is {most}")

    def _check_list(self, tag: int, vr: bytes | None, length: int) -> None:
        known = DicomDictionary[tag][0] if tag in DicomDictionary else "UN"
        if (known if vr in (None, b"UN") else vr.decode("latin-1")) in _NO_LISTS or tag >> 16 == _CONTOURS:
            return
        self.listed += length
        if self.listed > _MOST_LISTED:
            raise DicomReadError("too-large", f"lists of values of more than {_MOST_LISTED} bytes")

    def _enter(self, sequence: _Open) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise DicomReadError("too-deep", f"sequences nested more than {self.limits.depth} deep")
        self.open.append(sequence)

    def _leave(self) -> None:
        self.depth -= self.open.pop().is_sequence

    def _count(self) -> None:
        self.count += 1
        if self.count > self.limits.elements:
            raise DicomReadError("too-large", f"more than {self.limits.elements} elements")
