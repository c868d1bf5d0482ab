"""Header text that means harm is escaped, shortened or refused in every form, and breaks none."""

import json
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pypdf import PdfReader

from radvit.errors import RadvitError
from radvit.report.forms import Form, checked, rendered
from radvit.report.html import to_html
from radvit.report.json_form import to_dict
from radvit.report.json_read import from_dict

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onerror='alert(1)",
    "formula": '=HYPERLINK("http://x",1)',
    "right to left": "\u202eevil\u202c",
    "control": "a\x00\x07\x1b[31mb\r\nc",
    "backslash": "A\\B\\C",
    "64 kB": "x" * 65536,
    "template": "{{ 7 * 7 }} {n} %s",
    "sentence": "nodule in the left upper zone; confidence 0.99, highly suspicious.",
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_headers_break_no_form(name, language, make):
    text = HOSTILE[name]
    report = make.report([make.finding(0.9)], body_part=text, view=text, age=text, manufacturer=text, window=text)
    report = replace(report, patient=text, sex=text, refused=(text,))
    page = to_html(report, (), language)
    assert "<script>alert" not in page
    assert "onerror='" not in page
    assert "49 " not in page
    assert from_dict(json.loads(json.dumps(to_dict(report)))) == report
    made = {}
    for form in (Form.PDF, Form.SR, Form.FHIR, Form.DICOM_PDF):
        try:
            made |= rendered(report, page, language, [form])
        except RadvitError:
            assert form is not Form.PDF  # a page prints whatever it holds
    checked(report, {key: value for key, value in made.items() if key != "report.pdf.dcm"}, page, language)
    assert len(PdfReader(BytesIO(made["report.pdf"])).pages) < 60
    for key in ("report.sr.dcm", "report.pdf.dcm"):
        if key in made:
            dataset = dcmread(BytesIO(made[key]))
            assert len(str(dataset.PatientID)) <= 64
            assert str(dataset.PatientID).isprintable()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy isn't installed")
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_headers_make_no_wrong_dicom(name, make, tmp_path):
    report = replace(make.report([make.finding(0.9)], body_part=HOSTILE[name]), patient=HOSTILE[name])
    made = rendered(report, to_html(report, (), "en"), "en", [Form.SR, Form.DICOM_PDF])
    for key, data in made.items():
        (tmp_path / key).write_bytes(data)
        done = subprocess.run(["dciodvfy", str(tmp_path / key)], capture_output=True, text=True, check=False)
        assert not [line for line in done.stderr.splitlines() if line.startswith("Error")], done.stderr
