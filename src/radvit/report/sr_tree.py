"""Content items of a Structured Report: made, and found again by the concepts that name them (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from radvit.report.dicom_header import TEXT, Source, clean, coded, item

if TYPE_CHECKING:
    from pydicom import Dataset

CONTAINS, CONTEXT, MODIFIER = "CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD"
ACQUIRED, PROPERTIES, SELECTED = "HAS ACQ CONTEXT", "HAS PROPERTIES", "SELECTED FROM"
METHOD = ("370129005", "SCT", "Measurement Method")

Concept = tuple[str, str, str]


def node(relationship: str, kind: str, name: Concept | None, **values: object) -> Dataset:
    """A content item. relationship: to its parent, empty for the root."""
    made = item(ValueType=kind, **values)
    if relationship:
        made.RelationshipType = relationship
    if name is not None:
        made.ConceptNameCodeSequence = [coded(*name)]
    return made


def container(relationship: str, name: Concept, inner: list[Dataset], template: str = "") -> Dataset:
    """Items below a heading. template: the number that PS3.16 gives what stands below it."""
    made = node(relationship, "CONTAINER", name, ContinuityOfContent="SEPARATE")
    if template:
        made.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier=template)]
    if inner:
        made.ContentSequence = inner
    return made


def code(relationship: str, name: Concept, said: Dataset) -> Dataset:
    """A coded value."""
    return node(relationship, "CODE", name, ConceptCodeSequence=[said])


def text(relationship: str, name: Concept, said: str) -> Dataset:
    """A sentence, made to fit."""
    return node(relationship, "TEXT", name, TextValue=fitted(said))


def fitted(said: str) -> str:
    """A sentence as a text item holds it; a dash for one of which nothing can be shown."""
    return clean(said, TEXT) or "-"


def image(relationship: str, name: Concept | None, source: Source) -> Dataset:
    """A reference to an image."""
    return node(relationship, "IMAGE", name, ReferencedSOPSequence=[source.reference()])


def measured(relationship: str, name: Concept, unit: Dataset, number: float) -> Dataset:
    """A number: the shortest text of 16 characters, and the full precision beside it where that is less (C.18.1)."""
    from pydicom.valuerep import format_number_as_ds

    short = format_number_as_ds(float(number))
    held = item(NumericValue=short, MeasurementUnitsCodeSequence=[unit])
    if float(short) != number:
        held.FloatingPointValue = float(number)
    return node(relationship, "NUM", name, MeasuredValueSequence=[held])


def children(parent: Dataset, name: Concept) -> Iterator[Any]:
    """The children of this concept name."""
    for one in parent.get("ContentSequence") or ():
        names = one.get("ConceptNameCodeSequence")
        if names and (_code_value(names[0]), names[0].CodingSchemeDesignator) == name[:2]:
            yield one


def child(parent: Dataset, name: Concept) -> Any:
    """The first of them; LookupError where there is none."""
    for one in children(parent, name):
        return one
    raise LookupError(name[2])


def value(parent: Dataset, name: Concept) -> str | None:
    """The code that a child of this name has, None where there is no such child."""
    found = next(children(parent, name), None)
    return None if found is None else _code_value(found.ConceptCodeSequence[0])


def quantity(parent: Dataset, name: Concept) -> float | None:
    """The number that a child of this name has, as exactly as it is told."""
    found = next(children(parent, name), None)
    if found is None:
        return None
    held = found.MeasuredValueSequence[0]
    return float(held.get("FloatingPointValue", held.NumericValue))


def _code_value(coded_value: Dataset) -> str:
    return str(coded_value.get("CodeValue") or coded_value.LongCodeValue)
