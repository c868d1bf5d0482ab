import base64
import hashlib
import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest

from radvit.errors import ConfigError
from radvit.records import Basis, Header
from radvit.report.build import build_report
from radvit.report.html import Picture, plain_jpegs, to_html

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
    assert text.lower().count("<script") == 1  # the page's own
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "div", "h1", "h2", "p", "section", "dl"),
        *("dt", "dd", "figure", "img", "figcaption", "b", "ol", "ul", "li", "span", "svg", "rect", "footer"),
        *("g", "text", "a", "button", "label", "input", "script"),
    }
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert page.text.count("<script>alert(1)</script>") >= 8  # it is there, as text


def test_the_page_needs_nothing_else_and_runs_only_its_own(make):
    page = to_html(make.report([make.finding(0.9)]), (PICTURE,), "en")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (own,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}';" in policy
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "http:" not in page
    assert "https:" not in page


def marks(page):
    """The attributes of each finding's group, in the order they are drawn in."""
    return [attrs for tag, attrs in Tags(page).tags if tag == "g" and "id" in attrs]


def test_each_box_is_drawn_over_the_plain_picture_where_it_lies(make):
    weak = replace(make.finding(0.35, box=(10.0, 2.0, 60.0, 40.0)), basis=Basis.ATTENTION)
    page = to_html(make.report([make.finding(0.91), weak]), (PICTURE,), "en")
    assert [(m["id"], m["class"], m["tabindex"]) for m in marks(page)] == [
        ("mark-2", "mark low dashed", "0"),
        ("mark-1", "mark high", "0"),  # the most suspicious on top
    ]
    (svg,) = [attrs for tag, attrs in Tags(page).tags if tag == "svg" and "viewbox" in attrs]
    assert (svg["viewbox"], svg["preserveaspectratio"]) == ("0 0 600 800", "none")
    boxes = [attrs for tag, attrs in Tags(page).tags if tag == "rect" and attrs.get("class") == "box"]
    places = [tuple(float(box[name]) for name in ("x", "y", "width", "height")) for box in boxes]
    assert places == [(10, 2, 50, 38), (100, 50, 50, 70)]
    assert "1. Nodule in the right upper zone" in page
    assert page.count('data-finding="1"') == 2
    assert 'href="#mark-1"' in page


@pytest.mark.parametrize("box", [(0, 0, 9, 9), (590, 0, 600, 9), (590, 790, 600, 800), (0, 0, 600, 800)])
def test_a_tag_stays_within_the_image(make, box):
    page = to_html(make.report([make.finding(0.91, box=tuple(map(float, box)))]), (PICTURE,), "en")
    tag = [attrs for name, attrs in Tags(page).tags if name == "rect"][2]
    x, y, width, height = (float(tag[name]) for name in ("x", "y", "width", "height"))
    assert 0 <= x <= x + width <= 600.1
    assert 0 <= y <= y + height <= 800.1


def test_findings_without_a_box_or_a_picture_are_not_marked(make):
    whole = make.finding(0.9, box=None, size=None)
    page = to_html(make.report([whole], [make.finding(0.8)]), (PICTURE,), "en")
    assert not marks(page)
    assert 'href="#' not in page


def test_a_picture_that_is_marked_already_is_not_marked_again(make):
    page = to_html(make.report([make.finding(0.9)]), (replace(PICTURE, marked=True),), "en")
    assert not marks(page)
    assert plain_jpegs(page) == []


def test_plain_pictures_can_be_taken_out_of_a_page(make):
    pictures = (Picture(2, b"second"), Picture(1, b"first"))
    page = to_html(make.report([make.finding(0.9)], [], patient=HOSTILE), pictures, "en", Picture(0, b"heat"))
    assert plain_jpegs(page) == [b"second", b"first"]


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_stand_out_enough_to_be_read(make):
    page = to_html(make.report(), (PICTURE,), "en")
    tones = dict(re.findall(r"--(high|moderate|low|soft|ink): (#\w{6})", page))
    assert len(tones) == 5
    for tone in tones.values():  # on white, and white on it
        assert 1.05 / (luminance(tone) + 0.05) >= 4.5
    lines = re.findall(r"--line: (#\w{6})", page.partition(".mark {")[2])
    assert len(lines) == 3
    for line in lines:  # with black digits, on black
        assert (luminance(line) + 0.05) / 0.05 >= 4.5


def test_refused_images_are_listed(make):
    text = Tags(to_html(make.report(refused=["no-pixels: none"]), (PICTURE,), "en")).text
    assert "1 file or image of this study was not read:" in text
    assert "no-pixels: none" in text
    assert "Not read" not in Tags(to_html(make.report(), (PICTURE,), "en")).text


def test_unknown_language(make):
    with pytest.raises(ConfigError, match="expected one of en, zh"):
        to_html(make.report(), (), "de")
