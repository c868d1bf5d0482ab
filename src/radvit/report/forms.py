"""The forms that a report is written in, beside findings.json and report.html, which every study has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

from radvit.errors import UntrueReportError
from radvit.report.build import Report
from radvit.report.check import FHIR, PAGE, PDF, SR, differences

DICOM_PDF = "report.pdf.dcm"


class Form(StrEnum):
    """What else a report can be written as. OVERLAY: the pictures with their boxes, as DICOM Secondary Captures."""

    PDF = "pdf"
    SR = "sr"
    FHIR = "fhir"
    OVERLAY = "overlay"
    DICOM_PDF = "dicom_pdf"


FILES = {Form.PDF: PDF, Form.SR: SR, Form.FHIR: FHIR, Form.DICOM_PDF: DICOM_PDF}


def rendered(report: Report, page: str, language: str, forms: Iterable[Form]) -> dict[str, bytes]:
    """The asked forms by file name; those of pictures are left out. page: report.html.

    Raises DataError where the report doesn't fit into one of them, ConfigError where this machine can't write one.
    """
    asked = frozenset(forms)
    made: dict[str, bytes] = {}
    if asked & {Form.PDF, Form.DICOM_PDF}:
        from radvit.report.pdf import to_pdf

        made[PDF] = to_pdf(page)
    if Form.DICOM_PDF in asked:
        from radvit.report.encapsulated import to_encapsulated

        made[DICOM_PDF] = to_encapsulated(report, made[PDF], language)
        if Form.PDF not in asked:
            del made[PDF]
    if Form.SR in asked:
        from radvit.report.sr import to_sr

        made[SR] = to_sr(report, language)
    if Form.FHIR in asked:
        from radvit.report.fhir import to_fhir

        made[FHIR] = to_fhir(report, language).encode()
    return made


def checked(report: Report, made: Mapping[str, bytes], page: str, language: str) -> None:
    """Read every form back. Raises UntrueReportError where one doesn't say what the report says."""
    found = differences(report, {PAGE: page.encode(), **made}, language, page)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UntrueReportError(f"not written, as its forms differ: {found[0]}{more}")


def present(folder: Path) -> frozenset[Form]:
    """The forms that a study's folder holds."""
    return frozenset(form for form, name in FILES.items() if (folder / name).is_file())
