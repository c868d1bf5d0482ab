from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread

from radvit.errors import ConfigError, DataError
from radvit.report.encapsulated import read_encapsulated, to_encapsulated
from radvit.report.sr import to_sr
from radvit.report.words_en import ENGLISH
from radvit.report.words_zh import CHINESE

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj << >> endobj\ntrailer << >>\n%%EOF"
HOSTILE = (
    "<script>alert(1)</script>",
    "x" * 65536,
    "\u202egnp.exe",
    "a\\b=c^d^e^f^g^h^i",
    "a\r\nb",
    "\x00\x1b",
    "\ud800",
    "",
)


def read(data):
    return dcmread(BytesIO(data))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dciodvfy_finds_no_error(make, validated, language):
    for name, report in make.dicom_cases().items():
        assert (name, validated(to_encapsulated(report, PDF, language))) == (name, [])


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\0", b"\0", b"\0\0"])
def test_the_document_comes_back_byte_for_byte(make, validated, tail):
    data = to_encapsulated(make.report([]), PDF + tail)
    assert read_encapsulated(data) == PDF + tail
    assert len(read(data).EncapsulatedDocument) % 2 == 0
    assert validated(data) == []


def test_it_says_what_it_is_and_what_it_was_made_of(make):
    cases = make.dicom_cases()
    dataset = read(to_encapsulated(cases["frames"], PDF))
    assert [i.ReferencedSOPInstanceUID for i in dataset.SourceInstanceSequence] == ["2.25.12"]
    assert dataset.DocumentTitle == ENGLISH["title"]
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    (code,) = dataset.ConceptNameCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("18748-4", "LN")
    assert (dataset.BurnedInAnnotation, dataset.VerificationFlag) == ("NO", "UNVERIFIED")
    assert read(to_encapsulated(cases["one"], PDF, "zh")).DocumentTitle == CHINESE["title"]
    with pytest.raises(ConfigError, match="language 'fr'"):
        to_encapsulated(cases["one"], PDF, "fr")


def test_it_is_deterministic_and_no_other_object(make):
    report = make.report([make.finding(0.9)])
    assert to_encapsulated(report, PDF) == to_encapsulated(report, PDF)
    others = (to_encapsulated(report, PDF), to_encapsulated(report, PDF, "zh"), to_sr(report, "en"))
    assert len({read(data).SOPInstanceUID for data in others}) == 3
    assert len({read(data).SeriesInstanceUID for data in others}) == 3


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_leaves_a_valid_file(make, validated, text):
    report = replace(make.report([make.finding(0.9, text)]), patient=text, sex=text, age=text, study_date=text)
    data = to_encapsulated(report, PDF)
    assert validated(data) == []
    assert read_encapsulated(data) == PDF


def test_what_is_no_pdf_is_refused(make):
    for wrong in (b"", b"<html>", b"\n" + PDF):
        with pytest.raises(DataError, match="expected a PDF"):
            to_encapsulated(make.report([]), wrong)


def test_what_holds_no_pdf_is_refused(make):
    report = make.report([])
    data = to_encapsulated(report, PDF)
    for broken in (b"", b"DICM" * 99, data[:300], data[:-4], to_sr(report, "en")):
        with pytest.raises(DataError, match="PDF"):
            read_encapsulated(broken)
