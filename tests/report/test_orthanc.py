"""A real archive takes a report's DICOM forms, by C-STORE, over HTTP and as DICOMweb, and gives them back."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from radvit.report.capture import to_capture
from radvit.report.encapsulated import to_encapsulated
from radvit.report.html import to_html
from radvit.report.pdf import to_pdf
from radvit.report.sr import to_sr

pytestmark = pytest.mark.skipif(
    shutil.which("Orthanc") is None or shutil.which("storescu") is None, reason="Orthanc or dcmtk isn't installed"
)
PATIENCE_S = 60
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")  # of Debian's orthanc-dicomweb
BOUNDARY = "radvit-part-of-a-report"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An Orthanc of this test's own: its HTTP address and its DICOM port."""
    folder, http, dicom = tmp_path_factory.mktemp("orthanc"), free_port(), free_port()
    setting = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http,
        "DicomPort": dicom,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [str(DICOMWEB)] if DICOMWEB.is_file() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(setting))
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{http}"
    try:
        for _ in range(PATIENCE_S * 5):
            try:
                urllib.request.urlopen(f"{address}/system", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert running.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
        yield address, dicom
    finally:
        running.terminate()
        running.wait()


def asked(address, path, data=None, headers=None):
    request = urllib.request.Request(f"{address}{path}", data, headers or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def forms_of(report, language):
    """The report's DICOM forms, by name."""
    canvas = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    return {
        "sr": to_sr(report, language),
        "capture": to_capture(report, 1, canvas, language),
        "pdf": to_encapsulated(report, to_pdf(to_html(report, (), language)), language),
    }


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("way", ["http", "c-store"])
def test_an_archive_gives_back_what_it_took(way, language, archive, make, tmp_path):
    address, port = archive
    report = replace(make.report([make.finding(0.9), make.finding(0.4)]), study=f"2.25.{len(way)}")
    forms = forms_of(report, language)
    for name, data in forms.items():
        (tmp_path / f"{name}.dcm").write_bytes(data)
        if way == "http":
            assert json.loads(asked(address, "/instances", data))["Status"] in ("Success", "AlreadyStored")
        else:
            words = ["storescu", "-xs", "-R", "127.0.0.1", str(port), str(tmp_path / f"{name}.dcm")]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    for name, data in forms.items():
        sent = dcmread(BytesIO(data))
        (found,) = json.loads(asked(address, "/tools/lookup", sent.SOPInstanceUID.encode()))
        back = dcmread(BytesIO(asked(address, f"{found['Path']}/file")))
        assert back.to_json_dict() == sent.to_json_dict(), name


def stored(address, files):
    """The answer to a STOW-RS of several files in one request (PS3.18 10.5)."""
    part = b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n"
    body = b"".join(part % (BOUNDARY.encode(), data) for data in files) + f"--{BOUNDARY}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
    return json.loads(asked(address, "/dicom-web/studies", body, headers))


def retrieved(address, path):
    """The one file of a WADO-RS answer, in the transfer syntax that it is kept in (PS3.18 10.4)."""
    accepted = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    body = asked(address, f"/dicom-web/{path}", headers={"Accept": accepted})
    boundary, rest = body.split(b"\r\n", 1)
    (part, end) = rest.split(b"\r\n" + boundary)
    assert end.strip() == b"--"
    return part.split(b"\r\n\r\n", 1)[1]


@pytest.mark.skipif(not DICOMWEB.is_file(), reason="Orthanc's plugin for DICOMweb (orthanc-dicomweb) isn't installed")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_dicomweb_stores_lists_and_gives_back_what_it_took(language, archive, make):
    address, _ = archive
    report = replace(make.compared(), study=f"2.25.77{len(language)}{ord(language[0])}")
    forms = forms_of(report, language)
    answer = stored(address, forms.values())
    assert len(answer["00081199"]["Value"]) == len(forms)  # Referenced SOP Sequence: what was stored
    assert not answer.get("00081198", {}).get("Value")  # Failed SOP Sequence
    sent = {name: dcmread(BytesIO(data)) for name, data in forms.items()}
    listed = json.loads(
        asked(address, f"/dicom-web/studies/{report.study}/series", headers={"Accept": "application/dicom+json"})
    )
    series = {one["0020000E"]["Value"][0]: one["00080060"]["Value"][0] for one in listed}
    assert series == {one.SeriesInstanceUID: one.Modality for one in sent.values()}
    for name, one in sent.items():
        path = f"studies/{report.study}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"
        assert retrieved(address, path) == forms[name], name
