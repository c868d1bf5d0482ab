"""Which files to take, by rules on their headers that stand in a JSON file.

    {"include": [{"Modality": ["CR", "DX"], "BodyPartExamined": "CHEST", "ViewPosition": {"regex": "^(PA|AP)$"}}],
     "exclude": [{"SeriesDescription": {"regex": "scout|localizer"}}, {"SliceThickness": {"min": 5}}]}

A file is taken if any of the include rules holds, or there are none, and no exclude rule does. A rule holds if all of
its conditions do. It names attributes by the keywords of PS3.6, and `orientation`: axial, sagittal, coronal or oblique,
by the image plane. A condition is a value or a list of values (words without regard to case, numbers as numbers),
`{"regex": "..."}` (searched, without regard to case), `{"min": a, "max": b}` (either may be left out; dates as
20240131, ages in years) or `{"present": true}`, which an empty value isn't. Of several values of an attribute, and of
several frames, any may meet the condition; a sequence of codes has the codes and their meanings as its values. An
attribute that is absent, empty or malformed meets `{"present": false}` alone.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from radvit.dicom.quiet import silence_pydicom
from radvit.errors import ConfigError, DicomReadError

silence_pydicom()

ORIENTATION = "orientation"
ORIENTATIONS = ("sagittal", "coronal", "axial", "oblique")  # the first three by the axis of LPS that is their normal
# A plane tilted further than this from an axis of the patient is oblique: the limit of Clunie's dicom3tools.
OBLIQUE_BELOW = 0.8
_LONGEST_TEXT = 1024  # characters that a regular expression sees
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_CODED = ("CodeValue", "CodeMeaning")
_LONGEST_SHOWN = 60  # characters of a rule in an error message
_UNFIT = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})  # values that are no text and no number


@dataclass(frozen=True, slots=True)
class Words:
    """One of these: texts (case-folded) or numbers."""

    texts: frozenset[str]
    numbers: frozenset[float]

    def met_by(self, values: list[Any]) -> bool:
        """Whether any value equals one of them."""
        return any(_text(value) in self.texts or _number(value) in self.numbers for value in values)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, found anywhere in the value."""

    pattern: re.Pattern[str]

    def met_by(self, values: list[Any]) -> bool:
        """Whether the pattern is found in any value."""
        return any(self.pattern.search(str(value)[:_LONGEST_TEXT]) for value in values)


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included."""

    low: float
    high: float

    def met_by(self, values: list[Any]) -> bool:
        """Whether any value is a number within the bounds."""
        return any(self.low <= _number(value) <= self.high for value in values)


@dataclass(frozen=True, slots=True)
class Present:
    """With a value, or without one."""

    wanted: bool

    def met_by(self, values: list[Any]) -> bool:
        """Whether there is a value, as wanted."""
        return bool(values) == self.wanted


Condition: TypeAlias = Words | Pattern | Between | Present
Rule: TypeAlias = tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Rules that say which files to take. name: of the file they come from. source: them as JSON. Can be pickled."""

    include: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    name: str = "the selection"
    source: str = "{}"

    @property
    def rules(self) -> int:
        """How many there are; without any, every file is taken."""
        return len(self.include) + len(self.exclude)

    def check(self, dataset: Dataset) -> None:
        """Raise DicomReadError (`not-selected`) where the rules leave a file out; the message quotes no value.

        dataset: as read, since de-identification removes much of what rules ask for.
        """
        missed = [_unmet(rule, dataset) for rule in self.include]
        if missed and None not in missed:
            words = ", ".join(f"{number} for its {keyword}" for number, keyword in enumerate(missed, 1))
            raise DicomReadError("not-selected", f"meets no include rule of {self.name}: not {words}")
        for number, rule in enumerate(self.exclude, 1):
            if _unmet(rule, dataset) is None:
                raise DicomReadError("not-selected", f"meets exclude rule {number} of {self.name}")


def read_rules(path: Path) -> Selection:
    """Read rules from a JSON file.

    Raises ConfigError, naming every problem, where the file or a rule isn't as the top of this module says.
    """
    try:
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_distinct)
    except OSError as error:
        raise ConfigError(f"{path}: can't read it: {error.strerror}; expected a JSON file of rules") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}; expected a JSON file of rules") from None
    return parse_rules(content, path.name)


def parse_rules(content: object, name: str = "the selection") -> Selection:
    """Rules from what a JSON file holds. Raises ConfigError, naming every problem."""
    problems: list[str] = []
    groups = content if isinstance(content, dict) else {}
    if not groups or set(groups) - {"include", "exclude"}:
        problems.append('expected {"include": [...], "exclude": [...]}, either or both, and nothing else')
    include, exclude = (tuple(_rules(groups.get(key, []), key, problems)) for key in ("include", "exclude"))
    if not problems and not include and not exclude:
        problems.append("no rules; expected at least one")
    if problems:
        raise ConfigError(f"{name}: " + "; ".join(problems))
    return Selection(include, exclude, name, json.dumps(content, sort_keys=True))


def orientations(dataset: Dataset) -> set[str]:
    """The image planes of a file's frames; empty where it tells none, as radiographs do. Source: PS3.3 C.7.6.2.1.1."""
    planes = (plane_of(source) for source in (dataset, *_macros(dataset)))
    return {plane for plane in planes if plane is not None}


def plane_of(source: Dataset) -> str | None:
    """The image plane that a data set's own direction cosines tell, or None."""
    cosines = [_number(value) for value in _own_values(source, "ImageOrientationPatient")]
    if len(cosines) != 6 or not np.isfinite(cosines).all():
        return None
    row, column = np.array(cosines).reshape(2, 3)
    normal = np.abs(np.cross(row, column))
    length = float(np.linalg.norm(normal))
    if not 0 < length < math.inf:
        return None
    axis = int(normal.argmax())
    return ORIENTATIONS[axis] if normal[axis] >= OBLIQUE_BELOW * length else "oblique"


def _unmet(rule: Rule, dataset: Dataset) -> str | None:
    """The keyword of a rule's first condition that doesn't hold, or None where all do."""
    return next((keyword for keyword, condition in rule if not condition.met_by(_values(dataset, keyword))), None)


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    """All values of an attribute that aren't empty: those of the file as a whole, or else those of its frames."""
    if keyword == ORIENTATION:
        return sorted(orientations(dataset))
    whole = list(_own_values(dataset, keyword))
    return whole or [value for macro in _macros(dataset) for value in _own_values(macro, keyword)]


def _macros(dataset: Dataset) -> Iterator[Dataset]:
    """The items that describe the frames, those that all share and those of each one (PS3.3 C.7.6.16)."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in _items(dataset, groups):
            for tag in group.keys():  # noqa: SIM118 - iterating a data set parses its elements
                yield from _items(group, tag)[:1]


def _items(dataset: Dataset, name: str | int) -> list[Dataset]:
    """The items of a sequence; none where it is absent, malformed or no sequence."""
    try:
        element = dataset[name]
        return list(element.value) if element.VR == "SQ" else []
    except Exception:  # noqa: BLE001 - a malformed value counts as absent
        return []


def _own_values(dataset: Dataset, keyword: str) -> Iterator[Any]:
    try:
        value = dataset[keyword].value if keyword in dataset else None
        values = list(value) if isinstance(value, MutableSequence) else [value]
    except Exception:  # noqa: BLE001 - a malformed value counts as absent
        return
    for one in values:
        if isinstance(one, Dataset):
            yield from (text for name in _CODED for text in _own_values(one, name))
        elif one is not None and not isinstance(one, bytes) and str(one).strip():
            yield one


def _text(value: Any) -> str:
    return str(value).strip().casefold()


def _number(value: Any) -> float:
    """A value as a number, an age in years; NaN, which equals nothing, where it is none."""
    text = str(value).strip()
    try:
        if text[-1:] in _YEARS and text[:-1].isdecimal():
            return float(text[:-1]) * _YEARS[text[-1]]
        return float(text)
    except ValueError:
        return math.nan


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file, in which a key that stands twice would hide one of the two."""
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"key {twice[0]!r} stands twice in one object")
    return dict(pairs)


def _rules(content: object, group: str, problems: list[str]) -> Iterator[Rule]:
    if not isinstance(content, list):
        problems.append(f"{group}: {_shown(content)}; expected a list of rules")
        return
    for number, rule in enumerate(content, 1):
        if not isinstance(rule, dict) or not rule:
            problems.append(f"{group} rule {number}: {_shown(rule)}; expected an object of conditions by keyword")
            continue
        place = f"{group} rule {number}, "
        conditions = [(keyword, _condition(keyword, asked, place, problems)) for keyword, asked in rule.items()]
        yield tuple((keyword, condition) for keyword, condition in conditions if condition is not None)


def _condition(keyword: str, asked: object, place: str, problems: list[str]) -> Condition | None:
    """One condition, or None where it is malformed, which then stands among the problems."""
    fault = _keyword_fault(keyword)
    try:
        if fault is None:
            condition = _plain(asked) if not isinstance(asked, dict) else _special(asked)
            fault = _orientation_fault(condition) if keyword == ORIENTATION else None
            if fault is None:
                return condition
    except (TypeError, ValueError, re.error) as error:
        fault = str(error)
    problems.append(f"{place}{keyword}: {fault}")
    return None


def _keyword_fault(keyword: str) -> str | None:
    if keyword == ORIENTATION:
        return None
    tag = tag_for_keyword(keyword)
    if tag is None:
        near = difflib.get_close_matches(keyword, [*keyword_dict, ORIENTATION], 1)
        return "no keyword of PS3.6" + (f"; did you mean {near[0]}?" if near else ", such as Modality")
    unfit = _UNFIT.issuperset(dictionary_VR(tag).split(" or "))
    return "holds no text and no number; expected another attribute" if unfit else None


def _orientation_fault(condition: Condition) -> str | None:
    fit = isinstance(condition, Present) or (
        isinstance(condition, Words) and not condition.numbers and condition.texts <= set(ORIENTATIONS)
    )
    return None if fit else f"expected {', '.join(ORIENTATIONS)}, or a list of some of them"


def _plain(asked: object) -> Words:
    values: list[Any] = asked if isinstance(asked, list) else [asked]
    texts = [_text(value) for value in values if isinstance(value, str) and value.strip()]
    numbers = [float(value) for value in values if _is_number(value)]
    if not values or len(texts) + len(numbers) < len(values):
        raise ValueError(f"{_shown(asked)}; expected a text, a number, a list of them, or a condition in braces")
    return Words(frozenset(texts), frozenset(numbers))


def _special(asked: dict[str, Any]) -> Condition:
    """A condition in braces. Raises ValueError or re.error."""
    match asked:
        case {"regex": str(pattern), **rest} if not rest:
            return Pattern(re.compile(pattern, re.IGNORECASE))
        case {"present": bool(wanted), **rest} if not rest:
            return Present(wanted)
    low, high = asked.get("min", -math.inf), asked.get("max", math.inf)
    if not asked or set(asked) - {"min", "max"} or not (_is_number(low) and _is_number(high) and low <= high):
        raise ValueError(f"{_shown(asked)}; expected regex, present, or min and max with numbers, min not above max")
    return Between(float(low), float(high))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _shown(content: object) -> str:
    text = json.dumps(content)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
