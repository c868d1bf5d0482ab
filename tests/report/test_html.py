import base64
import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest

from radvit.errors import ConfigError
from radvit.records import Header
from radvit.report.build import build_report
from radvit.report.html import Picture, to_html

PICTURE = Picture(1, b"\xff\xd8 not really a picture \xff\xd9")
HOSTILE = '</dd><script>alert(1)</script><img src=x onerror="alert(2)">\'&'


class Tags(HTMLParser):
    """All start tags with their attributes, and all text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_says_what_the_report_says(make):
    page = Tags(to_html(make.report([make.finding(0.91), make.finding(0.35, "mass")]), (PICTURE,), "en"))
    for words in (
        "Highly suspicious for nodule (finding 1).",
        "Mass in the right upper zone",
        "P-ABCDEFGHIJKLMNOP",
        "63 years",
        "2020-02-03",
        "Digital radiography (DX)",
        "600 × 800 px of 0.2 × 0.2 mm",
        "model-x",
        "Research use only",
        "> 0.80 highly suspicious",
    ):
        assert words in page.text
    (picture,) = [attrs for tag, attrs in page.tags if tag == "img"]
    assert base64.b64decode(picture["src"].split(",")[1]) == PICTURE.jpeg


def test_the_chinese_page(make):
    page = Tags(to_html(make.report([make.finding(0.91)]), (PICTURE,), "zh"))
    assert page.tags[0] == ("html", {"lang": "zh-CN"})
    for words in ("检查所见", "诊断意见", "建议", "高度可疑结节", "仅供科研使用", "63 岁", "女"):
        assert words in page.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_text_in_every_field_stays_text(make, language):
    kept = {"blanked", "frame", "patient_orientation"}
    texts = {f.name: HOSTILE for f in fields(Header) if f.name not in kept}
    result = make.study(1, [HOSTILE])
    result = replace(result, study=HOSTILE, images=(replace(result.images[0], header=Header(**texts)),))
    provenance = replace(make.provenance, model=HOSTILE, version=HOSTILE, created=HOSTILE)
    found = make.finding(0.9, HOSTILE, image=HOSTILE)
    report = build_report(result, ([found],), (HOSTILE,), make.report().bands, provenance)
    text = to_html(report, (PICTURE,), language)
    page = Tags(text)
    assert "<script" not in text.lower()
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "div", "h1", "h2", "p", "section", "dl"),
        *("dt", "dd", "figure", "img", "figcaption", "b", "ol", "ul", "li", "span", "svg", "rect", "footer"),
    }
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert page.text.count("<script>alert(1)</script>") >= 8  # it is there, as text


def test_the_page_needs_nothing_else_and_runs_nothing(make):
    page = to_html(make.report([make.finding(0.9)]), (PICTURE,), "en")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http:" not in page
    assert "https:" not in page


def test_refused_images_are_listed(make):
    text = Tags(to_html(make.report(refused=["no-pixels: none"]), (PICTURE,), "en")).text
    assert "1 file or image of this study was not read:" in text
    assert "no-pixels: none" in text
    assert "Not read" not in Tags(to_html(make.report(), (PICTURE,), "en")).text


def test_unknown_language(make):
    with pytest.raises(ConfigError, match="expected one of en, zh"):
        to_html(make.report(), (), "de")
