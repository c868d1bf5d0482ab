"""The walk over hand-made structures, and against pydicom's own parse of its bundled files."""

import io
import struct
import time
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom import Dataset, Sequence
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from radvit.dicom.limits import Limits
from radvit.dicom.structure import Encoding, check_structure, group_end
from radvit.errors import DicomReadError

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
EXPLICIT, IMPLICIT, BIG = Encoding(False, True), Encoding(True, True), Encoding(False, False)
ENCODINGS = pytest.mark.parametrize("encoding", [EXPLICIT, IMPLICIT, BIG], ids=["explicit", "implicit", "big"])
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS, MODALITY, SEQUENCE, PRIVATE = 0x7FE00010, 0x00080060, 0x00081115, 0x00091001


def element(tag, vr, value, length=None, long=None):
    """An element in explicit little endian."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if (vr in ("OB", "OW", "SQ", "UN", "UT")) if long is None else long:
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size) + value


def bare(tag, value=b"", length=None):
    """An item, a delimiter, or an element in implicit little endian."""
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def walk(data, encoding=EXPLICIT, **limits):
    return check_structure(io.BytesIO(data), encoding, Limits(**limits))


def refused(data, encoding=EXPLICIT, **limits):
    with pytest.raises(DicomReadError) as caught:
        walk(data, encoding, **limits)
    return caught.value.reason


CS = element(MODALITY, "CS", b"CT")


def test_nothing_is_a_structure():
    assert walk(b"") == walk(b"\0" * 7) == 0
    assert walk(CS) == 1


def nested(depth, undefined):
    """`depth` sequences in one another, and a Modality in the innermost."""
    inner = Dataset()
    inner.Modality = "CT"
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedSeriesSequence = Sequence([inner])
        outer["ReferencedSeriesSequence"].is_undefined_length = undefined
        inner.is_undefined_length_sequence_item = undefined
        inner = outer
    return inner


def encoded(dataset, encoding):
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = encoding.implicit, encoding.little
    write_dataset(stream, dataset)
    return stream.getvalue()


@ENCODINGS
@pytest.mark.parametrize("undefined", [False, True])
def test_counts_elements_and_items_and_depth(encoding, undefined):
    data = encoded(nested(5, undefined), encoding)
    assert walk(data, encoding, depth=5) == 5 * 2 + 1
    assert refused(data, encoding, depth=4) == "too-deep"
    assert walk(data, encoding, elements=11) == 11
    assert refused(data, encoding, elements=10) == "too-large"


@ENCODINGS
@pytest.mark.parametrize("undefined", [False, True])
def test_cut_anywhere_is_truncated(encoding, undefined):
    data = encoded(nested(3, undefined), encoding)
    assert [walk(data[:cut], encoding) for cut in range(8)] == [0] * 8
    assert {refused(data[:cut], encoding) for cut in range(8, len(data))} == {"truncated"}


@pytest.mark.parametrize(
    "data",
    [
        element(MODALITY, "CS", b"CT", length=3),
        element(PIXELS, "OW", b"", length=0xF0000000),
        element(PIXELS, "OW", b"", length=0xFFFFFFFE),
        CS + element(PIXELS, "OW", b"")[:9],  # the length itself is cut
        element(SEQUENCE, "SQ", bare(ITEM, CS), length=19),
        element(SEQUENCE, "SQ", bare(ITEM, CS, length=11) + bare(SEQUENCE_END), length=UNDEFINED),
        element(SEQUENCE, "SQ", bare(ITEM, element(MODALITY, "CS", b"CT", length=4) + b"")) + CS,
        element(SEQUENCE, "SQ", bare(ITEM, CS), length=UNDEFINED),  # no delimiter
        element(PIXELS, "OB", bare(ITEM) + bare(ITEM, b"abcd"), length=UNDEFINED),
        element(PIXELS, "OB", bare(ITEM) + bare(ITEM, b"abcd", length=400) + bare(SEQUENCE_END), length=UNDEFINED),
        element(PIXELS, "OB", bare(ITEM, length=UNDEFINED) + bare(SEQUENCE_END), length=UNDEFINED),
    ],
)
def test_lengths_that_lead_outside(data):
    assert refused(data) == "truncated"


@pytest.mark.parametrize(
    "data",
    [
        element(SEQUENCE, "SQ", CS + CS),
        element(SEQUENCE, "SQ", CS + bare(SEQUENCE_END), length=UNDEFINED),
        element(PIXELS, "OB", bare(ITEM) + b"no item!" + bare(SEQUENCE_END), length=UNDEFINED),
    ],
)
def test_something_else_than_items(data):
    assert refused(data) == "bad-header"


def test_encapsulated_fragments_are_stepped_over():
    fragments = bare(ITEM) + bare(ITEM, b"\xfe\xff\xdd\xe0\0\0\0\0") + bare(ITEM, b"abcd") + bare(SEQUENCE_END)
    data = element(PIXELS, "OB", fragments, length=UNDEFINED)
    assert walk(CS + data + CS) == 1 + 1 + 3 + 1
    assert refused(CS + data + CS, elements=5) == "too-large"


def test_a_value_longer_than_the_pixels_may_be():
    data = element(PIXELS, "OW", bytes(3 << 20))
    assert walk(data, pixel_bytes=2 << 20) == 1
    assert refused(data, pixel_bytes=(2 << 20) - 1) == "too-large"
    fragments = bare(ITEM) + 3 * bare(ITEM, bytes(1 << 20)) + bare(SEQUENCE_END)
    assert refused(element(PIXELS, "OB", fragments, length=UNDEFINED), pixel_bytes=1 << 20) == "too-large"


def test_long_lists_of_values_are_counted_together():
    """In implicit form a list can be as long as the file, and each value becomes an object."""
    window = bare(0x00281050, b"1\\" * 300_000)
    assert walk(window, IMPLICIT) == 1
    assert refused(2 * window, IMPLICIT) == "too-large"
    assert walk(2 * bare(0x30060050, b"1\\" * 600_000), IMPLICIT) == 2  # contours
    assert walk(2 * bare(0x00283006, bytes(600_000)), IMPLICIT) == 2  # LUT data stays bytes
    assert walk(2 * bare(PRIVATE, bytes(600_000)), IMPLICIT) == 2
    assert refused(20 * element(0x00281050, "DS", b"1\\" * 32_000)) == "too-large"


def test_sequences_that_hide_in_un_and_in_private_elements_are_walked():
    """pydicom takes UN of undefined length for a sequence, and one of a known tag too (PS3.5 6.2.2)."""
    item = bare(ITEM, bare(MODALITY, b"CT"))
    for tag in (SEQUENCE, PRIVATE):
        assert walk(element(tag, "UN", item + bare(SEQUENCE_END), length=UNDEFINED)) == 3
    assert walk(element(SEQUENCE, "UN", item)) == 3
    assert walk(element(PRIVATE, "UN", item)) == 1
    assert walk(bare(PRIVATE, item + bare(SEQUENCE_END), length=UNDEFINED), IMPLICIT) == 3
    assert walk(bare(SEQUENCE, item), IMPLICIT) == 3
    assert walk(bare(PIXELS, bare(ITEM) + bare(SEQUENCE_END), length=UNDEFINED), IMPLICIT) == 2


def test_items_may_end_early_or_late_or_lack_their_last_delimiter():
    inner = CS + bare(ITEM_END)
    assert walk(element(SEQUENCE, "SQ", bare(ITEM, inner, length=UNDEFINED)) + CS) == 4
    assert walk(element(SEQUENCE, "SQ", bare(ITEM, CS, length=UNDEFINED)) + CS) == 4
    assert walk(element(SEQUENCE, "SQ", bare(ITEM, CS) + bare(SEQUENCE_END) + b"junk") + CS) == 4
    assert walk(element(SEQUENCE, "SQ", bare(ITEM, CS, length=11)) + CS) == 4
    assert walk(CS + bare(ITEM_END) + b"what follows is never read") == 1


def test_implicit_elements_among_explicit_ones():
    assert walk(CS + bare(0x00080070, b"MAKER ") + CS) == 3
    assert walk(bare(MODALITY, b"CT") + bare(0x00080070, b"MAKER "), EXPLICIT) == 2
    assert walk(CS, IMPLICIT) == 1


def test_group_end():
    meta = element(0x00020010, "UI", b"1.2\0") + element(0x00020100, "UI", b"1.2\0")
    assert group_end(io.BytesIO(b"1234" + meta + CS), 4, 2, Limits()) == 4 + len(meta)
    assert group_end(io.BytesIO(meta), 0, 2, Limits()) == len(meta)
    assert group_end(io.BytesIO(CS), 0, 2, Limits()) == 0


def count(dataset):
    """Elements, items and fragments as pydicom parsed them."""
    total = 0
    for found in dataset:
        total += 1
        if found.VR == "SQ":
            total += sum(1 + count(part) for part in found.value)
        elif found.tag == PIXELS and found.is_undefined_length:
            total += sum(1 for _ in pydicom.encaps.generate_fragments(found.value))
    return total


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "test-SR.dcm", "MR_small_RLE.dcm", "liver_1frame.dcm",
                                  "UN_sequence.dcm", "dicomdirtests/DICOMDIR", "MR_small_bigendian.dcm"])  # fmt: skip
def test_counts_what_pydicom_parses(name):
    path = BUNDLED / name
    dataset = pydicom.dcmread(path)
    encoding = Encoding(*dataset.original_encoding)
    with path.open("rb") as file:
        start = group_end(file, 132, 2, Limits())
        assert check_structure(file, encoding, Limits(), start) == count(dataset)


def test_a_deep_nest_takes_no_stack():
    depth = 100_000
    data = (element(SEQUENCE, "SQ", b"", length=UNDEFINED) + bare(ITEM, length=UNDEFINED)) * depth
    data += (bare(ITEM_END) + bare(SEQUENCE_END)) * depth
    assert walk(data, depth=depth) == 2 * depth
    start = time.perf_counter()
    assert refused(data) == "too-deep"
    assert time.perf_counter() - start < 0.1
