import shutil
import subprocess
import sys
from io import BytesIO

import cv2
import numpy as np
import pytest
from pypdf import PdfReader

from radvit.errors import ConfigError
from radvit.report import pdf
from radvit.report.html import Picture, to_html
from radvit.report.overlay import jpeg


@pytest.mark.skipif(shutil.which("fc-list") is None, reason="fontconfig isn't installed")
def test_a_machine_without_a_chinese_font_is_told_which_to_install(tmp_path, monkeypatch):
    (tmp_path / "fonts.conf").write_text("<fontconfig></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    pdf.has_chinese_font.cache_clear()
    try:
        pdf.check_pdf("en")
        with pytest.raises(ConfigError, match=r"report\.language=zh needs a Chinese font: .*fonts-noto-cjk"):
            pdf.check_pdf("zh")
    finally:
        pdf.has_chinese_font.cache_clear()


def test_a_machine_without_weasyprint_is_told_what_it_needs():
    code = "import sys; sys.modules['weasyprint'] = None; from radvit.report.pdf import check_pdf; check_pdf('en')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: report.forms=[pdf] needs WeasyPrint's Pango library" in done.stderr


def test_the_same_page_gives_the_same_file(make):
    page = to_html(make.report([make.finding(0.9)]), (), "en")
    assert pdf.to_pdf(page) == pdf.to_pdf(page)


def test_a_pdf_is_set_without_a_word(make, caplog):
    report = make.report([make.finding(0.9), make.finding(0.6)])
    page = to_html(report, (Picture(1, jpeg(np.zeros((60, 50), np.uint8))),), "en")
    assert 'href="#mark-1"' in page
    pdf.to_pdf(page)
    assert caplog.messages == []


def test_nothing_is_fetched(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8), np.uint8))
    page = f"<p>seen</p><img src='file://{tmp_path}/x.png'><img src='http://127.0.0.1:9/x.png'>"
    reader = PdfReader(BytesIO(pdf.to_pdf(page)))
    assert not reader.pages[0].images
    assert "seen" in reader.pages[0].extract_text()


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm isn't installed")
def test_boxes_are_drawn_in_the_colour_of_their_band(make, tmp_path):
    picture = Picture(1, jpeg(np.full((400, 300), 128, np.uint8)))
    found = make.finding(0.9, box=(100.0, 300.0, 300.0, 500.0))
    (tmp_path / "r.pdf").write_bytes(pdf.to_pdf(to_html(make.report([found]), (picture,), "en")))
    subprocess.run(["pdftoppm", "-r", "100", "-png", "-singlefile", "r.pdf", "r"], cwd=tmp_path, check=True)
    seen = cv2.imread(str(tmp_path / "r.png")).astype(int)
    red = (np.abs(seen - (0x4A, 0x52, 0xF2)).max(2) < 30).sum()
    grey = (np.abs(seen - 128).max(2) < 3).sum()
    assert red > 300
    assert grey > 20 * red  # and the picture shows through
