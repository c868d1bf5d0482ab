import json
import logging
import re

import pytest
from tests.report.test_html import HOSTILE, Tags

from radvit.errors import ConfigError, DataError
from radvit.inference.manifest import Row, State, open_manifest
from radvit.report.index import write_index
from radvit.report.json_form import to_dict


class Table(Tags):
    """The cells of a page's rows, as text."""

    def __init__(self, path):
        self.rows, self.cell = [], False
        super().__init__(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data):
        super().handle_data(data)
        if self.cell:
            self.rows[-1][-1] += data


@pytest.fixture
def put(make, tmp_path):
    """Writes a study's findings.json, changed, and an empty page."""

    def build(study, *scores, changes=None, **header):
        form = to_dict(make.report([make.finding(score) for score in scores], **header)) | (changes or {})
        (tmp_path / study).mkdir()
        (tmp_path / study / "findings.json").write_text(json.dumps(form))
        (tmp_path / study / "report.html").touch()

    return build


def manifest(folder, *rows):
    with open_manifest(folder) as file:
        for row in rows:
            file.append(row)


def listed(folder, language="en"):
    """What index.html lists: a list of cells for each study."""
    write_index(folder, language)
    return Table(folder / "index.html").rows[1:]


def test_the_most_suspicious_studies_come_first(put, tmp_path):
    for study, *scores in (("2.25.1",), ("2.25.2", 0.4), ("2.25.3", 0.6), ("2.25.4", 0.85), ("2.25.5", 0.95, 0.4)):
        put(study, *scores)
    assert write_index(tmp_path, "en") == 5
    rows = listed(tmp_path)
    assert [row[-1] for row in rows] == ["2.25.5", "2.25.4", "2.25.3", "2.25.2", "2.25.1"]
    assert rows[0] == [
        *("highly suspicious", "0.95", "2", "nodule (right)", "P-ABCDEFGHIJKLMNOP", "2020-02-03", "63 years", "female"),
        *("Digital radiography (DX) · Postero-anterior (PA)", "read", "2.25.5"),
    ]
    assert rows[-1][:4] == ["nothing above the threshold", "", "0", ""]
    assert 'href="./2.25.5/report.html"' in (tmp_path / "index.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["index.html"]


def test_the_chinese_page(put, tmp_path):
    put("2.25.1", 0.95)
    (row,) = listed(tmp_path, "zh")
    assert row[:4] == ["高度可疑", "0.95", "1", "结节（右侧）"]
    assert '<html lang="zh-CN">' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_studies_that_were_not_read_are_listed_with_the_reason(put, tmp_path):
    put("2.25.1", 0.9)
    manifest(
        tmp_path,
        Row("2.25.1", State.DONE, 1.0, 1),
        Row("2.25.2", State.FAILED, 1.0, 0, "MemoryError: too large"),
        Row("2.25.3", State.REFUSED, 1.0, 0, "modality CT; expected DX"),
    )
    rows = listed(tmp_path)
    assert [row[-2] for row in rows] == ["read", "failed: MemoryError: too large", "refused: modality CT; expected DX"]
    assert rows[1][0] == "not read"
    assert (tmp_path / "index.html").read_text().count('<a class="band"') == 1


UNREADABLE = [
    "",
    "{",
    "[]",
    "null",
    "[" * 100_000,
    b"\xff\xfe",
    {"findings": None},
    {"findings": [{}]},
    {"patient": "x"},
    {"impression": "healthy"},
    {"images": [3]},
    {"findings": [{"score": 10**400, "type": "x", "location": {"side": None}}]},
    {"findings": [{"score": float("nan"), "type": "x", "location": {"side": None}}]},
    {"findings": [{"score": 0.5, "type": "x", "location": {"side": "<b>"}}]},
]


@pytest.mark.parametrize("content", UNREADABLE, ids=[str(content)[:60] for content in UNREADABLE])
def test_what_cannot_be_read_is_left_out_counted_and_named(put, tmp_path, content, caplog):
    put("2.25.1", 0.9)
    put("2.25.2", 0.9, changes=content if isinstance(content, dict) else None)
    if not isinstance(content, dict):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "2.25.2" / "findings.json").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert write_index(tmp_path, "en") == 1
    assert "findings.json of 2.25.2 could not be read" in caplog.text
    assert "1 file of findings could not be read." in (tmp_path / "index.html").read_text()
    manifest(tmp_path, Row("2.25.2", State.DONE, 1.0, 1))
    assert [row[-2] for row in listed(tmp_path)] == ["read", "findings can't be read"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_text_in_every_field_stays_text(put, tmp_path, language):
    found = [{"score": 0.9, "type": HOSTILE, "location": {"side": "left"}}]
    image = {"modality": HOSTILE, "view": HOSTILE}
    patient = dict.fromkeys(("pseudonym", "sex", "age"), HOSTILE)
    changes = {"findings": found, "images": [image], "patient": patient, "study_date": HOSTILE}
    put("javascript:alert(1)", changes=changes)
    manifest(tmp_path, Row(HOSTILE, State.FAILED, 1.0, 0, HOSTILE))
    first, second = listed(tmp_path, language)
    page = Table(tmp_path / "index.html")
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "div", "h1", "p", "label", "input"),
        *("fieldset", "legend", "table", "thead", "tbody", "tr", "th", "td", "span", "a", "script"),
    }
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["./javascript%3Aalert%281%29/report.html"] * 2
    assert HOSTILE in first[4]
    assert HOSTILE in second[-1]


def test_text_that_no_file_can_hold_or_that_never_ends(put, tmp_path):
    put("2.25.1", changes={"patient": {"pseudonym": "a\ud800\0\u202eb" + "c" * 5000, "sex": None, "age": None}})
    (row,) = listed(tmp_path)
    assert row[4].startswith("a   bccc")
    assert len(row[4]) == 400


def test_drafts_are_not_studies(put, tmp_path):
    put(".2.25.1.part", 0.9)
    assert write_index(tmp_path, "en") == 0


def test_the_page_needs_nothing_else_and_runs_only_its_own(put, tmp_path):
    put("2.25.1", 0.9)
    write_index(tmp_path, "en")
    page = (tmp_path / "index.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in page.replace("http-equiv", "")


def test_a_file_that_is_no_manifest(tmp_path):
    (tmp_path / "manifest.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="expected study,state"):
        write_index(tmp_path, "en")


def test_unknown_language(tmp_path):
    with pytest.raises(ConfigError, match="expected one of en, zh"):
        write_index(tmp_path, "de")
