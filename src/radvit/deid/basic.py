"""De-identify one data set by the Basic Profile of PS3.15 Annex E: header, declaration, and what must not be found."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset
from pydicom.dataset import FileDataset

from radvit.deid.identifiers import Identifiers, gather
from radvit.deid.options import BASIC_PROFILE, Option, Options
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.rules import Rules
from radvit.deid.statement import IMPLEMENTATION_NAME, declare, file_meta, identity_of, sop_class_of
from radvit.deid.tables import edition
from radvit.deid.walk import Tally, Walk
from radvit.dicom.quiet import silence_pydicom

silence_pydicom()

METHOD = f"radvit, PS3.15 {edition()} Basic Profile, keyed pseudonyms"
_UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A header without identity, and without pixels. patient: the pseudonym. tally: what was done.

    identifiers: what the original held, to be searched for. own: texts that de-identification itself wrote.
    """

    dataset: Dataset
    patient: str
    identifiers: Identifiers
    tally: Tally
    own: tuple[str, ...]


def deidentify(dataset: Dataset, pseudonymizer: Pseudonymizer, options: Options) -> Deidentified:
    """A new data set by the Basic Profile and options; the input is left as it is.

    File meta is built anew, the preamble is zero, text is in UTF-8. A value that can't be parsed is removed.
    Raises DeidError where the file lacks the UIDs that pseudonyms start from.
    """
    identity = identity_of(dataset)
    days = pseudonymizer.offset_days(identity) if Option.MODIFIED_DATES in options else 0
    identifiers = gather(dataset, options, days)
    walk = Walk(Rules(options), pseudonymizer, identity, identifiers, sop_class_of(dataset))
    clean = FileDataset("", walk.header(dataset), preamble=b"\0" * 128, file_meta=file_meta(dataset))
    patient = pseudonymizer.patient(identity)
    declare(clean, patient, METHOD, options)
    clean.SpecificCharacterSet, clean.SOPClassUID = _UTF_8, clean.file_meta.MediaStorageSOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    return Deidentified(clean, patient, identifiers, walk.tally, own_texts(patient, options))


def own_texts(patient: str, options: Options) -> tuple[str, ...]:
    """What de-identification writes into every file: none of it is made of an identifier."""
    said = (text for option in options for text in (option.code, option.meaning))
    return (patient, METHOD, IMPLEMENTATION_NAME, _UTF_8, *BASIC_PROFILE, *said)
