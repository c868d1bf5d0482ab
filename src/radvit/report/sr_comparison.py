"""What a Structured Report says of the comparison with an earlier study, and back."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from radvit.report import sr_tree as tree
from radvit.report.codes import VERDICTS
from radvit.report.dicom_header import checked, checked_uid, coded, private
from radvit.report.sr_tree import CONTAINS, METHOD, MODIFIER, PROPERTIES
from radvit.report.verdicts import Change, Prior
from radvit.report.wording import Words

if TYPE_CHECKING:
    from pydicom import Dataset

COMPARISON = ("18834-2", "LN", "Previous Findings")  # LOINC: Radiology Comparison study
VERDICT = ("111049", "DCM", "Qualitative Difference")
DIFFERENCE = ("442714003", "SCT", "Difference in size")  # CID 6133
STUDY = ("121018", "DCM", "Procedure Study Instance UID")
DATE = ("111060", "DCM", "Study Date")


def change_items(change: Change, w: Words) -> tuple[list[Dataset], list[Dataset]]:
    """Of one finding: by how many mm it is larger now, with the plane of both sizes, where told; and its verdict."""
    numbers: list[Dataset] = []
    if change.size is not None:
        millimetre, grown = coded("mm", "UCUM", "millimeter"), checked(change.size.change_mm, "change of size")
        numbers.append(tree.measured(CONTAINS, DIFFERENCE, millimetre, grown))
        plane = f"plane.{change.size.plane.value}"
        numbers[0].ContentSequence = [tree.code(MODIFIER, METHOD, private(plane, w[plane]))]
    known, key = VERDICTS.get(change.verdict), f"verdict.{change.verdict.value}"
    said = private(key, w[key]) if known is None else coded(known.value, "SCT", known.meaning)
    return numbers, [tree.code(CONTAINS, VERDICT, said)]


def prior_items(prior: Prior) -> list[Dataset]:
    """The earlier study by its pseudonym and day, as properties of a sentence. Raises DataError where it has no UID."""
    study = checked_uid(prior.study, "earlier study")
    made = [tree.node(PROPERTIES, "UIDREF", STUDY, UID=study)]
    if (day := day_of(prior.date)) is not None:
        made.append(tree.node(PROPERTIES, "DATE", DATE, Date=day.replace("-", "")))
    return made


def read_verdict(group: Dataset) -> str | None:
    """The verdict that a measurement group tells, by the name that findings.json has for it."""
    told = tree.value(group, VERDICT)
    known = {code.value: verdict.value for verdict, code in VERDICTS.items()}
    return None if told is None else known.get(told, told.removeprefix("verdict."))


def read_prior(evaluations: Dataset) -> tuple[str, str | None] | None:
    """Pseudonym and day of the earlier study; None where none is named."""
    for sentence in tree.children(evaluations, COMPARISON):
        if sentence.get("ContentSequence"):
            day = next(tree.children(sentence, DATE), None)
            return str(tree.child(sentence, STUDY).UID), None if day is None else day_of(str(day.Date))
    return None


def day_of(text: str) -> str | None:
    """A day in ISO 8601 as YYYY-MM-DD; None where the text is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
