"""Codes of SNOMED CT for what a finding is and where it lies, as DICOM's PS3.16 and HL7's value sets use them."""

from __future__ import annotations

from typing import NamedTuple

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
LUNG = Code("39607008", "Lung structure")
SIDES = {"left": Code("7771000", "Left"), "right": Code("24028007", "Right")}


def code_of(label: str) -> Code | None:
    """The code of a type of finding; None where a model's label has none here."""
    return TYPES.get(label.replace("_", " ").lower())
