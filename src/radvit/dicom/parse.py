"""Guarded parsing: a file of any kind becomes a pydicom.Dataset once its structure has been walked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from radvit.dicom.limits import DEFAULT, Limits
from radvit.dicom.quiet import silence_pydicom
from radvit.dicom.structure import EXPLICIT_LITTLE, Encoding, check_structure, group_end
from radvit.errors import DicomReadError

silence_pydicom()

_PREFIX_BYTES = 132  # preamble and "DICM", PS3.10 7.1
_META_GROUP = 0x0002
_META_BYTES = 1 << 20  # of the file meta group, in practice some 200
_INFLATED_CHUNK = 1 << 20
_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # float, double float and integer


def read_attributes(path: Path, keywords: tuple[str, ...], limits: Limits = DEFAULT) -> Dataset:
    """Read these attributes alone, where the file has them, of a file of any kind: the quickest look into it.

    Nothing but the structure is checked. Raises DicomReadError, and nothing else.
    """
    tags = [BaseTag(tag) for tag in map(tag_for_keyword, keywords) if tag is not None]
    with only_read_errors():
        return parse(path, limits, pixels=False, tags=tags)


@contextmanager
def only_read_errors() -> Iterator[None]:
    """Turn whatever a parser on hostile bytes can raise into a DicomReadError that doesn't quote the file."""
    try:
        yield
    except DicomReadError:
        raise
    except MemoryError:
        raise DicomReadError("memory", "reading the header needs more memory than there is") from None
    except RecursionError:
        raise DicomReadError("too-deep", "sequences nested too deep to be parsed") from None
    except EOFError:
        raise DicomReadError("truncated", "the file ends within an element") from None
    except OSError as error:
        raise DicomReadError("not-a-file", f"can't read the file: {type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001 - its text may quote the file
        raise DicomReadError("bad-header", f"the header can't be parsed: {type(error).__name__}") from None


def parse(path: Path, limits: Limits, pixels: bool = True, tags: list[BaseTag] | None = None) -> Dataset:
    """Walk a file's structure, then let pydicom parse it, with the same idea of where its parts begin and end.

    pixels: whether to go on to the pixel data and what follows it. tags: the elements to keep, if not all.
    Raises DicomReadError, or whatever pydicom does: to be called within `only_read_errors`.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise DicomReadError("not-a-file", "not a regular file")
    if size > limits.file_bytes:
        raise DicomReadError("too-large", f"file of {size} bytes; the limit is {limits.file_bytes}")
    with path.open("rb") as file:
        preamble = file.read(_PREFIX_BYTES)
        if len(preamble) < _PREFIX_BYTES or preamble[128:] != b"DICM":
            raise DicomReadError("not-dicom", "no DICM prefix at byte 128; expected a DICOM file")
        meta, stream, start = _open_data_set(file, limits)
        encoding = _encoding(meta)
        check_structure(stream, encoding, limits, start)
        stream.seek(start)
        stop = None if pixels else _at_pixels
        body = read_dataset(stream, encoding.implicit, encoding.little, stop_when=stop, specific_tags=list(tags or []))
    dataset = FileDataset("", body, preamble[:128], meta, encoding.implicit, encoding.little)
    dataset.set_original_encoding(encoding.implicit, encoding.little, body.original_character_set)
    return dataset


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag in _PIXEL_TAGS


def _open_data_set(file: BinaryIO, limits: Limits) -> tuple[FileMetaDataset, BinaryIO, int]:
    """The file meta group, a stream that holds the data set, and the byte at which it begins there."""
    end = group_end(file, _PREFIX_BYTES, _META_GROUP, limits)
    if end - _PREFIX_BYTES > _META_BYTES:
        raise DicomReadError("too-large", f"file meta group of {end - _PREFIX_BYTES} bytes; the limit is {_META_BYTES}")
    file.seek(_PREFIX_BYTES)
    raw = BytesIO(file.read(end - _PREFIX_BYTES))
    meta = FileMetaDataset(read_dataset(raw, EXPLICIT_LITTLE.implicit, EXPLICIT_LITTLE.little))
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return meta, file, end
    file.seek(end)
    return meta, BytesIO(_inflate(file.read(), limits)), 0


def _encoding(meta: FileMetaDataset) -> Encoding:
    """How the data set is written; all but three syntaxes are explicit little endian (PS3.5 A.4)."""
    syntax = meta.get("TransferSyntaxUID")
    return Encoding(syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)


def _inflate(deflated: bytes, limits: Limits) -> bytes:
    """Inflate a data set (PS3.5 A.5), having first counted what will come out without keeping it."""
    inflater, rest, size = zlib.decompressobj(-zlib.MAX_WBITS), deflated, 0
    try:
        while rest and not inflater.eof:
            size += len(inflater.decompress(rest, _INFLATED_CHUNK))
            rest = inflater.unconsumed_tail
            if size > limits.inflated_bytes:
                raise DicomReadError("too-large", f"inflates to more than the limit of {limits.inflated_bytes} bytes")
        return zlib.decompress(deflated, -zlib.MAX_WBITS, max(size, 1))
    except zlib.error:
        raise DicomReadError("truncated", "the deflated data set is damaged or ends early") from None
