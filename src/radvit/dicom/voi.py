"""Which of a file's windows and look-up tables turns its values into grey, and how.

A file may offer several views of the same values (PS3.3 C.11.2.1): tables and windows, each with an explanation in the
maker's words. `resolve` leaves the chosen one alone in the data set. It runs before de-identification, which removes
the explanations; what it leaves is numbers, and `to_grey` applies them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np
from pydicom import Dataset

from radvit.dicom.coding import Values
from radvit.dicom.copying import changed
from radvit.dicom.frames import PER_FRAME, SHARED, has
from radvit.errors import ConfigError, DicomReadError

_TABLES = "VOILUTSequence"
_WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
_LONGEST_TEXT = 64  # characters of an explanation (LO, PS3.5 6.2) that an expression is searched in


class Rule(Enum):
    """Which view is taken of a file that offers several."""

    FIRST = "the first table, else the first valid window"
    WIDEST = "the valid window of the largest width, else as first"
    NARROWEST = "the valid window of the smallest width, else as first"
    PERCENTILE = "none of the file's: its middle 99 % of values"


@dataclass(frozen=True, slots=True)
class Voi:
    """How grey values are windowed.

    explanation: a regular expression, any case, searched in the explanations of windows and tables; the first that it
    fits is taken, and where none fits the rule holds. center, width: one window for all files, on modality values (HU
    of a CT), LINEAR_EXACT; it overrides all else. Raises ConfigError where they can't be used.
    """

    rule: Rule = Rule.FIRST
    explanation: str | None = None
    center: float | None = None
    width: float | None = None

    def __post_init__(self) -> None:
        if (self.center is None) != (self.width is None):
            raise ConfigError(f"window center {self.center}, width {self.width}; expected both or neither")
        if self.fixed is not None and not self.fixed.valid:
            raise ConfigError(f"window center {self.center}, width {self.width}; expected numbers, width above 0")
        try:
            re.compile(self.explanation or "")
        except re.error as error:
            raise ConfigError(f"explanation {self.explanation!r} is no regular expression: {error}") from None

    @property
    def fixed(self) -> Window | None:
        """The window for all files, where there is one."""
        if self.center is None or self.width is None:
            return None
        return Window("LINEAR_EXACT", self.center, self.width)

    @property
    def ignores_file(self) -> bool:
        """Whether the file's own views don't count; `resolve` has seen to those that an explanation picks."""
        return self.rule is Rule.PERCENTILE and self.explanation is None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "rule": self.rule.name.lower()}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Voi:
        """The inverse of to_dict. Raises ConfigError where a field is unknown or of the wrong kind."""
        try:
            return Voi(**{**record, "rule": Rule[str(record.get("rule", "first")).upper()]})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"windowing {dict(record)} can't be read: {type(error).__name__}: {error}") from error


DEFAULT = Voi()


@dataclass(frozen=True, slots=True)
class Window:
    """A window: values to grey in [0, 1]. function: LINEAR, LINEAR_EXACT or SIGMOID."""

    function: str
    center: float
    width: float

    @property
    def valid(self) -> bool:
        """Whether the standard defines it: PS3.3 C.11.2.1.2.1, C.11.2.1.3."""
        least = self.width >= 1 if self.function == "LINEAR" else self.width > 0
        return self.function in _SHAPES and least and math.isfinite(self.center) and math.isfinite(self.width)

    def __call__(self, values: Values) -> Values:
        """Modality values to grey."""
        return _SHAPES[self.function](values, self.center, self.width)

    def __str__(self) -> str:
        return f"window {self.function}, center {self.center:g}, width {self.width:g}"


@dataclass(frozen=True, slots=True)
class Table:
    """A look-up table: entries for first, first + 1, ...; the ends hold for what lies beyond (PS3.3 C.11.1.1.1).

    bits: of an entry. entries: unsigned 16-bit integers of this machine.
    """

    first: int
    bits: int
    entries: bytes

    @property
    def outputs(self) -> Values:
        """The entries, (count,)."""
        return np.frombuffer(self.entries, np.uint16).astype(np.float64)

    def __call__(self, values: Values) -> Values:
        """The entry of each value."""
        outputs = self.outputs
        return outputs[np.clip(np.rint(values - self.first), 0, len(outputs) - 1).astype(np.int64)]

    def shares(self, values: Values) -> Values:
        """The entry of each value over the largest that its bits allow, [0, 1]."""
        return np.clip(self(values) / ((1 << self.bits) - 1), 0, 1)

    @staticmethod
    def of(item: Dataset, little_endian: bool, highest: float) -> Table:
        """Read a LUT item. highest: the largest value that is looked up. Raises DicomReadError (`bad-pixels`)."""
        count, first, bits = (int(v) for v in item.LUTDescriptor)
        count = count or 1 << 16
        if first >= 1 << 15 and first > highest:
            first -= 1 << 16  # a negative first value that was read as unsigned
        entries = _entries(item.LUTData, count, bits, little_endian)
        if len(entries) < count or not 1 <= bits <= 16:
            raise DicomReadError(
                "bad-pixels", f"look-up table of {len(entries)} entries, {bits} bits; expected {count}"
            )
        return Table(first, bits, entries[:count].astype(np.uint16).tobytes())


def _entries(data: Any, count: int, bits: int, little_endian: bool) -> Values:
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.float64))
    if bits <= 8 and len(data) == count + count % 2 < 2 * count:  # entries of 8 bits, packed
        return np.frombuffer(data, np.uint8)[:count].astype(np.float64)
    return np.frombuffer(data, "<u2" if little_endian else ">u2", count).astype(np.float64)


def linear(values: Values, center: float, width: float) -> Values:
    """LINEAR window into [0, 1]. Source: PS3.3 C.11.2.1.2.1. width: at least 1."""
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def linear_exact(values: Values, center: float, width: float) -> Values:
    """LINEAR_EXACT window into [0, 1]. Source: PS3.3 C.11.2.1.3.2. width: above 0."""
    return np.clip((values - center) / width + 0.5, 0, 1)


def sigmoid(values: Values, center: float, width: float) -> Values:
    """SIGMOID window into (0, 1). Source: PS3.3 C.11.2.1.3.1. width: above 0."""
    exponent = np.clip(-4 * (values - center) / width, -700, 700)
    return np.asarray(1 / (1 + np.exp(exponent)))


_SHAPES = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def windows(source: Dataset) -> list[Window]:
    """The windows of a data set, valid or not, in its order; a center without a width counts for nothing."""
    if not (has(source, "WindowCenter") and has(source, "WindowWidth")):
        return []
    function = str(source.get("VOILUTFunction") or "LINEAR").upper()
    pairs = zip(_list(source.WindowCenter), _list(source.WindowWidth), strict=False)
    return [Window(function, float(center), float(width)) for center, width in pairs]


def offers_view(source: Dataset) -> bool:
    """Whether a data set holds a table or a valid window."""
    return has(source, _TABLES) or any(window.valid for window in windows(source))


def resolve(dataset: Dataset, voi: Voi) -> Dataset:
    """The data set with nothing but the chosen window or table wherever it offers several, at every level.

    The same object where nothing is to choose; else a new one that shares what is unchanged. The input stays as it is.
    Raises DicomReadError (`bad-pixels`) where windows are malformed.
    """
    if voi.fixed is not None or (voi.explanation is None and voi.rule in (Rule.FIRST, Rule.PERCENTILE)):
        return dataset
    try:
        return _resolved(dataset, voi)
    except Exception as error:  # noqa: BLE001 - malformed windows; the text may quote the file
        raise DicomReadError("bad-pixels", f"the windows can't be read: {type(error).__name__}") from None


def _resolved(dataset: Dataset, voi: Voi) -> Dataset:
    chosen = _chosen(dataset, voi)
    groups = {}
    for keyword in (SHARED, PER_FRAME):
        before = list(dataset.get(keyword) or [])
        after = [_resolved_group(group, voi) for group in before]
        if any(new is not old for new, old in zip(after, before, strict=True)):
            groups[keyword] = after
    return changed(chosen, **groups) if groups else chosen


def _resolved_group(group: Dataset, voi: Voi) -> Dataset:
    """A functional group, the choice made in the first item of each of its sequences."""
    sequences = {}
    for element in group:
        if element.VR == "SQ" and element.value and (item := _chosen(element.value[0], voi)) is not element.value[0]:
            sequences[element.keyword] = [item]
    return changed(group, **sequences) if sequences else group


def _chosen(source: Dataset, voi: Voi) -> Dataset:
    """One level with the choice made; itself where there is nothing to choose."""
    tables, pairs = list(source.get(_TABLES) or []), windows(source)
    if not tables and not pairs:
        return source
    if voi.explanation is not None:
        explained = re.compile(voi.explanation, re.IGNORECASE)
        for item in tables:
            if explained.search(_text(item.get("LUTExplanation"))):
                return changed(source, _WINDOW, VOILUTSequence=[item])
        for index, text in enumerate(_list(source.get("WindowCenterWidthExplanation"))[: len(pairs)]):
            if explained.search(_text(text)):
                return _with_window(source, index)
    return _by_rule(source, pairs, voi.rule)


def _by_rule(source: Dataset, pairs: list[Window], rule: Rule) -> Dataset:
    valid = [index for index, window in enumerate(pairs) if window.valid]
    if rule is Rule.PERCENTILE:
        return changed(source, (*_WINDOW, _TABLES))
    if rule is Rule.FIRST or not valid:
        return source
    widest = max if rule is Rule.WIDEST else min
    return _with_window(source, widest(valid, key=lambda index: pairs[index].width))


def _with_window(source: Dataset, index: int) -> Dataset:
    """The level with this window alone."""
    center, width = _list(source.WindowCenter)[index], _list(source.WindowWidth)[index]
    return changed(source, (*_WINDOW, _TABLES), WindowCenter=center, WindowWidth=width)


def _list(value: Any) -> list[Any]:
    if value is None or isinstance(value, str) or not hasattr(value, "__iter__"):
        return [] if value is None else [value]
    return list(value)


def _text(value: Any) -> str:
    return str(value or "")[:_LONGEST_TEXT]
