"""Small files that ask for all memory or time are refused within a second and half a gigabyte, imports and all."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads its memory from /proc")

SECONDS, MEGABYTES = 1.0, 512
SEQUENCE, ITEM, SEQUENCE_END = (0x0008, 0x1115), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
UNDEFINED = 0xFFFFFFFF

# A fresh process, so that its peak is that of these files: the loader that training and inference go through.
LOAD = """
import json, sys, time
from pathlib import Path
from radvit.data.loader import Loader
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import RadvitError
loader, reasons, seconds = Loader(Pseudonymizer(bytes(range(32)))), [], []
for path in sys.argv[1:]:
    start = time.perf_counter()
    try:
        loader.load(Path(path))
        reasons.append("loaded")
    except RadvitError as error:
        reasons.append(error.reason)
    seconds.append(time.perf_counter() - start)
# Not ru_maxrss: a process inherits that of the one which started it.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps({"reasons": reasons, "seconds": max(seconds), "megabytes": peak}))
"""


def outcome(*paths):
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, paths)], capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def head(syntax=ExplicitVRLittleEndian):
    """Preamble and file meta, to which hand-made bytes are joined."""
    value = str(syntax).encode()
    value += b"\0" * (len(value) % 2)
    return bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(value)) + value


def bare(tag, length):
    return struct.pack("<HHL", *tag, length)


def long(tag, vr, length):
    return struct.pack("<HH2sHL", *tag, vr, 0, length)


def inflates_to_two_gigabytes(grey_file):
    """2 MB: deflate can't do better than 1032 to 1, so no file of 1 MB gives 2 GB."""
    dataset = pydicom.dcmread(grey_file(np.zeros((4, 4), np.uint8)))
    del dataset.PixelData
    dataset.save_as(dataset.filename)
    header = Path(dataset.filename).read_bytes()
    data_set = header[132 + 12 + dataset.file_meta.FileMetaInformationGroupLength :]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = deflate.compress(data_set + long((0x7FE0, 0x10), b"OB", 1 << 31)) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(1 << 26)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return head(DeflatedExplicitVRLittleEndian) + start + block * 32 + deflate.flush()


def rle_of_65535_squared(grey_file):
    dataset = pydicom.dcmread(grey_file(np.zeros((4, 4), np.uint8), Rows=65535, Columns=65535))
    dataset.file_meta.TransferSyntaxUID = RLELossless
    segment = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 1000
    dataset.PixelData = encapsulate([segment])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(dataset.filename, enforce_file_format=True)
    return Path(dataset.filename).read_bytes()


def nested(count, lengths):
    """So many sequences in one another, of undefined length or with the lengths told."""
    if not lengths:
        return (long(SEQUENCE, b"SQ", UNDEFINED) + bare(ITEM, UNDEFINED)) * count
    openings, size = [], 0
    for _ in range(count):
        openings.append(long(SEQUENCE, b"SQ", size + 8) + bare(ITEM, size))
        size += 20
    return b"".join(reversed(openings))


def uid_that_is_a_path(grey_file):
    return grey_file(np.zeros((4, 4), np.uint8), SOPInstanceUID="/etc/x").read_bytes()


def items_up_to_the_limit(grey_file):
    items = bare(ITEM, 0) * 399_000
    return head() + long(SEQUENCE, b"SQ", UNDEFINED) + items + bare(SEQUENCE_END, 0)


BOMBS = {
    "deflated to 2 GB": (inflates_to_two_gigabytes, "too-large"),
    "length 0xF0000000": (lambda _: head() + long((0x7FE0, 0x10), b"OW", 0xF0000000) + bytes(100), "truncated"),
    "20,000 nested sequences": (lambda _: head() + nested(20_000, lengths=False), "too-deep"),
    "RLE of 65535 x 65535": (rle_of_65535_squared, "too-large"),
    "SOPInstanceUID /etc/x": (uid_that_is_a_path, "bad-header"),
}
IMPLICIT = head(ImplicitVRLittleEndian)
MORE = {
    "length in implicit form": (IMPLICIT + bare((0x0028, 0x1050), 0xF0000000) + bytes(100), "truncated"),
    "length in file meta": (head() + long((2, 0x102), b"OB", 0xF0000000) + bytes(100), "truncated"),
    "nested sequences with lengths": (head() + nested(20_000, lengths=True), "too-deep"),
    "a million centers": (IMPLICIT + bare((0x0028, 0x1050), 2_000_000) + b"1\\" * 1_000_000, "too-large"),
    "a million items": (head() + long(SEQUENCE, b"SQ", 8_000_000) + bare(ITEM, 0) * 1_000_000, "too-large"),
    "file meta of 2 MB": (head() + long((2, 0x102), b"OB", 2 << 20) + bytes(2 << 20), "too-large"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_is_refused_soon_and_small(name, grey_file, tmp_path):
    make, reason = BOMBS[name]
    path = tmp_path / "bomb.dcm"
    path.write_bytes(make(grey_file))
    assert path.stat().st_size < 3_000_000
    found = outcome(path)
    print(f"{name}: {found['seconds']:.3f} s, {found['megabytes']:.0f} MB")  # noqa: T201
    assert found["reasons"] == [reason]
    assert found["seconds"] < SECONDS
    assert found["megabytes"] < MEGABYTES


def test_others_of_their_kind(tmp_path):
    paths = [tmp_path / f"{number}.dcm" for number in range(len(MORE))]
    for path, (raw, _) in zip(paths, MORE.values(), strict=True):
        path.write_bytes(raw)
    found = outcome(*paths)
    assert dict(zip(MORE, found["reasons"], strict=True)) == {name: reason for name, (_, reason) in MORE.items()}
    assert found["seconds"] < 2 * SECONDS  # to count 400,000 items takes a third of a second
    assert found["megabytes"] < MEGABYTES


@pytest.mark.slow
def test_just_below_the_limits_fits_in_memory(grey_file, tmp_path):
    """As many empty items as are let through, the worst that a header does to pydicom's memory a byte."""
    path = tmp_path / "items.dcm"
    path.write_bytes(items_up_to_the_limit(grey_file))
    found = outcome(path)
    print(f"{found['seconds']:.3f} s, {found['megabytes']:.0f} MB")  # noqa: T201
    assert found["reasons"] == ["bad-header"]
    assert found["megabytes"] < MEGABYTES
