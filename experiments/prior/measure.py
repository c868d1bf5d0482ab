"""Measure comparisons with a prior on a phantom: python measure.py COHORT RESULTS.json [OUTPUT].

Findings are the true boxes. Patients of one study, or without a nodule, have nothing to compare and are left out. The
reports go to the folder OUTPUT, or to one that is thrown away.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from radvit.data.loader import Loader
from radvit.deid.pseudonym import Pseudonymizer
from radvit.inference.decoding import shown
from radvit.inference.results import ImageResult, StudyResult
from radvit.records import Boxes, Provenance, SpacingPlane
from radvit.report.build import Bands
from radvit.report.compare import changes
from radvit.report.json_read import read_report
from radvit.report.priors import compare_reports
from radvit.report.verdicts import Criteria, Size, Verdict
from radvit.report.write import FINDINGS, Answers, StudyWriter

BY_SIZE = (Verdict.GROWN, Verdict.SHRUNK, Verdict.STABLE)


def worth_comparing(truth):
    """The images of patients who have several studies and a nodule on any of them."""
    studies, nodules = defaultdict(set), Counter()
    found = Counter(annotation["image_id"] for annotation in truth["annotations"])
    for row in truth["images"]:
        patient, study = Path(row["file_name"]).parts[1:3]
        studies[patient].add(study)
        nodules[patient] += found[row["id"]]
    patients = {patient for patient in studies if len(studies[patient]) > 1 and nodules[patient]}
    return [row for row in truth["images"] if Path(row["file_name"]).parts[1] in patients]


def write_reports(folder, output):
    """Write the reports of a cohort; returns the lesions of each study: name, box and true size by image."""
    truth = json.loads((folder / "truth.json").read_text())
    loader = Loader(Pseudonymizer(bytes(32)))
    results, lesions = defaultdict(list), defaultdict(list)
    for row in worth_comparing(truth):
        (image,) = loader.load(folder / row["file_name"])
        found = [a for a in truth["annotations"] if a["image_id"] == row["id"]]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in found)]
        boxes = Boxes(
            np.array(corners, np.float32).reshape(-1, 4),
            np.array([0.99 - 0.01 * k for k in range(len(found))], np.float32),
            np.zeros(len(found), np.int64),
        )
        results[image.header.study].append(ImageResult(image.header, image.geometry, (), boxes, shown(image.pixels)))
        for annotation, box in zip(found, boxes.xyxy.tolist(), strict=True):
            place = (image.header.image, tuple(box))
            lesions[image.header.study].append((place, annotation["lesion_id"], annotation["size_mm"]))
    provenance = Provenance("truth", "0", "fp32", "2026-01-01T00:00:00Z")
    write = StudyWriter(output, ("nodule",), Answers.BOXES, provenance, Bands(), criteria=Criteria())
    for study, images in results.items():
        write(StudyResult(study, tuple(images)))
    return lesions


def named(report, known):
    """Finding numbers of a report to the lesion's name and true size."""
    names = {place: (name, size) for place, name, size in known}
    return {item.number: names[item.finding.image, item.finding.box_px] for item in report.findings}


def true_verdicts(now, before, criteria):
    """What is true of each lesion: of sizes in the patient, by the same bounds."""
    verdicts = {}
    for name in now.keys() | before.keys():
        if name in now and name in before:
            verdicts[name] = criteria.verdict(Size(before[name], now[name], SpacingPlane.PATIENT))
        else:
            verdicts[name] = Verdict.NEW if name in now else Verdict.GONE
    return verdicts


def compared(report, prior, changes, lesions, criteria):
    """Pairs of the true and the told verdict of one comparison, and how many pairings joined two lesions.

    Of a lesion that the report tells of more than once, every time counts; one that it leaves out is `nothing`.
    """
    now, before = named(report, lesions[report.study]), named(prior, lesions[prior.study])
    truth = true_verdicts(dict(now.values()), dict(before.values()), criteria)
    pairs, wrong, told = [], 0, set()
    for change in changes:
        names = [of[n][0] for of, n in ((now, change.number), (before, change.prior_number)) if n is not None]
        wrong += len(set(names)) > 1
        told |= set(names)
        pairs += [(truth[name].value, change.verdict.value) for name in dict.fromkeys(names)]
    pairs += [(truth[name].value, "nothing") for name in truth if name not in told]
    return pairs, wrong


def main(folder, results, output=None):
    """Go through a cohort and write the numbers."""
    with tempfile.TemporaryDirectory() as aside:
        output = Path(output or aside)
        lesions = write_reports(Path(folder), output)
        rewritten = compare_reports(output, Criteria(), "en")
        again = compare_reports(output, Criteria(), "en")
        reports = {path.parent.name: read_report(path) for path in output.glob(f"*/{FINDINGS}")}
    status, table, back, wrong = Counter(), Counter(), Counter(), 0
    for report in reports.values():
        status[report.comparison.status.value] += 1
        if report.comparison.prior:
            prior, criteria = reports[report.comparison.prior.study], report.comparison.criteria
            pairs, joined = compared(report, prior, report.comparison.changes, lesions, criteria)
            turned, joined_too = compared(prior, report, changes(prior, report, criteria), lesions, criteria)
            table.update(pairs)
            back.update(turned)
            wrong += joined + joined_too
    by_size = {verdict.value for verdict in BY_SIZE}
    kept = {pair: n for pair, n in table.items() if pair[0] in by_size}
    measured = {pair: n for pair, n in kept.items() if pair[1] in by_size}
    written = {
        "images": sum(len(report.images) for report in reports.values()),
        "images_without_lungs": sum(image.lungs is None for report in reports.values() for image in report.images),
        "studies": dict(sorted(status.items())),
        "rewritten": rewritten,
        "rewritten_by_a_second_pass": again,
        "lesions_seen_twice": {
            "n": sum(kept.values()),
            "found_again": sum(n for pair, n in kept.items() if pair[1] in by_size | {"seen"}),
            "sizes_comparable": sum(measured.values()),
            "right_verdict": sum(n for (true, told), n in measured.items() if true == told),
        },
        "pairings_of_two_different_lesions": wrong,
        "true_to_told": {f"{true} told {told}": n for (true, told), n in sorted(table.items())},
        "true_to_told_with_the_studies_changed_about": {f"{a} told {b}": n for (a, b), n in sorted(back.items())},
    }
    Path(results).write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
