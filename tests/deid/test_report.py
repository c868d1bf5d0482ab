import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest

from radvit.deid import batch_report as records
from radvit.deid.report import MOST_ATTRIBUTES, ranges, to_dict, to_html, write_report
from radvit.errors import DeidError

from .batch_reports import empty, large, small

HOSTILE = '</dd></td><script>alert(1)</script><img src=x onerror="alert(2)">\'&'
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "div",
        "h1",
        "h2",
        "p",
        "section",
        "dl",
        "dt",
    ),
    *("dd", "b", "ul", "li", "span", "svg", "rect", "table", "thead", "tbody", "tfoot", "tr", "th", "td"),
}


class Page(HTMLParser):
    """Start tags with their attributes, all text, and the text of each cell of each row."""

    def __init__(self, report):
        super().__init__()
        self.tags, self.text, self.rows, self.cell = [], "", [], False
        self.source = to_html(report)
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.cell = tag in ("td", "th") or (self.cell and tag in ("span", "b"))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self.cell:
            self.rows[-1][-1] += data

    def has_row(self, *cells):
        told = [f"{cell:,}" if isinstance(cell, int) else cell for cell in cells]
        return any([cell for cell in row if cell.strip()] == told for row in self.rows)


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("make", [empty, small, large])
def test_every_number_stands_where_it_belongs(make):
    report = make()
    page = Page(report)
    text = flat(page.text)
    for counts, names in (
        (report.files, ("read", "written", "quarantined", "failed")),
        (report.written, ("patients", "studies", "series", "images")),
    ):
        for name in names:
            assert f" {getattr(counts, name):,} {name} " in text
    headers, pixels = report.headers, report.pixels
    for letter, words in records.ACTIONS.items():
        assert page.has_row(letter, words, headers.actions[letter])
    assert page.has_row("in all, private elements aside", sum(headers.actions.values()))
    for name, count in (
        ("UIDs replaced", headers.uids_replaced),
        ("dates shifted", headers.dates_shifted),
        ("free texts removed", headers.texts_removed),
        ("free texts cleaned", headers.texts_cleaned),
        ("removed", headers.private_removed),
        ("kept, as the standard lists them as safe", headers.private_kept),
        ("images searched", pixels.searched),
        ("images in which text was blanked", pixels.blanked),
        ("regions blanked", pixels.regions),
        ("regions left, as words on a list of harmless ones", pixels.allowed),
    ):
        assert page.has_row(name, count)
    for m in report.modalities:
        assert page.has_row(m.modality, m.patients, m.studies, m.images)
    if report.rescan:
        for name, count in zip(
            ("files searched", "bytes searched", "identifiers searched for", "found in files that were written"),
            asdict(report.rescan).values(),
            strict=True,
        ):
            assert page.has_row(name, count)
    if report.audit:
        assert f"lines {report.audit.first:,} to {report.audit.last:,}." in text
        assert f"radvit audit verify --head {report.audit.head}" in text
    for what in ("quarantined", "failed"):
        for refusal in getattr(report, what):
            cells = [cell for cell in (refusal.reason, refusal.words, what) if cell]
            assert page.has_row(*cells, len(refusal.files))
            assert f"{refusal.reason} {ranges(refusal.files)}" in text
    shown = headers.attributes[:MOST_ATTRIBUTES]
    for one in shown:
        assert page.has_row(one.keyword or "(no keyword)", one.tag, one.action, one.elements)
    rest = headers.attributes[MOST_ATTRIBUTES:]
    assert page.has_row(f"{len(rest):,} further rows, together", sum(a.elements for a in rest)) == bool(rest)


def test_the_page_says_who_when_and_how():
    report = small()
    page = Page(report)
    for words in ("2025-11-25 13:00:00 UTC", "jo", report.profile, report.key, "radvit 0.1.0", report.commit):
        assert words in page.text
    for option in report.options:
        assert page.has_row(option.code, option.name + option.words, "on" if option.on else "off")
    for sentence in report.limitations:
        assert sentence in page.text
    assert "This batch holds" not in page.text
    assert "This batch holds 40,311 written images of CT, MR or PET" in Page(large()).text


def tone_and_summary(report):
    page = Page(report)
    (tone,) = [attrs["class"] for tag, attrs in page.tags if attrs.get("class", "").startswith("summary ")]
    return tone.removeprefix("summary "), flat(page.source.split(f'class="{tone}"')[1].split("</section>")[0])


def test_the_summary_says_the_worst_first():
    assert tone_and_summary(small()) == (
        "good",
        "> <p>2 files read: 2 written, 0 in quarantine, 0 failed.</p> "
        "<p>2 files searched for 12 identifiers of the originals: 0 hits.</p>",
    )
    tone, words = tone_and_summary(large())
    assert tone == "mixed"
    assert "104,388 files read: 103,844 written, 503 in quarantine, 41 failed." in words
    tone, words = tone_and_summary(replace(small(), rescan=records.RescanCounts(1, 10, 1, 1)))
    assert tone == "bad"
    assert "1 file searched for 1 identifier of the originals: 1 hit; don&#39;t pass these files on." in words
    tone, words = tone_and_summary(empty())
    assert tone == "mixed"
    assert "The written files were not searched for identifiers of the originals." in words


def test_a_safeguard_that_is_off_is_seen():
    report = small()
    page = Page(report)
    for does in ("Text is looked for in every image", "Text is looked for with OCR"):
        assert page.has_row(does, "on")
    assert "switched off" not in page.text
    for name, does, otherwise in (
        ("every_image", "Text is looked for in every image", "in captures and ultrasound alone"),
        ("thorough", "Text is looked for with OCR", "by strokes alone"),
        ("quarantine_unfound", "An image that ought to hold text", "such an image was written as it is"),
    ):
        less = replace(report, safeguards=replace(report.safeguards, **{name: False}))
        (row,) = [row for row in Page(less).rows if row[0].startswith(does)]
        assert otherwise in row[0]
        assert row[-1] == "off"
        tone, words = tone_and_summary(less)
        assert tone == "mixed"
        assert "1 safeguard against text in the pixels switched off" in words
        assert to_dict(less)["safeguards"][name] is False
    none = replace(report, safeguards=records.Safeguards(False, False, False, False, True))
    assert Page(none).has_row("Text is looked for in the pixelsin no image: what is burned in was left there", "off")
    assert "of a project of their own" in Page(none).text
    assert "of a project of their own" not in page.text


def test_an_empty_batch_claims_nothing():
    text = flat(Page(empty()).text)
    for words in (
        "No file was quarantined, and none failed.",
        "No audit log was kept.",
        "Search of the written files Not",
    ):
        assert words in text
    assert "by number" not in text
    assert "Git commit" not in text


def test_hostile_text_in_every_field_stays_text():
    report = replace(
        large(),
        **dict.fromkeys(("version", "commit", "started", "ended", "user", "profile"), HOSTILE),
        options=(records.AppliedOption(HOSTILE, HOSTILE, True, HOSTILE),),
        modalities=(records.ModalityCounts(HOSTILE, 1, 1, 1),),
        files=records.FileCounts(2, 0, 1, 1),
        quarantined=(records.Refusal(HOSTILE, (1,), HOSTILE),),
        failed=(records.Refusal(HOSTILE, (2,), HOSTILE),),
        limitations=(HOSTILE,),
    )
    page = Page(report)
    assert "<script" not in page.source.lower()
    assert {tag for tag, _ in page.tags} <= TAGS
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert page.text.count("<script>alert(1)</script>") == 18  # it is there, as text


@pytest.mark.parametrize("make", [empty, large])
def test_the_page_needs_nothing_else_and_runs_nothing(make):
    page = Page(make())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page.source)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [name for _, attrs in page.tags for name in attrs if name in ("src", "href", "srcset", "data")]
    assert not re.search(r"https?:|url\(|@import|//", page.source)


def test_the_data_hold_all_that_the_record_holds():
    report = large()
    told = json.loads(json.dumps(to_dict(report)))
    assert told.pop("form") == "radvit de-identification report 1"
    assert told["headers"].pop("actions") == report.headers.actions
    rows = told["headers"].pop("attributes")
    assert len(rows) == len(report.headers.attributes) > MOST_ATTRIBUTES
    assert {(r["action"], r["keyword"] or r["tag"], r["elements"]) for r in rows} == {
        (a.action, a.name, a.elements) for a in report.headers.attributes
    }
    assert all(re.fullmatch(r"\([0-9A-F]{4},[0-9A-F]{4}\)", row["tag"]) for row in rows)
    expected = json.loads(json.dumps(asdict(report)))
    del expected["headers"]["attributes"]
    assert told == expected


def test_both_files_are_written_over_earlier_ones(tmp_path):
    folder = tmp_path / "deep" / "out"
    write_report(large(), folder)
    assert write_report(small(), folder) == folder / "DEID_REPORT.html"
    assert (folder / "DEID_REPORT.html").read_text(encoding="utf-8") == to_html(small())
    assert json.loads((folder / "deid_report.json").read_text(encoding="utf-8"))["files"]["read"] == 2
    assert sorted(path.name for path in folder.iterdir()) == ["DEID_REPORT.html", "deid_report.json"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeidError, match="can't write the report into"):
        write_report(small(), tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((), ""), ((5,), "5"), ((1, 2), "1–2"), ((7, 1, 2, 3, 1204), "1–3, 7, 1204"), (range(1, 501), "1–500")],
)
def test_ranges(numbers, words):
    assert ranges(numbers) == words
