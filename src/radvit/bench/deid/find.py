"""What stands at a place of a written file, read by pydicom alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import DataElement, Dataset

from radvit.bench.deid.answer import PREAMBLE

_STEP = re.compile(r"(?P<tag>[0-9A-F]{8})(\[(?P<item>[0-9]+)\])?\Z")
_PRIVATE = re.compile(r"(?P<group>[0-9A-F]{4}):(?P<creator>[^/]+):(?P<element>[0-9A-F]{2})\Z")
_META_GROUP = "0002"


@dataclass(frozen=True)
class Opened:
    """A file that has been read. Raises what pydicom raises where it can't be."""

    path: Path

    @cached_property
    def dataset(self) -> Dataset:
        """All of it."""
        return pydicom.dcmread(self.path, force=True)

    @cached_property
    def pixels(self) -> npt.NDArray[Any]:
        """Stored values as pydicom decodes them."""
        return np.asarray(self.dataset.pixel_array)

    def text_at(self, path: str) -> str | None:
        """The value at a place as the key writes it; several are joined by backslashes. None where nothing is there."""
        if path == PREAMBLE:
            return _decoded(bytes(self.dataset.preamble or b"")).strip("\0 ")
        *steps, last = path.split("/")
        dataset = self.dataset.file_meta if last.startswith(_META_GROUP) and not steps else self.dataset
        for step in steps:
            inner = _item(dataset, step)
            if inner is None:
                return None
            dataset = inner
        element = _element(dataset, last)
        return None if element is None else _text(element)


def _item(dataset: Dataset, step: str) -> Dataset | None:
    match = _STEP.match(step)
    if match is None:
        raise ValueError(f"step {step!r} of a path; expected a tag with the number of an item")
    element = dataset.get(int(match["tag"], 16))
    if element is None or element.VR != "SQ" or len(element.value) <= int(match["item"]):
        return None
    return element.value[int(match["item"])]


def _element(dataset: Dataset, step: str) -> DataElement | None:
    private = _PRIVATE.match(step)
    if private is None:
        return dataset.get(int(step, 16))
    try:
        block = dataset.private_block(int(private["group"], 16), private["creator"])
        return block[int(private["element"], 16)]
    except KeyError:
        return None


def _text(element: DataElement) -> str:
    value = element.value
    if value is None:
        return ""
    if element.VR == "SQ":
        return "\\".join("(item)" for _ in value)
    if isinstance(value, (bytes, bytearray)):
        return _decoded(bytes(value)).strip("\0 ")
    values = value if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]
    return "\\".join("" if part is None else str(part).strip("\0 ") for part in values)


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
