"""Write and read back generated reports in every form: measure.py RESULTS.json [--reports 1000] [--processes 2].

Reports are drawn from seeds 0, 1, ... (tests/report/random_reports.py) and written in both languages as HTML, PDF,
DICOM SR and FHIR; what is read back is compared with the findings. Then one thing is made wrong in each of 200 forms,
and one thing of the comparison with an earlier study in 120 more.
"""

from __future__ import annotations

import argparse
import html
import json
import statistics
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.report.mutations import (  # noqa: E402
    wrong_change_of_bundle,
    wrong_change_of_page,
    wrong_change_of_tree,
    wrong_resource,
    wrong_sentence,
    wrong_tree,
)
from tests.report.random_reports import drawn  # noqa: E402

from radvit.report import wording  # noqa: E402
from radvit.report.check import FHIR, PAGE, PDF, SR, differences  # noqa: E402
from radvit.report.fhir import to_fhir  # noqa: E402
from radvit.report.html import Picture, to_html  # noqa: E402
from radvit.report.json_form import to_dict  # noqa: E402
from radvit.report.overlay import jpeg  # noqa: E402
from radvit.report.pdf import to_pdf  # noqa: E402
from radvit.report.sr import to_sr  # noqa: E402

KINDS = ("side", "size", "score", "band", "count")
LANGUAGES = ("en", "zh")
PLANTED = 200
CHANGE_KINDS = ("verdict", "mm", "gone")
PLANTED_CHANGES = 120
FORMS = (PAGE, PDF, SR, FHIR)


def written(report, language):
    """All forms of a report, its page, and the seconds that words and PDF took."""
    rng = np.random.default_rng(0)
    canvas = cv2.GaussianBlur(rng.integers(0, 255, (1024, 880)).astype(np.uint8), (0, 0), 3)
    began = time.process_time()
    pictures = tuple(Picture(image.number, jpeg(canvas)) for image in report.images)
    page = to_html(report, pictures, language)
    json.dumps(to_dict(report), indent=2)
    words = time.process_time() - began
    began = time.process_time()
    pdf = to_pdf(page)
    took = time.process_time() - began
    forms = {PAGE: page.encode(), PDF: pdf, SR: to_sr(report, language), FHIR: to_fhir(report, language).encode()}
    return forms, page, words, took


def warm():
    """Write one report in each language: the first one of a process compiles the page and finds the fonts."""
    for language in LANGUAGES:
        written(drawn(0), language)


def round_trip(language, seed):
    """How many differences each form of one report has, and the seconds."""
    report = drawn(seed)
    forms, page, words, pdf = written(report, language)
    return {name: len(differences(report, {name: data}, language, page)) for name, data in forms.items()}, words, pdf


def wrong(number):
    """The number-th planted error: form, kind, whether it was caught; None where that report can't hold it."""
    rng, language = np.random.default_rng(number), LANGUAGES[number % 2]
    name, kind = FORMS[number % 4], KINDS[(number // 4) % len(KINDS)]
    for seed in range(number, number + 1000):
        report = drawn(seed)
        page = to_html(report, (), language)
        bad = planted(report, page, name, kind, language, rng)
        if bad is not None:
            return name, kind, bool(differences(report, {name: bad}, language, page))
    return None


def planted(report, page, name, kind, language, rng):
    """A form of the report with one thing made wrong, None where it holds none of that."""
    if not report.findings:
        return None
    if name == SR:
        return wrong_tree(to_sr(report, language), kind, rng)
    if name == FHIR:
        bad = wrong_resource(to_fhir(report, language), kind, rng)
        return None if bad is None else bad.encode()
    w = wording.words(language)
    sentence = wording.finding_sentence(report.findings[-1], w)
    old = html.escape(sentence, quote=False)
    if kind == "count":
        start, end = page.rfind("<li", 0, page.find(old)), page.find("</li>", page.find(old)) + len("</li>")
        bad = page[:start] + page[end:]
    else:
        other = wrong_sentence(sentence, kind, language, rng)
        if other is None:
            return None
        bad = page.replace(old, html.escape(other, quote=False), 1)
    return to_pdf(bad) if name == PDF else bad.encode()


def wrong_change(number):
    """The number-th planted error in a comparison, as `wrong` gives it."""
    rng, language = np.random.default_rng(number), LANGUAGES[number % 2]
    name, kind = FORMS[number % 4], CHANGE_KINDS[(number // 4) % len(CHANGE_KINDS)]
    for seed in range(number, number + 1000):
        report = drawn(seed)
        changes = () if report.comparison is None else report.comparison.changes
        fit = [change for change in changes if (change.number is None) == (kind == "gone")]
        page = to_html(report, (), language)
        bad = planted_change(report, page, name, kind, fit[rng.integers(len(fit))], language) if fit else None
        if bad is not None:
            return name, kind, bool(differences(report, {name: bad}, language, page))
    return None


def planted_change(report, page, name, kind, change, language):
    """A form of the report that says something else of one change, None where it says nothing of that kind."""
    if name == SR:
        return wrong_change_of_tree(to_sr(report, language), kind, change, language)
    if name == FHIR:
        bad = wrong_change_of_bundle(to_fhir(report, language), kind, change, language)
        return None if bad is None else bad.encode()
    bad = wrong_change_of_page(page, kind, change, language)
    if bad is None:
        return None
    return to_pdf(bad) if name == PDF else bad.encode()


def told(rows):
    """How many planted errors there were, and which were missed."""
    missed = [f"{name} {kind}" for name, kind, is_caught in rows if not is_caught]
    return {"n": len(rows), "caught": len(rows) - len(missed), "missed": missed}


def main():
    """Measure, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--reports", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    found = {"reports": arguments.reports, "differences": {}}
    words, pdfs = [], []
    with Pool(arguments.processes, warm) as pool:
        for language in LANGUAGES:
            counts = Counter()
            for differing, seconds, pdf in pool.imap(partial(round_trip, language), range(arguments.reports), 8):
                counts.update(differing)
                words.append(seconds)
                pdfs.append(pdf)
            found["differences"][language] = dict(counts)
            sys.stderr.write(f"{language}: {dict(counts)}\n")
        for key, plant, n in (("planted", wrong, PLANTED), ("planted_changes", wrong_change, PLANTED_CHANGES)):
            found[key] = told([row for row in pool.imap(plant, range(n)) if row is not None])
            sys.stderr.write(f"{key}: {found[key]}\n")
    for name, values in (("html_json_ms", words), ("pdf_ms", pdfs)):
        cut = statistics.quantiles(values, n=20)
        found[name] = {"median": 1000 * statistics.median(values), "p95": 1000 * cut[-1], "max": 1000 * max(values)}
    arguments.results.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
