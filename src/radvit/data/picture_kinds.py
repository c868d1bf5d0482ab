"""Which kind of picture a file is, by its content, and what its header promises, before a library opens it.

The libraries that decode pictures believe what a header says: MetaIO opens whatever file it names, niftilib fills what
is missing with zeros, libjpeg with grey. What they believe is checked here.
Sources: PNG 3rd edition; ITU T.81 annex B; TIFF 6.0; NIfTI-1.1 and NIfTI-2; MetaIO's documentation of its header.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from radvit.dicom.limits import Limits
from radvit.errors import DicomReadError


class Kind(Enum):
    """A kind of picture."""

    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    NIFTI = "NIfTI"
    NIFTI_GZ = "NIfTI, gzip"
    META = "MetaImage"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a header promises, as far as the decoder doesn't tell it.

    spacing_mm: (row, column) size of a pixel by the header's resolution. inverted: 0 is white. faded: grey with
    transparency. pages: pictures in the file. spaced: the volume's header tells the size of a voxel.
    """

    spacing_mm: tuple[float, float] | None = None
    inverted: bool = False
    faded: bool = False
    pages: int = 1
    spaced: bool = True


_HEAD = 4096  # bytes that tell the kind
_META_HEAD = 1 << 16  # bytes within which a MetaImage's header must end
_MOST_OFFSET = 1 << 24  # bytes before the voxels of a NIfTI file: header and extensions
_META_LINE = re.compile(rb"\s*(ObjectType|ObjectSubType|NDims|Comment|Name)\s*=")
_ENTROPY_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # neither a stuffed byte nor a restart nor fill
# Resolutions that programs write without having measured any, dots an inch: of screens, scanners and printers, and
# the 25.4 that ITK writes for its default of 1 mm.
_PLACEHOLDERS = (
    *(25.4, 72, 75, 90, 96, 100, 110, 120, 144, 150, 160, 180, 192, 200, 220, 240, 250, 300, 350, 360, 400, 500, 600),
    *(720, 800, 1000, 1200, 1440, 2400),
)
_SAME_DPI = 0.003
_SPACING_MM = (0.01, 2.0)  # of a pixel of any digitised radiograph
_MM_PER_INCH = 25.4


def picture_kind(path: Path) -> Kind | None:
    """The kind of picture a file is, by its first bytes; None for DICOM and whatever else. Reads 4 kB of it.

    Raises DicomReadError (`not-a-file`).
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DicomReadError("not-a-file", f"can't read the file: {type(error).__name__}") from None
    return kind_of(head)


def kind_of(head: bytes) -> Kind | None:
    """The kind by the first 4 kB. DICOM goes first: its preamble may look like a TIFF (PS3.10 7.1)."""
    if head[128:132] == b"DICM":
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return Kind.TIFF
    if _META_LINE.match(head):
        return Kind.META
    if _is_nifti(head):
        return Kind.NIFTI
    return Kind.NIFTI_GZ if head.startswith(b"\x1f\x8b") and _is_nifti(_first_inflated(head)) else None


def _is_nifti(head: bytes) -> bool:
    """A header of version 1 or 2, of one file or of a pair (which is refused later, by name)."""
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")


def _first_inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, _HEAD)
    except zlib.error:
        return b""


def examine(path: Path, kind: Kind, limits: Limits) -> Promise:
    """What the header promises. Raises DicomReadError (`bad-picture`, `truncated`, `too-large`), or struct.error."""
    with path.open("rb") as file:
        match kind:
            case Kind.PNG:
                return _png(file)
            case Kind.JPEG:
                return _jpeg(file)
            case Kind.TIFF:
                return _tiff(file, limits)
            case Kind.META:
                return _meta(file)
        return _nifti(file)


def _png(file: BinaryIO) -> Promise:
    """The chunks before the pixels: pHYs tells pixels a metre, tRNS a transparent grey."""
    file.seek(8)
    colour, faded, spacing = -1, False, None
    while True:
        length, name = struct.unpack(">I4s", _exactly(file, 8))
        if name in (b"IDAT", b"IEND"):
            return Promise(spacing, faded=faded or colour == 4)
        if name == b"IHDR":
            colour = _exactly(file, 13)[9]
            length -= 13
        elif name == b"pHYs":
            across, down, unit = struct.unpack(">IIB", _exactly(file, 9))
            spacing = _believable(1000 / max(down, 1), 1000 / max(across, 1)) if unit == 1 else None
            length -= 9
        faded = faded or (name == b"tRNS" and colour == 0)
        file.seek(max(length, 0) + 4, 1)  # the chunk's check sum is left to the decoder


def _jpeg(file: BinaryIO) -> Promise:
    """Walk the segments to the end of the image: libjpeg makes up what is missing."""
    content = file.read()
    place = 2
    while True:
        marker = content[place : place + 2]
        if len(marker) < 2:
            raise DicomReadError("truncated", "the JPEG ends before its end-of-image marker")
        if marker[0] != 0xFF:
            raise DicomReadError("bad-picture", "a JPEG segment doesn't begin with a marker")
        if marker[1] == 0xD9:  # end of image
            return Promise()
        if marker[1] == 0xFF or 0xD0 <= marker[1] <= 0xD8 or marker[1] == 1:  # fill, or a marker without a segment
            place += 1 if marker[1] == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        place += 2 + length
        if marker[1] == 0xDA:  # start of scan: entropy-coded data follow its header
            end = _ENTROPY_END.search(content, place)
            place = end.start() if end else len(content)


@dataclass(frozen=True, slots=True)
class _Page:
    """The tags of one page: numbers by tag, those in which a value is told and not pointed at."""

    tags: dict[int, float]

    def size(self) -> tuple[float | None, ...]:
        return tuple(self.tags.get(tag) for tag in (256, 257, 258, 262, 277))  # of pixels, bits, photometric, samples


def _tiff(file: BinaryIO, limits: Limits) -> Promise:
    """Pages of one size and one photometric interpretation, which libtiff's callers leave unapplied."""
    pages = []
    for page in _tiff_pages(file):
        pages.append(page)
        if len(pages) > limits.frames:
            raise DicomReadError("too-large", f"more pages than the limit of {limits.frames}")
    if not pages or any(page.size() != pages[0].size() for page in pages):
        raise DicomReadError("bad-picture", "TIFF without pages, or with pages that differ; expected pages of one kind")
    tags = pages[0].tags
    if tags.get(262) not in (0, 1, 2, 3, 6):
        raise DicomReadError("bad-picture", "TIFF in another colour space than grey, RGB, YCbCr or palette")
    unit = {2: _MM_PER_INCH, 3: 10.0}.get(int(tags.get(296, 2)), 0.0)
    across, down = tags.get(282, 0.0), tags.get(283, 0.0)
    spacing = _believable(unit / down, unit / across) if across > 0 and down > 0 else None
    return Promise(spacing, inverted=tags[262] == 0, pages=len(pages))


def _tiff_pages(file: BinaryIO) -> Iterator[_Page]:
    """Each page of a TIFF or BigTIFF, in either byte order. Raises DicomReadError where the pages' chain loops."""
    head = _exactly(file, 8)
    order = "<" if head.startswith(b"II") else ">"
    big = head[:4] in (b"II+\0", b"MM\0+")
    count, entry, pointer = (
        (order + "Q", order + "HHQ8s", order + "Q") if big else (order + "H", order + "HHI4s", order + "I")
    )
    place = _number(file, pointer) if big else struct.unpack(pointer, head[4:])[0]
    seen = set()
    while place:
        if place in seen:
            raise DicomReadError("bad-picture", "the TIFF's pages form a loop")
        seen.add(place)
        file.seek(place)
        entries = _exactly(file, min(_number(file, count), 4096) * struct.calcsize(entry))
        place = _number(file, pointer)
        yield _Page(dict(_tiff_tags(file, order, struct.iter_unpack(entry, entries))))


def _tiff_tags(
    file: BinaryIO, order: str, entries: Iterator[tuple[int, int, int, bytes]]
) -> Iterator[tuple[int, float]]:
    for tag, form, count, value in entries:
        if form == 3 and count * 2 <= len(value):  # SHORT
            yield tag, struct.unpack_from(order + "H", value)[0]
        elif form == 4 and count == 1:  # LONG
            yield tag, struct.unpack_from(order + "I", value)[0]
        elif form == 5 and count == 1:  # RATIONAL, told in place by BigTIFF alone
            ratio = value if len(value) == 8 else _at(file, struct.unpack(order + "I", value)[0], 8)
            above, below = struct.unpack(order + "II", ratio)
            yield tag, above / below if below else 0.0


def _meta(file: BinaryIO) -> Promise:
    """A header of known shape, whose voxels follow in the same file."""
    head = file.read(_META_HEAD)
    end = re.search(rb"ElementDataFile", head)
    local = end and re.compile(rb"ElementDataFile[ \t]*=[ \t]*(LOCAL|Local|local)[ \t]*\r?\n").match(head, end.start())
    if not end or not local:
        raise DicomReadError("bad-picture", "MetaImage whose voxels are in another file; expected them in the same one")
    lines = [line.split(b"=", 1) for line in head[: end.start()].splitlines() if line.strip()]
    keys = [key.strip() for key, *_ in lines]
    fields = {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}
    if len(fields) < len(lines) or not head[: end.start()].endswith(b"\n"):
        raise DicomReadError(
            "bad-picture", "MetaImage header with a line that is no field, or a field that stands twice"
        )
    if fields.get(b"NDims") not in (b"2", b"3"):
        raise DicomReadError("bad-picture", "MetaImage that isn't of 2 or 3 dimensions")
    size = file.seek(0, 2)
    if not 0 <= int(fields.get(b"CompressedDataSize", b"0")) <= size or int(fields.get(b"HeaderSize", b"0")) > size:
        raise DicomReadError("truncated", "MetaImage that promises more bytes than the file has")
    return Promise(spaced=b"ElementSpacing" in keys or b"ElementSize" in keys)


# Bits a voxel, by NIfTI's code of a scalar data type that ITK reads.
_NIFTI_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}


def _nifti(file: BinaryIO) -> Promise:
    """A single-file NIfTI-1 or NIfTI-2 header, three-dimensional, with all of its voxels behind it."""
    head = _exactly(file, 348)
    second = head[4:6] == b"n+" or head[4:6] == b"ni"
    head += _exactly(file, 540 - 348) if second else b""
    if head[4 if second else 344 :][:2] == b"ni":
        raise DicomReadError("bad-picture", "NIfTI header whose voxels are in another file; expected a single file")
    order = next((o for o in "<>" if struct.unpack_from(o + "i", head)[0] == len(head)), None)
    if order is None:
        raise DicomReadError("bad-picture", "NIfTI header of a length that isn't 348 or 540")
    dims = struct.unpack_from(order + ("8q" if second else "8h"), head, 16 if second else 40)
    code, bits = struct.unpack_from(order + "2h", head, 12 if second else 70)
    (offset,) = struct.unpack_from(order + ("q" if second else "f"), head, 168 if second else 108)
    if not 2 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1 or set(dims[4 : dims[0] + 1]) - {1}:
        raise DicomReadError("bad-picture", "NIfTI that isn't of 2 or 3 dimensions")
    if _NIFTI_BITS.get(code) != bits:
        raise DicomReadError("bad-picture", "NIfTI of a data type that is neither an integer nor a float")
    if not (math.isfinite(offset) and len(head) <= offset <= _MOST_OFFSET):
        raise DicomReadError("bad-picture", "NIfTI whose voxels begin in its header, or unreasonably far behind it")
    if file.seek(0, 2) < int(offset) + math.prod(dims[1 : dims[0] + 1]) * bits // 8:
        raise DicomReadError("truncated", "NIfTI with fewer bytes than its header promises")
    return Promise()


def _believable(between_rows: float, between_columns: float) -> tuple[float, float] | None:
    """A spacing in mm, unless it is what a program writes that knows none: no dots an inch of screens and printers."""
    low, high = _SPACING_MM
    for spacing in (between_rows, between_columns):
        dpi = _MM_PER_INCH / spacing if spacing > 0 else 0.0
        known = any(abs(dpi - usual) < _SAME_DPI * usual for usual in _PLACEHOLDERS)
        if known or not low <= spacing <= high:
            return None
    return between_rows, between_columns


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise DicomReadError("truncated", "the picture ends within its header")
    return content


def _at(file: BinaryIO, place: int, size: int) -> bytes:
    back = file.tell()
    file.seek(place)
    content = _exactly(file, size)
    file.seek(back)
    return content


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, _exactly(file, struct.calcsize(form)))[0])
