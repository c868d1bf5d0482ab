"""What the DICOM forms of a report share: whose they are, which images they speak of, and text that is safe to write.

No value of a report is trusted: text is made to fit its attribute, and what can't be made to fit is refused.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

from radvit.errors import DataError
from radvit.report.build import Report, ReportImage
from radvit.report.codes import code_of
from radvit.report.wording import Words

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "radvit"
PRIVATE_SCHEME = "99RADVIT"
IMPLEMENTATION_UID = "2.25.141796284828368313085831695213968901449"
IMPLEMENTATION_NAME = "RADVIT_REPORT"
LONG_STRING = 64  # of an LO, PS3.5 6.2; a code's meaning is one
CODE_VALUE = 16  # of an SH, PS3.5 6.2; a longer code goes into LongCodeValue
SHORT_TEXT = 1024  # of an ST, PS3.5 6.2
TEXT = 10240  # of a sentence: as many as an LT holds, though a text item's UT would hold more
LARGEST = 1e9  # of a coordinate or a measurement; far above what an image can hold

_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+\Z")  # PS3.5 9.1, 64 characters at most
_AGE = re.compile(r"[0-9]{3}[DWMY]\Z")
_ORIENTATION = re.compile(r"[APRLHF]{1,3}\Z")
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}\Z")
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))  # controls, marks of direction, surrogates and the like

_BY_MODALITY = {"CR": "1.2.840.10008.5.1.4.1.1.1", "DX": "1.2.840.10008.5.1.4.1.1.1.1"}
_SECONDARY_CAPTURE, _FRAMED_CAPTURE = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.3"
# Kinds of files with frames (PS3.4 B.5): multi-frame Secondary Capture, angiography and fluoroscopy with their enhanced
# forms, 3D angiography, tomosynthesis. A reference to one of their images names its frame.
_FRAMED = ("7.1", "7.2", "7.3", "7.4", "12.1", "12.1.1", "12.2", "12.2.1", *(f"13.1.{n}" for n in range(1, 6)))
_WITH_FRAMES = frozenset(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in _FRAMED)


@dataclass(frozen=True, slots=True)
class Source:
    """An image as DICOM refers to it. frame: from 1, None where the file has no frames."""

    sop_class: str
    series: str
    image: str
    frame: int | None

    def reference(self) -> Dataset:
        """An item that names the image, and its frame where it has one (PS3.3 10.8, 10.3)."""
        named = {"ReferencedSOPClassUID": self.sop_class, "ReferencedSOPInstanceUID": self.image}
        return item(**named) if self.frame is None else item(**named, ReferencedFrameNumber=self.frame)


def sources(report: Report) -> Mapping[int, Source]:
    """The report's images by their number. Raises DataError where a UID is none."""
    framed = {image.header.image for image in report.images if image.header.frame > 0}
    return {image.number: _source(image, image.header.image in framed) for image in report.images}


def source_of(report: Report, number: int) -> Source:
    """One image by its number. Raises DataError where the report has no such image."""
    found = sources(report).get(number)
    if found is None:
        raise DataError(f"image {number}; expected a number from 1 to {len(report.images)}")
    return found


def each_file(report: Report) -> list[Source]:
    """The report's images without frames, every file once, in the order of their numbers."""
    named = [Source(source.sop_class, source.series, source.image, None) for source in sources(report).values()]
    return list({source.image: source for source in named}.values())


def new_object(report: Report, sop_class: str, kind: str, number: int = 1) -> Dataset:
    """A data set with all that is the same in each form: Patient, General Study, Series and Equipment, SOP Common.

    kind: what is written, in which language; it tells the UIDs of two forms of one report apart. number: of the object
    among those of its kind. Raises DataError where the study's UID or the report's moment is none.
    Source: DICOM PS3.3 C.7.1.1, C.7.2, C.7.3.1, C.7.5.1, C.12.1.
    """
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    identity = (report.study, report.provenance.weights, report.provenance.created)
    instance = uid(kind, *identity, str(number))
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = instance
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = IMPLEMENTATION_NAME
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, instance
    dataset.SeriesInstanceUID = uid(f"{kind} series", *identity)
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.SeriesDescription = f"{MANUFACTURER} {kind.partition(' ')[0]}"
    _patient(dataset, report)
    _equipment(dataset, report)
    _moment(dataset, report.provenance.created)
    return dataset


def to_bytes(dataset: Dataset) -> bytes:
    """The data set as a file (PS3.10)."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def item(**values: object) -> Dataset:
    """A sequence item with these keywords."""
    from pydicom import Dataset

    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept (PS3.3 8.8); a code of more than 16 bytes is a long one (PS3.3 8.1)."""
    keyword = "CodeValue" if len(value.encode()) <= CODE_VALUE else "LongCodeValue"
    return item(**{keyword: value}, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def private(value: str, meaning: str) -> Dataset:
    """A concept of radvit's own."""
    return coded(value, PRIVATE_SCHEME, clean(meaning) or value)


def finding_type(label: str, w: Words) -> Dataset:
    """The code of a type of finding, SNOMED's where it has a well known one."""
    if (known := code_of(label)) is not None:
        return coded(known.value, "SCT", known.meaning)
    return private(label_code(label), w.name(label))


def label_code(label: str) -> str:
    """A label as the value of a code: itself, or cleaned and marked with a hash so that no two labels become one."""
    plain = clean(label)
    if plain and plain == label:
        return plain
    return f"{clean(label, LONG_STRING - 9)}~{sha256(label.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def uid(*parts: str) -> str:
    """A UID that depends on the parts alone (PS3.5 B.2: `2.25.` and a 128-bit number)."""
    digest = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return f"2.25.{int.from_bytes(digest[:16])}"


def checked_uid(value: str, what: str) -> str:
    """The UID as it is. Raises DataError where it is none."""
    if len(value) > 64 or not _UID.match(value):
        raise DataError(f"the {what} has no UID of at most 64 digits and dots; expected one, as the loader gives it")
    return value


def checked(value: float, what: str) -> float:
    """The number as it is. Raises DataError where it isn't finite, or far too large."""
    if not (math.isfinite(value) and abs(value) <= LARGEST):
        raise DataError(f"{what} {value}; expected a finite number up to {LARGEST:g}")
    return float(value)


def clean(text: str, most: int = LONG_STRING) -> str:
    """Text that any attribute may hold: one line, nothing unseen, no backslash, at most `most` bytes of UTF-8.

    The standard counts characters, but readers count bytes. A backslash, which would part an LO or SH into two values
    (PS3.5 6.2), becomes a slash.
    """
    head = unicodedata.normalize("NFC", text[: 4 * most]).replace("\\", "/")
    seen = "".join(" " if unicodedata.category(letter) in _UNSEEN else letter for letter in head)
    plain = " ".join(seen.split())
    written = plain.encode()
    if len(written) <= most and len(text) <= 4 * most:
        return plain
    return written[: most - len("…".encode())].decode(errors="ignore") + "…"


def orientation(image: ReportImage) -> list[str]:
    """PatientOrientation of an image; empty where it isn't known."""
    letters = image.header.patient_orientation or ()
    return list(letters) if len(letters) == 2 and all(map(_ORIENTATION.match, letters)) else []


def code_string(value: str | None) -> str:
    """The value where it can stand as a CS (PS3.5 6.2), else nothing."""
    return value.strip() if value and _CODE_STRING.match(value) else ""


def _source(image: ReportImage, framed: bool) -> Source:
    """An image as a source. Where its kind of file isn't known, one that modality and frames allow stands for it."""
    header = image.header
    guess = _FRAMED_CAPTURE if framed else _BY_MODALITY.get(header.modality, _SECONDARY_CAPTURE)
    sop_class = checked_uid(header.sop_class or guess, f"kind of image {image.number}")
    framed = framed or sop_class in _WITH_FRAMES
    series = checked_uid(header.series, f"series of image {image.number}")
    name = checked_uid(header.image, f"image {image.number}")
    return Source(sop_class, series, name, header.frame + 1 if framed else None)


def _patient(dataset: Dataset, report: Report) -> None:
    """Patient and Patient Study, of pseudonyms, and General Study. What isn't known stays empty."""
    from radvit.deid.scrub import METHOD

    dataset.PatientID = clean(report.patient)
    dataset.PatientName = clean(report.patient.replace("^", " ").replace("=", " "))
    dataset.PatientBirthDate = ""
    dataset.PatientSex = report.sex if report.sex in ("M", "F", "O") else ""
    if report.age and _AGE.match(report.age):
        dataset.PatientAge = report.age
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if report.study_date else "REMOVED"
    dataset.StudyInstanceUID = checked_uid(report.study, "study")
    dataset.StudyDate = _date(report.study_date)
    dataset.StudyTime = dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""


def _equipment(dataset: Dataset, report: Report) -> None:
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = clean(report.provenance.model)
    dataset.SoftwareVersions = clean(report.provenance.version)


def _moment(dataset: Dataset, created: str) -> None:
    """When the report was made, in UTC."""
    try:
        moment = datetime.fromisoformat(created)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise DataError(f"report made at {clean(created)!r}; expected a moment in ISO 8601") from None
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.ContentDate = dataset.InstanceCreationDate = f"{moment:%Y%m%d}".zfill(8)
    dataset.ContentTime = dataset.InstanceCreationTime = f"{moment:%H%M%S}"


def _date(value: str | None) -> str:
    """An ISO date as a DA; empty where it is none."""
    try:
        return date.fromisoformat(value).isoformat().replace("-", "") if value else ""
    except ValueError:
        return ""
