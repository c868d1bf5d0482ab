"""A report's PDF inside a DICOM object, and out of it again."""

from __future__ import annotations

from io import BytesIO

from radvit.errors import DataError
from radvit.report.build import Report
from radvit.report.dicom_header import SHORT_TEXT, clean, coded, each_file, new_object, to_bytes
from radvit.report.wording import title, words

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"  # Encapsulated PDF Storage
MIME = "application/pdf"
BEGINS = b"%PDF-"  # ISO 32000-1 7.5.2
LONGEST = 2**32 - 2  # bytes of an OB, PS3.5 7.1.1


def to_encapsulated(report: Report, pdf: bytes, language: str = "en") -> bytes:
    """An Encapsulated PDF of the report. language: of the PDF, in which its title stands.

    An odd number of bytes is padded with a zero; how many there were is kept. BurnedInAnnotation is NO, as no page
    identifies a patient: it holds pseudonyms. Raises DataError where the bytes aren't a PDF's.
    Source: DICOM PS3.3 A.45.1, C.24.2; LOINC 18748-4 is of CID 7000, diagnostic imaging reports.
    """
    if not pdf.startswith(BEGINS) or len(pdf) > LONGEST:
        raise DataError(f"document of {len(pdf)} bytes; expected a PDF, from {BEGINS!r} on")
    named = clean(title(report, words(language)), SHORT_TEXT)
    dataset = new_object(report, SOP_CLASS, f"document {language}")
    dataset.Modality = "DOC"
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.DocumentTitle = named
    dataset.ConceptNameCodeSequence = [coded("18748-4", "LN", "Diagnostic Imaging Report")]
    if report.images:
        dataset.SourceInstanceSequence = [source.reference() for source in each_file(report)]
    dataset.MIMETypeOfEncapsulatedDocument = MIME
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return to_bytes(dataset)


def read_encapsulated(data: bytes) -> bytes:
    """The PDF of a file that `to_encapsulated` wrote, byte for byte. Raises DataError where it is no such file."""
    from pydicom import dcmread

    try:
        dataset = dcmread(BytesIO(data))
        sop_class, mime = dataset.SOPClassUID, dataset.MIMETypeOfEncapsulatedDocument
        document, length = bytes(dataset.EncapsulatedDocument), int(dataset.EncapsulatedDocumentLength)
    except Exception as error:  # noqa: BLE001 - pydicom raises anything of a broken file
        raise DataError(f"not an encapsulated PDF of {len(data)} bytes ({type(error).__name__})") from None
    if sop_class != SOP_CLASS or mime != MIME or len(document) != length + length % 2:
        raise DataError(f"a document of {len(document)} bytes; expected an encapsulated PDF of {length}")
    return document[:length]
