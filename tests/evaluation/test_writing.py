"""What is written must be enough to compute every number again, by a reader who has only the files."""

import csv
import json
from collections import defaultdict
from dataclasses import replace

import cv2
import numpy as np
import pytest

from radvit.errors import DataError
from radvit.evaluation.contact_sheet import View, worst_errors
from radvit.evaluation.evaluate import Metric, evaluate
from radvit.evaluation.operating_point import choose
from radvit.evaluation.strata import strata
from radvit.evaluation.subgroups import subgroups
from radvit.evaluation.tables import table_rows, title
from radvit.evaluation.writing import Setting, write_evaluation, write_json
from radvit.metrics.matching import CENTER_INSIDE
from radvit.records import Provenance, Task

PROVENANCE = Provenance("vit", "0.1.0", "fp32", "2026-01-01T00:00:00+00:00", seed=0, extra={"split": "test"})
N_BOOT = 30


def view_of(predictions):
    def view(index):
        boxes = predictions.boxes[index].xyxy / 8
        true = np.array([lesion.box_px for lesion in predictions.truth[index]], np.float32).reshape(-1, 4) / 8
        return View(np.full((256, 256), 0.5, np.float32), boxes, true)

    return view


def write(folder, make, task=Task.DETECT):
    predictions, baseline = make(task=task), make(skill=0.0, task=task)
    operating = choose(make(seed=1, task=task))
    metrics = evaluate(predictions, operating, np.random.default_rng(0), N_BOOT)
    blobs = evaluate(baseline, None, np.random.default_rng(0), N_BOOT)
    setting = Setting(
        "ViT", operating, others={"blobs": baseline}, views=view_of(predictions), n_boot=N_BOOT, command="evaluate.py"
    )
    write_evaluation(folder, metrics, {"blobs": blobs}, {"int8": metrics}, predictions, PROVENANCE, setting)
    return predictions, metrics, operating


def test_subgroups_and_strata_are_written_with_what_they_are_made_of(tmp_path, make):
    predictions, operating = make(n_images=90), choose(make(seed=1))
    columns = {"half": ["a" if int(patient[2:]) % 2 else "b" for patient in predictions.patients]}
    metrics = evaluate(predictions, operating, np.random.default_rng(0), N_BOOT)
    groups = subgroups(predictions, columns, operating, np.random.default_rng(0), N_BOOT)
    nowhere = [[""] * len(true) for true in predictions.truth]
    lesions = strata(predictions, operating.box_threshold, nowhere, np.random.default_rng(0), N_BOOT)
    setting = Setting("ViT", operating, n_boot=N_BOOT, columns=columns, groups=groups, strata=lesions)
    write_evaluation(tmp_path, metrics, {}, {}, predictions, PROVENANCE, setting)
    assert [row["half"] for row in rows(tmp_path / "groups.csv")] == columns["half"]
    written = json.loads((tmp_path / "subgroups.json").read_text())
    assert [group["value"] for group in written["groups"]] == ["a", "b"]
    assert written["groups"][0]["metrics"]["froc/cpm"]["value"] == groups.groups[0].metrics["froc/cpm"].value
    assert json.loads((tmp_path / "strata.json").read_text())["strata"] == lesions.document()
    assert cv2.imread(str(tmp_path / "figures/score_by_size.png")).std() > 10
    pictures = (tmp_path / "report.html").read_text().count('<img src="data:image/png;base64,')
    assert pictures == len(list((tmp_path / "figures").iterdir()))
    page = (tmp_path / "REPORT.md").read_text()
    assert page.index("## Which lesions are found") < page.index("## Subgroups")
    assert page.index("![Each subgroup beside all images](figures/subgroups.png)") < page.index("## Subgroups")
    assert cv2.imread(str(tmp_path / "figures/subgroups.png")).std() > 10


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def slow_froc(boxes, lesions, n_images, rate):
    """Straight from the definition and from the files alone."""
    best = 0.0
    for threshold in sorted({float(b["score"]) for b in boxes}):
        hits, alarms, taken = 0, 0, set()
        for b in sorted(boxes, key=lambda b: -float(b["score"])):
            if float(b["score"]) < threshold:
                continue
            x, y = (float(b["x1"]) + float(b["x2"])) / 2, (float(b["y1"]) + float(b["y2"])) / 2
            inside = [
                (abs(x - (t[0] + t[2]) / 2) ** 2 + abs(y - (t[1] + t[3]) / 2) ** 2, i)
                for i, (image, t) in enumerate(lesions)
                if image == b["image"] and t[0] <= x <= t[2] and t[1] <= y <= t[3]
            ]
            free = [i for _, i in sorted(inside) if i not in taken]
            if free:
                taken.add(free[0])
                hits += 1
            elif not inside:
                alarms += 1
        if alarms <= rate * n_images:
            best = max(best, hits / len(lesions))
    return best


def slow_auroc(scores, present):
    positive = [s for s, p in zip(scores, present, strict=True) if p]
    negative = [s for s, p in zip(scores, present, strict=True) if not p]
    wins = sum((a > b) + (a == b) / 2 for a in positive for b in negative)
    return wins / (len(positive) * len(negative))


@pytest.fixture
def folder(tmp_path, make):
    write(tmp_path / "evaluation", make)
    return tmp_path / "evaluation"


def test_every_kind_of_number_can_be_recomputed_from_the_files(folder):
    document = json.loads((folder / "metrics.json").read_text())
    for source, measured in (
        (folder, document["metrics"]),
        (folder / "baselines/blobs", document["baselines"]["blobs"]),
    ):
        said, truth = rows(source / "predictions.csv"), rows(folder / "truth_labels.csv")
        present = {r["image"]: int(r["present"]) for r in truth}
        scores = {r["image"]: float(r["score"]) for r in said}
        images = list(present)
        auroc = slow_auroc([scores[i] for i in images], [present[i] for i in images])
        assert measured["auroc"]["value"] == pytest.approx(auroc, abs=1e-12)
        by_study = defaultdict(lambda: [0.0, 0])
        for r in rows(folder / "images.csv"):
            best = by_study[r["study"]]
            best[0], best[1] = max(best[0], scores[r["image"]]), max(best[1], present[r["image"]])
        assert measured["study_auroc"]["value"] == pytest.approx(slow_auroc(*zip(*by_study.values(), strict=True)))
        lesions = [
            (r["image"], tuple(float(r[c]) for c in ("x1", "y1", "x2", "y2"))) for r in rows(folder / "truth_boxes.csv")
        ]
        reached = [
            slow_froc(rows(source / "boxes.csv"), lesions, len(images), rate) for rate in (0.125, 0.25, 0.5, 1, 2, 4, 8)
        ]
        assert measured["froc/sensitivity@0.125"]["value"] == pytest.approx(reached[0], abs=1e-12)
        assert measured["froc/cpm"]["value"] == pytest.approx(np.mean(reached), abs=1e-12)
    threshold = document["provenance"]["extra"]["evaluation"]["operating_point"]["image_thresholds"][0]
    said = rows(folder / "predictions.csv")
    right = [(float(r["score"]) >= threshold) == bool(present[r["image"]]) for r in said]
    assert document["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(right))


def test_files_and_columns_are_as_documented(folder):
    first = {p.name: p.read_text().splitlines()[0] for p in folder.glob("*.csv")}
    assert first == {
        "predictions.csv": "image,patient,label,score",
        "boxes.csv": "image,patient,x1,y1,x2,y2,score,label",
        "truth_boxes.csv": "image,patient,x1,y1,x2,y2,label",
        "truth_labels.csv": "image,patient,label,present",
        "images.csv": "image,patient,study",
    }
    document = json.loads((folder / "metrics.json").read_text())
    assert set(document) == {"metrics", "baselines", "precisions", "provenance"}
    assert set(document["metrics"]["auroc"]) == {"value", "low", "high", "n_patients", "n_images", "n_lesions"}
    assert document["provenance"]["extra"]["split"] == "test"
    assert document["provenance"]["extra"]["evaluation"]["hit_rule"] == {"kind": "center", "value": 0.0}
    assert document["precisions"]["int8"] == document["metrics"]


def test_the_same_arguments_give_the_same_bytes(tmp_path, make):
    write(tmp_path / "a", make)
    write(tmp_path / "b", make)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 15
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_the_page_shows_numbers_and_figures_that_exist(folder):
    text = (folder / "REPORT.md").read_text()
    names = {p.stem for p in (folder / "figures").glob("*.png")}
    assert names == {"froc", "roc_pr", "reliability", "confusion", "worst_errors"}
    for name in names:
        assert f"(figures/{name}.png)" in text
        picture = cv2.imread(str(folder / "figures" / f"{name}.png"))
        assert min(picture.shape[:2]) > 500
        assert picture.std() > 10
    document = json.loads((folder / "metrics.json").read_text())
    cpm = document["metrics"]["froc/cpm"]
    assert f"**{cpm['value']:.3f} [{cpm['low']:.3f}, {cpm['high']:.3f}]**" in text
    assert "centre of the predicted box lies inside the true box" in text
    assert "| metric | ViT | int8 | blobs |" in text


def test_a_classifier_has_no_boxes_and_no_froc(tmp_path, make):
    write(tmp_path, make, Task.CLASSIFY)
    assert not list(tmp_path.rglob("*boxes.csv"))
    assert {p.stem for p in (tmp_path / "figures").iterdir()} == {"roc_pr", "reliability", "confusion"}
    assert "accuracy of **" in (tmp_path / "REPORT.md").read_text()


def test_several_labels_are_drawn(tmp_path, make):
    one = make(task=Task.CLASSIFY)
    scores = np.concatenate([one.scores / 2, 1 - one.scores / 2], 1)
    targets = np.concatenate([one.targets, 1 - one.targets], 1)
    for exclusive in (True, False):
        two = replace(one, labels=("a", "b"), scores=scores, targets=targets, exclusive=exclusive)
        operating = choose(two)
        metrics = evaluate(two, operating, np.random.default_rng(0), 5)
        write_evaluation(tmp_path, metrics, {}, {}, two, PROVENANCE, Setting(operating=operating))
        assert (tmp_path / "figures/confusion.png").exists()
        assert len(rows(tmp_path / "predictions.csv")) == 2 * len(two)


def test_undefined_numbers_are_null(tmp_path, make):
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": [float("inf"), 1.0]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1.0]}
    empty = replace(make(3), truth=((),) * 3, targets=np.zeros((3, 1)))
    metrics = evaluate(empty, None, np.random.default_rng(0), 5)
    write_evaluation(tmp_path, metrics, {}, {}, empty, PROVENANCE)
    assert json.loads((tmp_path / "metrics.json").read_text())["metrics"]["auroc"]["value"] is None


def test_predictions_without_metrics_are_refused(tmp_path, make):
    with pytest.raises(DataError, match=r"predictions of \['blobs'\]"):
        write_evaluation(tmp_path, {}, {}, {}, make(3), PROVENANCE, Setting(others={"blobs": make(3)}))


def test_worst_errors_against_a_loop(make):
    predictions = make()
    threshold = choose(predictions).box_threshold
    errors = worst_errors(predictions, threshold, CENTER_INSIDE, most=1000)
    missed, alarms = set(), set()
    for i, (boxes, lesions) in enumerate(zip(predictions.boxes, predictions.truth, strict=True)):
        inside = np.zeros((len(boxes), len(lesions)), bool)
        for j, lesion in enumerate(lesions):
            x1, y1, x2, y2 = lesion.box_px
            x, y = ((boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2).T
            inside[:, j] = (x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2) & (boxes.scores >= threshold)
        missed |= {(i, j) for j in np.flatnonzero(~inside.any(0)).tolist()}
        alarms |= {(i, b) for b in np.flatnonzero(~inside.any(1) & (boxes.scores >= threshold)).tolist()}
    assert {tuple(row) for row in errors.missed.tolist()} == missed
    assert {tuple(row) for row in errors.alarms.tolist()} == alarms
    scores = [predictions.boxes[i].scores[b] for i, b in errors.alarms.tolist()]
    assert scores == sorted(scores, reverse=True)


def test_table_rows():
    half = {"auroc": Metric(0.5, 0.4, 0.6, 1, 1, 0), "map": Metric(float("nan"), float("nan"), float("nan"), 1, 1, 0)}
    assert table_rows(half, {"blobs": {}}, name="ViT") == [
        ("metric", "ViT", "blobs"),
        ("AUROC, image", "0.500 [0.400, 0.600]", "n/a"),
        ("mAP, IoU 0.10 to 0.50", "n/a", "n/a"),
    ]
    assert title("froc/sensitivity@1") == "Lesions found at 1 false alarm per image"
