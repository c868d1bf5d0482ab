"""De-identify a whole header by the Basic Profile: a new data set, every attribute treated at every depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.tag import BaseTag

from radvit.deid import private
from radvit.deid.identifiers import Identifiers
from radvit.deid.options import CLEANED_DESCRIPTORS, ENUMERATED, Option
from radvit.deid.profile import FIXED_WORDS
from radvit.deid.pseudonym import OWN_UIDS, Pseudonymizer, is_well_known
from radvit.deid.rules import Action, Place, Rules
from radvit.deid.tables import CURVES, OVERLAYS, type_of
from radvit.deid.text import clean_text, cut_identifiers, cut_suspicious
from radvit.deid.values import dummy, legal_time, limit_age, repaired, shift_date, shift_date_time

_DEPTH = 32
_PIXELS, _OTHER_PIXELS = 0x7FE0, range(0x7F00, 0x8000)
_OVERLAY_TEXTS = (0x0022, 0x1500, 0x4000)  # description, label, comments
# Attributes that an object may hold only where another one has a value (PS3.3 C.7.1.1).
_ONLY_WITH = (("ResponsiblePersonRole", "ResponsiblePerson"),)
_CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion")
_TEMPORAL = ("DA", "DT", "TM")
_TEXTS = ("LO", "SH", "UC", "ST", "LT", "UT", "CS", "AE", "UR", "PN")
_WORDS = ("LO", "SH", "UC", "ST", "LT", "UT", "UR")  # texts that a person typed; others are coded
_OTHER_MODALITY = "OT"  # PS3.3 C.7.3.1.1.1
_GONE = object()


@dataclass(slots=True)
class Tally:
    """What was done: the number of elements by letter and attribute (keyword, or tag), and of private ones by fate."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    private_removed: int = 0
    private_kept: int = 0

    def add(self, action: Action, name: str) -> None:
        """Count one element."""
        self.done[action.letter, name] += 1


@dataclass(frozen=True, slots=True)
class Walk:
    """The walk over one file. identity: what its patient is told apart by. tally: counts along."""

    rules: Rules
    pseudonymizer: Pseudonymizer
    identity: str
    identifiers: Identifiers
    sop_class: str
    tally: Tally = field(default_factory=Tally)

    def header(self, dataset: Dataset) -> Dataset:
        """A new data set without identity and without pixel data. The input is left as it is."""
        return self._items_of(dataset, "", _DEPTH, plain=False)

    def _items_of(self, dataset: Dataset, parent: str, depth: int, plain: bool) -> Dataset:
        """One data set or item. plain: every value becomes a dummy."""
        clean = Dataset()
        safe: list[BaseTag] = []
        for tag in sorted(dataset.keys()):
            if tag.is_private:
                safe += [tag] if self._is_safe(dataset, tag) else []
            elif self._is_of_standard(tag):
                self._put(clean, dataset, tag, Place(self.sop_class, parent), depth, plain)
        for dependent, other in _ONLY_WITH:
            if dependent in clean and not clean.get(other):
                del clean[dependent]
        for tag in (*private.creators_of(safe), *safe):
            clean.add(DataElement(tag, dataset[tag].VR, dataset[tag].value))
        return clean

    def _put(self, clean: Dataset, dataset: Dataset, tag: BaseTag, place: Place, depth: int, plain: bool) -> None:
        name = keyword_for_tag(tag)
        try:
            element = dataset[tag]
            action = self._action(element, name, place, plain) if _is_as_told(element) else Action.REMOVE
            value = self._value(action, element, name, place, depth, plain)
            made = None if value is _GONE else DataElement(tag, element.VR, value)
            if action is Action.UID and made is not None and made.value == element.value:
                action = Action.KEEP
        except Exception:  # noqa: BLE001 - whatever a malformed value raises, leaving it out is safe
            action, made = Action.REMOVE, None
        self.tally.add(Action.REMOVE if made is None else action, _name(tag))
        if made is not None:
            clean.add(made)

    def _is_of_standard(self, tag: BaseTag) -> bool:
        """Whether an element is walked: no command, group length, character set, curve, pixels, or unknown tag."""
        if tag.element == 0 or tag.group in (0x0000, 0x0002, _PIXELS) or tag == 0x00080005:
            return False
        lettered = tag.element in _OVERLAY_TEXTS and Option.CLEAN_DESCRIPTORS not in self.rules.options
        overlay = tag.group in OVERLAYS and Option.CLEAN_GRAPHICS in self.rules.options and not lettered
        other = tag.group in CURVES or tag.group in _OTHER_PIXELS or not keyword_for_tag(tag)
        if (tag.group in OVERLAYS and not overlay) or other:
            self.tally.add(Action.REMOVE, _name(tag))
            return False
        return True

    def _is_safe(self, dataset: Dataset, tag: BaseTag) -> bool:
        try:
            safe = Option.SAFE_PRIVATE in self.rules.options and private.is_safe(dataset, tag)
        except Exception:  # noqa: BLE001 - a malformed value is not safe
            safe = False
        self.tally.private_kept += safe
        self.tally.private_removed += not safe
        return safe

    def _action(self, element: DataElement, name: str, place: Place, plain: bool) -> Action:
        if plain:
            return Action.DUMMY
        action = self.rules.action(int(element.tag), name, str(element.VR), place)
        if element.is_empty and action not in (Action.REMOVE, Action.PATIENT, Action.DUMMY):
            return Action.KEEP
        return action

    def _value(self, action: Action, element: DataElement, name: str, place: Place, depth: int, plain: bool) -> Any:
        """The value that takes the element's place, or _GONE."""
        if action is Action.REMOVE:
            return _GONE
        if element.VR == "SQ":
            return self._sequence(action, element, name, depth, plain)
        match action:
            case Action.EMPTY:
                return None
            case Action.DUMMY:
                return _each(element, partial(self._uid, name)) if element.VR == "UI" else dummy(str(element.VR))
            case Action.PATIENT:
                return self._patient(element, name, place)
            case Action.UID:
                return _each(element, partial(self._uid, name))
            case Action.SHIFT:
                days = self.pseudonymizer.offset_days(self.identity)
                return self._needed(_each(element, partial(_shifted, str(element.VR), days)), element, name, place)
            case Action.CLEAN | Action.CUT:
                return self._needed(_each(element, self._cleaning(element, name)), element, name, place)
            case _:
                return self._kept(element, name)

    def _kept(self, element: DataElement, name: str) -> Any:
        """A value that stays, as far as it is what its kind says, and no text with an identifier in it."""
        vr = str(element.VR)
        if vr == "AS":
            return _aged(element)
        if vr in _TEMPORAL:
            return _each(element, partial(_shifted, vr, 0))
        if name in ENUMERATED:
            return _each(element, lambda text: text if text in ENUMERATED[name] else "")
        if vr in _TEXTS:
            return _each(element, lambda text: cut_identifiers(text, self.identifiers))
        return element.value

    def _sequence(self, action: Action, element: DataElement, name: str, depth: int, plain: bool) -> Any:
        if action is Action.EMPTY:
            return []
        if not depth:
            return _GONE
        plain = plain or action is Action.DUMMY
        return [self._items_of(item, name, depth - 1, plain) for item in element.value]

    def _patient(self, element: DataElement, name: str, place: Place) -> str:
        """The patient's pseudonym; below the top level, other numbers get pseudonyms of their own."""
        own = str(element.value or "").strip() if name == "PatientID" and place.parent else ""
        return self.pseudonymizer.patient(own or self.identity)

    def _uid(self, name: str, uid: str) -> str:
        given_out = name not in OWN_UIDS and is_well_known(uid)
        return uid if not uid or given_out else self.pseudonymizer.uid(uid)

    def _cleaning(self, element: DataElement, name: str) -> Callable[[str], str]:
        """Free text is cleaned of all that looks like an identifier, a coded word only of the header's identifiers."""
        fixed = FIXED_WORDS.get(name, frozenset())
        if name == "Modality":
            return lambda text: text if text in fixed else _OTHER_MODALITY
        clean = cut_identifiers if name in _CODE_VALUES else cut_suspicious
        if name in CLEANED_DESCRIPTORS or (element.VR in _WORDS and name not in _CODE_VALUES):
            clean = clean_text
        return lambda text: text if text in fixed else clean(text, self.identifiers)

    def _needed(self, value: Any, element: DataElement, name: str, place: Place) -> Any:
        """A value that cleaning has emptied: a dummy where the object needs one."""
        emptied = not value if isinstance(value, str) else not any(value)
        if emptied and (name == "CodeMeaning" or type_of(place.sop_class, name, place.parent) == 1):
            return dummy(str(element.VR))
        return value


def _name(tag: BaseTag) -> str:
    """The attribute's keyword; the tag itself where it has none, or shares it with a repeating group."""
    repeats = tag.group in OVERLAYS or tag.group in CURVES
    return ("" if repeats else keyword_for_tag(tag)) or f"({tag.group:04X},{tag.element:04X})"


def _each(element: DataElement, change: Callable[[str], str]) -> Any:
    """The values of an element as texts, each changed."""
    if element.VM > 1:
        return [change(repaired(str(value))) for value in element.value]
    return change(repaired(str(element.value)))


def _shifted(vr: str, days: int, text: str) -> str:
    """A date, date-time or time of day moved back by days; empty where it is none."""
    match vr:
        case "DA":
            return shift_date(text.strip(), days)
        case "DT":
            return shift_date_time(text.strip(), days)
        case _:
            return legal_time(text.strip())


def _is_as_told(element: DataElement) -> bool:
    """Whether an element is of the kind that the dictionary says; of texts, any kind of text will do."""
    expected, found = dictionary_VR(element.tag).split(" or "), str(element.VR)
    return found in expected or (found in _TEXTS and expected[0] in _TEXTS)


def _aged(element: DataElement) -> Any:
    age = limit_age(str(element.value))
    return _GONE if age is None else age
