"""Codes of SNOMED CT for what a finding is and where it lies, as DICOM's PS3.16 and HL7's value sets use them."""

from __future__ import annotations

from typing import NamedTuple

from radvit.report.verdicts import Verdict

SNOMED = "http://snomed.info/sct"
OWN = "urn:radvit:codes"  # for what no vocabulary has a code for


class Code(NamedTuple):
    """A code of SNOMED CT with its English meaning."""

    value: str
    meaning: str


TYPES = {
    "nodule": Code("27925004", "Nodule"),
    "mass": Code("4147007", "Mass"),
    "lesion": Code("52988006", "Lesion"),
    "pneumonia": Code("233604007", "Pneumonia"),
    "consolidation": Code("95436008", "Lung consolidation"),
    "atelectasis": Code("46621007", "Atelectasis"),
    "effusion": Code("60046008", "Pleural effusion"),
    "pleural effusion": Code("60046008", "Pleural effusion"),
    "pneumothorax": Code("36118008", "Pneumothorax"),
    "cardiomegaly": Code("8186001", "Cardiomegaly"),
    "edema": Code("19242006", "Pulmonary edema"),
    "emphysema": Code("87433001", "Pulmonary emphysema"),
    "fracture": Code("125605004", "Fracture of bone"),
}
LUNG, THORAX, BODY = (
    Code("39607008", "Lung"),
    Code("51185008", "Thoracic structure"),
    Code("123037004", "Body structure"),
)
NOT_OF_THE_LUNG = frozenset({"cardiomegaly", "fracture", "hernia"})
CHEST = frozenset({None, "", "CHEST", "LUNG", "THORAX"})  # body parts whose findings lie in the lungs; None: not named
SIDES = {"left": Code("7771000", "Left"), "right": Code("24028007", "Right")}

# What became of a finding, by PS3.16 CID 6134. Its code for no significant change and SNOMED's for a new finding are of
# mammograms, by their full names, so those verdicts have codes of radvit's own.
VERDICTS = {
    Verdict.GROWN: Code("15454001", "Increase in size"),
    Verdict.SHRUNK: Code("19776001", "Decrease in size"),
}


def code_of(label: str) -> Code | None:
    """The code of a type of finding; None where a model's label has none here."""
    return TYPES.get(_key(label))


def site_of(label: str, body_part: str | None) -> Code:
    """Where a type of finding lies, on an image of a body part."""
    if body_part not in CHEST:
        return BODY
    return THORAX if _key(label) in NOT_OF_THE_LUNG else LUNG


def _key(label: str) -> str:
    """The name by which a type of finding is looked up, as its words are."""
    return label.replace("_", " ").lower()
