"""A real archive takes a report's DICOM forms, by C-STORE and over HTTP, and gives them back."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from io import BytesIO

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
        "Plugins": [],
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


def asked(address, path, data=None):
    with urllib.request.urlopen(f"{address}{path}", data, timeout=30) as answer:
        return answer.read()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("way", ["http", "c-store"])
def test_an_archive_gives_back_what_it_took(way, language, archive, make, tmp_path):
    address, port = archive
    report = replace(make.report([make.finding(0.9), make.finding(0.4)]), study=f"2.25.{len(way)}")
    canvas = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    forms = {
        "sr": to_sr(report, language),
        "capture": to_capture(report, 1, canvas, language),
        "pdf": to_encapsulated(report, to_pdf(to_html(report, (), language)), language),
    }
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
