"""What dciodvfy, the validator of dicom3tools, finds wrong with an output that was right in its input."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from radvit.dicom.quiet import silence_pydicom

VALIDATOR = "dciodvfy"
_SECONDS = 60
_VALUE = re.compile(r"= (<.*?>|'.' \(0x[0-9a-f]+\))(?= - |$)")


@dataclass(frozen=True, slots=True)
class Conformance:
    """files: outputs looked at. broken: (input, an error of its output that the input does not have)."""

    files: int
    broken: tuple[tuple[str, str], ...]


def conformance(originals: Path, outputs: Path, mapping: Mapping[str, Path]) -> Conformance | None:
    """Validate each output beside its input; a missing one is left out. None where dciodvfy isn't installed.

    Two errors are one where they differ in the quoted value alone.
    """
    tool = shutil.which(VALIDATOR)
    if tool is None:
        return None
    silence_pydicom()
    found = {file: path for file, path in mapping.items() if (outputs / path).is_file()}
    broken: list[tuple[str, str]] = []
    for file, path in found.items():
        new = errors_of(tool, outputs / path) - errors_of(tool, originals / file)
        broken.extend((file, error) for error in sorted(new))
    return Conformance(len(found), tuple(broken))


def errors_of(tool: str, path: Path) -> frozenset[str]:
    """The errors of a file, without the values that they quote."""
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        readable = _inflated(path, Path(made))
        done = subprocess.run([tool, "-new", str(readable)], capture_output=True, timeout=_SECONDS, check=False)
    return _errors(done.stderr.decode("utf-8", "replace").splitlines())


def _errors(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(_VALUE.sub("= ...", line).strip() for line in lines if line.startswith("Error"))


def _inflated(path: Path, folder: Path) -> Path:
    """A copy that is not deflated, as dciodvfy can't read those; the file itself where it isn't."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    if dataset.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return path
    whole = pydicom.dcmread(path)
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    copy = folder / "inflated.dcm"
    whole.save_as(copy)
    return copy
