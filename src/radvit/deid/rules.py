"""What becomes of an attribute: the Basic Profile's action, as the options in force change it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from radvit.deid import options as columns
from radvit.deid.options import Option, Options
from radvit.deid.tables import actions, type_of

_TEMPORAL = ("DA", "DT", "TM")
_TEXTS = ("LO", "SH", "UC", "ST", "LT", "UT", "CS", "AE", "UR")


# Of what the table doesn't list, values that nobody can look into stay only if they are tables of the picture.
_BYTES = ("OB", "OW", "OD", "OF", "OL", "OV", "UN", "OB or OW")
_COLOURS = ("Red", "Green", "Blue")
_TABLES = (
    *("LUTData", "OverlayData", "AlphaPaletteColorLookupTableData"),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
)
# Originals in encrypted form, sound and tracings, and who keeps a coding scheme.
_NEVER = ("EncryptedAttributesSequence", "WaveformSequence", "CodingSchemeResponsibleOrganization")


class Action(Enum):
    """The letters of PS3.15 Table E.1-1, one each. SHIFT, PATIENT and CUT are forms of C, D and K."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    KEEP = "K"
    CLEAN = "C"
    SHIFT = "C dates"
    PATIENT = "D patient"
    CUT = "K cut"

    @property
    def letter(self) -> str:
        """The standard's letter."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attribute stands. parent: keyword of its sequence, empty at the top. sop_class: of the object."""

    sop_class: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """The Basic Profile with some of its options."""

    options: Options

    def action(self, tag: int, keyword: str, vr: str, place: Place) -> Action:
        """The one action on an attribute of the standard, by what the object needs (PS3.15 E.3: X, Z and D by type)."""
        if keyword in ("PatientID", "PatientName"):
            return Action.PATIENT
        listed = actions().get(tag)
        if listed is None:
            return self._unlisted(keyword, vr, place)
        return self._by_option(keyword, vr, listed) or resolve(listed, type_of(place.sop_class, keyword, place.parent))

    def _by_option(self, keyword: str, vr: str, listed: str) -> Action | None:
        """What an option makes of a row of the table; None where none does."""
        on = self.options
        if vr in _TEMPORAL and keyword not in columns.NOT_DATES:
            return self._dates()
        if Option.UIDS in on and (
            ("U" in listed and keyword not in columns.NOT_UIDS) or keyword in columns.KEPT_REFERENCES
        ):
            return Action.KEEP
        if Option.DEVICE_IDENTITY in on and keyword in columns.KEPT_DEVICE_IDENTITY:
            return Action.KEEP
        if Option.INSTITUTION_IDENTITY in on and keyword in columns.KEPT_INSTITUTION_IDENTITY:
            return Action.KEEP
        if Option.PATIENT_CHARACTERISTICS in on:
            if keyword in columns.KEPT_PATIENT_CHARACTERISTICS:
                return Action.KEEP
            if keyword in columns.CLEANED_PATIENT_CHARACTERISTICS:
                return Action.CLEAN
        cleaned = Option.CLEAN_DESCRIPTORS in on and keyword in columns.CLEANED_DESCRIPTORS
        cleaned |= Option.CLEAN_STRUCTURED in on and keyword in columns.CLEANED_STRUCTURED
        return Action.CLEAN if cleaned else None

    def _dates(self) -> Action | None:
        if Option.FULL_DATES in self.options:
            return Action.KEEP
        return Action.SHIFT if Option.MODIFIED_DATES in self.options else None

    def _unlisted(self, keyword: str, vr: str, place: Place) -> Action:
        """What the table doesn't list stays, but for what is a person, a date or a UID by its kind."""
        needed = type_of(place.sop_class, keyword, place.parent)
        if vr in ("PN", "AE", "UR") or keyword in _NEVER or (vr in _BYTES and keyword not in _TABLES):
            return resolve("X/Z/D", needed)
        if vr == "UI":
            return Action.UID
        if vr in _TEMPORAL:
            return self._dates() or resolve("X/Z/D", needed)
        return Action.CUT if vr in _TEXTS else Action.KEEP


def resolve(listed: str, needed: int) -> Action:
    """One action out of a combination, such as X/Z/D. needed: the attribute's type, 1 to 3.

    An attribute of type 1 that would be removed or emptied gets a dummy, and one of type 2 is emptied, so that an
    object stays legal. References (X/Z/U*) keep their items, with the UIDs replaced.
    """
    letters = listed.rstrip("*").split("/")
    if "U" in letters:
        return Action.UID
    if letters == ["D"] or needed == 1:
        return Action.DUMMY
    return Action.EMPTY if needed == 2 or letters[0] == "Z" else Action.REMOVE
