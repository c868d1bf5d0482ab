"""Files with bytes flipped, cut out, inserted, repeated and overwritten: they load, or are refused with a reason."""

import importlib.util
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radvit.data.loader import Loader
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.directory import read_directory
from radvit.dicom.limits import Limits
from radvit.errors import DeidError, DicomReadError
from radvit.pool import Died, Guard, WorkerPool

spec = importlib.util.spec_from_file_location("seeds", Path(__file__).parents[1] / "fuzz" / "seeds.py")
seeds = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seeds)

LIMITS = Limits(pixel_bytes=1 << 22, inflated_bytes=1 << 22)
LOADER = Loader(Pseudonymizer(bytes(range(32))), LIMITS)
BUNDLED = {name: raw for name, raw in seeds.bundled().items() if "dicomdirtests" not in name and len(raw) < 30_000}
PLAIN = {**{name: raw for name, raw in BUNDLED.items() if seeds.is_plain(raw)}, **seeds.generated()}
CODED = {name: raw for name, raw in BUNDLED.items() if name not in PLAIN}  # native decoders, which may crash
DIRECTORY = (seeds.BUNDLED / "dicomdirtests/DICOMDIR").read_bytes()

HEADER_BYTES = 4000
LENGTHS = (0, 1, 2, 7, 8, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xF0000000, 0xFFFFFFFE, 0xFFFFFFFF)
WORDS = (b"nan", b"inf", b"-1", b"1e999", b"\\\\\\", b"0\0", b"\xfe\xff\0\xe0", b"\xfe\xff\x0d\xe0",
         b"\xfe\xff\xdd\xe0", b"SQ", b"UN", b"OB", b"DS", b"\0" * 8, b"\xff" * 8)  # fmt: skip


@st.composite
def mutated(draw, files):
    """One of the files with 1 to 4 changes, most of them in its header."""
    data = bytearray(draw(st.sampled_from(list(files.values()))))
    for _ in range(draw(st.integers(1, 4))):
        top = len(data) if draw(st.integers(0, 3)) == 0 else min(len(data), HEADER_BYTES)
        at = draw(st.integers(132, max(132, top - 1)))
        size = draw(st.sampled_from([1, 2, 4, 8, 20, 100, 1000]))
        match draw(st.sampled_from(["byte", "word", "length", "delete", "insert", "repeat", "cut"])):
            case "byte":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "word":
                word = draw(st.sampled_from(WORDS))
                data[at : at + len(word)] = word
            case "length":
                length = struct.pack("<L", draw(st.sampled_from(LENGTHS)))[: draw(st.sampled_from([2, 4]))]
                data[at : at + len(length)] = length
            case "delete":
                del data[at : at + size]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=size))
            case "repeat":
                data[at:at] = data[at : at + size] * draw(st.integers(1, 20))
            case "cut":
                del data[at:]
    return bytes(data)


REASONS = frozenset(
    [
        "not-dicom",
        "truncated",
        "too-large",
        "too-deep",
        "bad-syntax",
        "bad-header",
        "not-an-image",
        "no-pixels",
        "not-grayscale",
        "decode-failed",
        "bad-pixels",
        "bad-picture",
        "deid",
    ]
) | {""}


def load(path):
    """The reason of a refusal, or none. Anything else that is raised fails the test."""
    try:
        LOADER.load(path)
    except DicomReadError as error:
        return error.reason
    except DeidError:
        return "deid"
    return ""


def check(examples):
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )


def test_the_files_to_mutate_are_read_as_they_are(tmp_path):
    """Else the mutations would only ever meet the first checks."""
    reasons = []
    for raw in (PLAIN | CODED).values():
        (tmp_path / "whole.dcm").write_bytes(raw)
        reasons.append(load(tmp_path / "whole.dcm"))
    assert len(PLAIN) > 20
    assert len(CODED) > 5
    assert reasons.count("") > 15
    for name, raw in seeds.generated().items():
        (tmp_path / "whole.dcm").write_bytes(raw)
        assert load(tmp_path / "whole.dcm") == "", name


@check(4000)
@given(raw=mutated(PLAIN))
def test_plain_files(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "plain.dcm"
    path.write_bytes(raw)
    assert load(path) in REASONS


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(1, Guard(memory_mb=512, deadline_s=20), (Loader.__module__,)) as pool:
        yield pool


@check(600)
@given(raw=mutated(CODED))
def test_coded_files_cost_at_most_their_worker(tmp_path_factory, pool, raw):
    path = tmp_path_factory.getbasetemp() / "coded.dcm"
    path.write_bytes(raw)
    try:
        ((_, images),) = pool.ordered(LOADER.load, [path], 1)
    except (DicomReadError, DeidError):
        return
    assert not isinstance(images, Died) or images.reason in ("crashed", "memory")


@check(600)
@given(raw=mutated({"DICOMDIR": DIRECTORY}))
def test_directories(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "DICOMDIR"
    path.write_bytes(raw)
    try:
        directory = read_directory(path, LIMITS)
    except DicomReadError:
        return
    assert directory.files == ()
