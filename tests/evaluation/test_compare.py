"""Planted pairs: the same model, a damaged one, and pairs that must not be compared."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radvit.entry import one_line
from radvit.errors import ConfigError, DataError
from radvit.evaluation.compare import Method, Verdict, compare, ordered, verdict_of
from radvit.evaluation.compare_figures import differences_figure
from radvit.evaluation.compare_page import FIGURES, Terms, rows, write_comparison
from radvit.evaluation.evaluate import evaluate
from radvit.evaluation.operating_point import choose
from radvit.evaluation.reading import read_evaluation
from radvit.evaluation.tables import title
from radvit.evaluation.writing import Setting, write_evaluation
from radvit.metrics.delong import Contrast
from radvit.metrics.matching import HitKind, HitRule
from radvit.metrics.segmentation import Overlap
from radvit.records import Boxes, Provenance, Task

PROVENANCE = Provenance("vit", "0.1.0", "fp32", "2026-01-01T00:00:00+00:00", weights="abc", seed=0)
N = 200
ROOT = Path(__file__).parents[2]


def rng():
    return np.random.default_rng(0)


def written(folder, predictions, operating=None, **setting):
    """An evaluation on disk, without figures, and read back."""
    from radvit.evaluation import writing

    folder.mkdir(parents=True)
    how = Setting(operating=operating, split="test", **setting)
    document = writing.metrics_document(
        evaluate(predictions, operating, rng(), 2), {}, {}, predictions, PROVENANCE, how
    )
    writing.write_json(folder / "metrics.json", document)
    writing.write_truth(folder, predictions)
    writing.write_scores(folder, predictions)
    return read_evaluation(folder)


def damaged(predictions, by=0.5):
    """Scores and box scores mixed with noise, so that they say less."""
    draw = np.random.default_rng(9)

    def mixed(scores):
        return ((1 - by) * scores + by * draw.random(scores.shape)).astype(scores.dtype)

    boxes = tuple(Boxes(b.xyxy, mixed(b.scores), b.labels) for b in predictions.boxes)
    return replace(predictions, scores=mixed(predictions.scores), boxes=boxes)


def test_what_was_written_is_read_back_bit_by_bit(tmp_path, make):
    predictions, operating = make(), choose(make(seed=1))
    metrics = evaluate(predictions, operating, rng(), 2)
    setting = Setting(operating=operating, split="val", hit_rule=HitRule(HitKind.IOU, 0.3), seen="all of it")
    write_evaluation(tmp_path / "e", metrics, {}, {}, predictions, PROVENANCE, setting)
    saved = read_evaluation(tmp_path / "e")
    again = saved.predictions
    assert (again.images, again.patients, again.studies) == (
        predictions.images,
        predictions.patients,
        predictions.studies,
    )
    np.testing.assert_array_equal(again.scores, predictions.scores)
    np.testing.assert_array_equal(again.targets, predictions.targets)
    for one, two in zip(again.boxes, predictions.boxes, strict=True):
        np.testing.assert_array_equal(one.xyxy, two.xyxy)
        np.testing.assert_array_equal(one.scores, two.scores)
    assert [[x.box_px for x in image] for image in again.truth] == [
        [x.box_px for x in image] for image in predictions.truth
    ]
    assert (saved.operating, saved.hit_rule, saved.split, saved.seen) == (
        operating,
        HitRule(HitKind.IOU, 0.3),
        "val",
        "all of it",
    )
    assert evaluate(again, operating, rng(), 2) == metrics
    assert saved.metrics.keys() == metrics.keys()
    assert saved.metrics["froc/cpm"] == metrics["froc/cpm"]


def test_spacing_is_read_back_so_that_millimetres_are_counted_alike(tmp_path, make):
    spacing = np.random.default_rng(2).uniform(0.1, 0.3, (len(make()), 2))
    spacing[[not lesions for lesions in make().truth]] = np.nan
    predictions, rule = replace(make(), spacing=spacing), HitRule(HitKind.DISTANCE_MM, 3.0)
    operating = choose(replace(make(seed=1), spacing=np.full_like(spacing, 0.2)), hit_rule=rule)
    metrics = evaluate(predictions, operating, rng(), 2, rule)
    write_evaluation(tmp_path, metrics, {}, {}, predictions, PROVENANCE, Setting(operating=operating, hit_rule=rule))
    assert (tmp_path / "images.csv").read_text().startswith("image,patient,study,row_mm,column_mm\n")
    saved = read_evaluation(tmp_path)
    np.testing.assert_array_equal(saved.predictions.spacing, spacing)
    assert evaluate(saved.predictions, saved.operating, rng(), 2, saved.hit_rule) == metrics
    assert metrics != evaluate(predictions, operating, rng(), 2)
    some = predictions.of([3, 1])
    np.testing.assert_array_equal(some.spacing, spacing[[3, 1]])
    with pytest.raises(DataError, match=r"spacing \(2, 2\); expected \(60, 2\)"):
        replace(predictions, spacing=some.spacing)


@pytest.mark.parametrize("task", [Task.DETECT, Task.CLASSIFY])
def test_the_same_model_twice_does_not_differ(tmp_path, make, task):
    predictions, operating = make(task=task), choose(make(seed=1, task=task))
    a, b = (written(tmp_path / name, predictions, operating) for name in "ab")
    found = compare(a, b, rng(), 100)
    assert {one.verdict for one in found.values()} == {Verdict.SAME}
    assert {one.tested.p for one in found.values()} == {1.0}


def test_a_damaged_model_is_worse_whichever_side_it_stands_on(tmp_path, make):
    predictions, operating = make(N), choose(make(seed=1))
    good, bad = (
        written(tmp_path / "g", predictions, operating),
        written(tmp_path / "b", damaged(predictions), operating),
    )
    here, there = compare(good, bad, rng(), 300), compare(bad, good, rng(), 300)
    for name in ("auroc", "average_precision", "brier", "froc/cpm", "froc/sensitivity@0.5", "map"):
        assert here[name].verdict is Verdict.A, name
        assert there[name].verdict is Verdict.B, name
        assert here[name].tested.difference == pytest.approx(-there[name].tested.difference)
        assert here[name].a == pytest.approx(there[name].b)
    assert here["auroc"].method is Method.CLUSTERED
    assert here["froc/cpm"].method is Method.BOOTSTRAP


def test_differences_are_those_of_the_two_evaluations_resample_by_resample(tmp_path, make):
    predictions = make(60)
    a, b = written(tmp_path / "a", predictions), written(tmp_path / "b", damaged(predictions))
    found = compare(a, b, rng(), 50)
    patients = list(dict.fromkeys(predictions.patients))
    index = np.array([patients.index(p) for p in predictions.patients])
    draws = np.random.default_rng(0).integers(0, len(patients), (50, len(patients)))
    from radvit.metrics.froc import FP_RATES, sensitivity_at

    slow = []
    for draw in draws:
        chosen = [i for p in draw for i in np.flatnonzero(index == p)]
        truth = [predictions.truth[i] for i in chosen]
        one, two = (sensitivity_at([s.predictions.boxes[i] for i in chosen], truth, FP_RATES).mean() for s in (a, b))
        slow.append(two - one)
    tested = found["froc/cpm"].tested
    assert (tested.low, tested.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=1e-9)


def test_one_image_a_patient_is_plain_delong_and_several_labels_go_by_the_bootstrap(tmp_path, make):
    one = make(task=Task.CLASSIFY)
    single = replace(one, patients=one.images, studies=one.images)
    found = compare(written(tmp_path / "a", single), written(tmp_path / "b", damaged(single)), rng(), 20)
    assert found["auroc"].method is Method.DELONG
    two = replace(one, labels=("a", "b"), scores=np.c_[one.scores, one.scores], targets=np.c_[one.targets, one.targets])
    found = compare(written(tmp_path / "c", two), written(tmp_path / "d", damaged(two)), rng(), 20)
    assert found["auroc"].method is Method.BOOTSTRAP


def test_areas_without_a_variance_go_by_the_bootstrap(tmp_path, make):
    one = make(task=Task.CLASSIFY)
    perfect, useless = (replace(one, scores=scores) for scores in (one.targets, np.full_like(one.scores, 0.5)))
    found = compare(written(tmp_path / "a", useless), written(tmp_path / "b", perfect), rng(), 200)["auroc"]
    assert (found.method, found.verdict, found.tested.low) == (Method.BOOTSTRAP, Verdict.B, 0.5)


def test_the_order_of_images_does_not_matter(tmp_path, make):
    predictions = make(30)
    b = damaged(predictions)
    turned = ordered(b, tuple(reversed(b.images)))
    assert turned.images != b.images
    a = written(tmp_path / "a", predictions)
    straight = compare(a, written(tmp_path / "b", b), rng(), 50)
    assert compare(a, written(tmp_path / "c", turned), rng(), 50) == straight


def test_one_patient_and_no_lesion_are_not_defined(tmp_path, make):
    predictions = make(3)
    bare = replace(predictions, truth=((),) * 3, targets=np.zeros((3, 1)))
    found = compare(written(tmp_path / "a", bare), written(tmp_path / "b", damaged(bare)), rng(), 20)
    assert {found[name].verdict for name in ("auroc", "froc/cpm", "map")} == {Verdict.UNDEFINED}


def test_masks_of_another_resolution_are_left_out(tmp_path, make):
    predictions = replace(make(6), task=Task.SEGMENT)
    counts = np.full((6, 1), 8)
    small, large = (
        replace(predictions, overlap=Overlap(n * counts, n * counts, n * counts), hd95=n / counts) for n in (1, 4)
    )
    a, b, c = (written(tmp_path / n, p) for n, p in (("a", small), ("b", small), ("c", large)))
    assert {"dice", "hd95"} <= set(compare(a, b, rng(), 5))
    assert not {"dice", "hd95"} & set(compare(a, c, rng(), 5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: replace(s, split="val"), r"splits differ \(test; val\)"),
        (lambda s: replace(s, hit_rule=HitRule(HitKind.DISTANCE, 9)), "hit rules differ"),
        (lambda s: with_(s, labels=("mass",)), r"labels differ \(nodule; mass\)"),
        (lambda s: with_(s, task=Task.SEGMENT), r"tasks differ \(detect; segment\)"),
        (lambda s: with_(s, images=("x", *s.predictions.images[1:])), r"images differ \(60; 60; 2 in one alone\)"),
        (lambda s: with_(s, targets=1 - s.predictions.targets), r"truth differs \(labels of 60 images, lesions of 0\)"),
        (lambda s: with_(s, truth=((),) * 60), r"truth differs \(labels of 0 images, lesions of \d+\)"),
        (lambda s: with_(s, patients=s.predictions.images, studies=s.predictions.images), "another patient's"),
    ],
)
def test_what_must_not_be_compared_is_refused(tmp_path, make, change, words):
    a = written(tmp_path / "a", make())
    with pytest.raises(DataError, match=f"can't be compared: .*{words}.*; expected the same$") as caught:
        compare(a, change(a), rng(), 5)
    assert "\n" not in one_line(caught.value)


def with_(saved, **changes):
    return replace(saved, predictions=replace(saved.predictions, **changes))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "boxes.csv").unlink(), "boxes.csv: No such file"),
        (lambda f: (f / "metrics.json").write_text("{"), "damaged"),
        (lambda f: (f / "predictions.csv").write_text("image,patient,label,score\n"), "predictions.csv lacks a number"),
        (lambda f: (f / "truth_boxes.csv").write_text("image\n2.25.0\n"), "damaged"),
        (lambda f: (f / "images.csv").write_text("image,patient,study\na,p,s\na,p,s\n"), "an image twice"),
        (lambda f: (f / "images.csv").write_bytes(b"\xff\xfe"), "damaged"),
    ],
)
def test_damaged_evaluations_are_refused(tmp_path, make, damage, words):
    written(tmp_path / "a", make(6))
    damage(tmp_path / "a")
    with pytest.raises(DataError, match=words):
        read_evaluation(tmp_path / "a")


def test_an_earlier_version_is_told_to_evaluate_again(tmp_path, make):
    written(tmp_path / "a", make(6))
    document = json.loads((tmp_path / "a" / "metrics.json").read_text())
    del document["provenance"]["extra"]["evaluation"]["task"]
    (tmp_path / "a" / "metrics.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"run evaluate\.py again"):
        read_evaluation(tmp_path / "a")


def test_files_and_table(tmp_path, make):
    predictions = make(N)
    a, b = written(tmp_path / "a", predictions), written(tmp_path / "b", damaged(predictions), seen="two patients")
    found = compare(a, b, rng(), 100)
    write_comparison(tmp_path / "out", found, a, b, Terms("runs/a", "runs/b", 0, 100))
    document = json.loads((tmp_path / "out" / "compare.json").read_text())
    auroc = document["differences"]["auroc"]
    assert auroc["difference"] == pytest.approx(auroc["b"] - auroc["a"])
    assert (auroc["verdict"], auroc["better"]) == ("A is better", "higher")
    assert document["differences"]["brier"]["better"] == "lower"
    assert (document["n_images"], document["a"]["weights"], document["b"]["path"]) == (N, "abc", "runs/b")
    text = (tmp_path / "out" / "COMPARE.md").read_text()
    assert "B was measured on images seen in training: two patients" in text
    assert "| AUROC, image | " in text
    assert "Obuchowski 1997" in text
    assert "python evaluate.py 'compare=[runs/a,runs/b]' split=test bootstrap=100 seed=0" in text
    pictures = sorted(path.stem for path in (tmp_path / "out" / "figures").glob("*.png"))
    assert pictures == sorted(name for name in FIGURES if f"](figures/{name}.png)" in text)
    assert {"froc", "differences"} <= set(pictures)
    shown = {row[0]: row for row in rows(found)}
    assert shown["AUROC, image"][-1] == "A is better"
    assert shown["AUROC, image"][3].startswith("-0.")


def test_the_picture_of_differences_has_a_row_for_each_share(tmp_path, make):
    predictions = make(N)
    a, b = written(tmp_path / "a", predictions), written(tmp_path / "b", damaged(predictions))
    found = compare(a, b, rng(), 100)
    wide = replace(found["auroc"], tested=Contrast(40.0, 30.0, 50.0, 0.01))
    unknown = replace(found["auroc"], tested=Contrast(0.1, np.nan, np.nan, np.nan))
    axes = differences_figure({**found, "hd95/nodule": wide, "ece": unknown}).axes[0]
    words = [label.get_text() for label in axes.get_yticklabels()]
    assert words[-1] == title(next(iter(found)))
    assert not {title("hd95/nodule"), title("ece")} & set(words)
    place = words.index(title("auroc"))
    interval = next(line for line in axes.lines if list(line.get_ydata()) == [place, place])
    assert list(interval.get_xdata()) == [found["auroc"].tested.low, found["auroc"].tested.high]


def test_verdicts():
    assert verdict_of("auroc", Contrast(0.1, 0.05, 0.2, 0.01)) is Verdict.B
    assert verdict_of("hd95/nodule", Contrast(0.1, 0.05, 0.2, 0.01)) is Verdict.A
    assert verdict_of("ece", Contrast(0.1, 0.05, 0.2, 0.01)) is Verdict.A
    assert verdict_of("auroc", Contrast(0.1, -0.05, 0.2, 0.2)) is Verdict.OPEN
    assert verdict_of("auroc", Contrast(0.1, np.nan, np.nan, np.nan)) is Verdict.UNDEFINED


@pytest.fixture
def evaluations(tmp_path, make):
    predictions = make(30)
    written(tmp_path / "a/evaluation/test", predictions)
    written(tmp_path / "b/evaluation/test", damaged(predictions))
    return tmp_path


def configured(*overrides):
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from radvit import config

    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return OmegaConf.to_object(compose("evaluate", overrides=list(overrides)))


def test_runs_are_compared_from_their_folders(evaluations, capsys):
    from radvit.run import compare as run_compare

    a, b = evaluations / "a", evaluations / "b"
    found = run_compare(configured(f"compare=[{a},{b}]", "bootstrap=20"))
    assert (a / "evaluation/test/compare/b/COMPARE.md").is_file()
    shown = capsys.readouterr().out
    assert "verdict" in shown
    assert "AUROC, image" in shown
    again = run_compare(
        configured(f"compare=[{a}/evaluation/test,{b}]", "bootstrap=20", f"output={evaluations / 'out'}")
    )
    assert again == found
    assert (evaluations / "out/compare.json").is_file()


def test_a_run_that_was_not_evaluated_is_told_how(evaluations):
    from radvit.run import compare as run_compare

    a, b = evaluations / "a", evaluations / "b"
    with pytest.raises(DataError, match=r"no evaluation of split val; first run: python evaluate\.py checkpoint="):
        run_compare(configured(f"compare=[{a},{b}]", "split=val"))
    with pytest.raises(DataError, match="was measured on split test; expected val"):
        run_compare(configured(f"compare=[{a}/evaluation/test,{b}]", "split=val"))
    with pytest.raises(DataError, match="nowhere is no folder"):
        run_compare(configured(f"compare=[{a},{evaluations}/nowhere]"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["compare=[a]"], r"compare names 1 run; expected compare=\[RUN_A,RUN_B\]"),
        (["compare=[a,b]", "checkpoint=c"], "both checkpoint and compare"),
        (["compare=[a,b]", "precision=int8"], "no precision and no quantize"),
    ],
)
def test_arguments_that_do_not_go_together(overrides, words):
    with pytest.raises(ConfigError, match=words):
        configured(*overrides)


def test_the_command_ends_in_one_line_where_it_must_refuse(evaluations, make):
    a, b = evaluations / "a", evaluations / "b"
    written(evaluations / "c/evaluation/test", make(31))
    said = {}
    for other in (b, evaluations / "c"):
        command = [sys.executable, str(ROOT / "evaluate.py"), f"compare=[{a},{other}]", "bootstrap=20"]
        said[other.name] = subprocess.run(command, cwd=evaluations, capture_output=True, text=True)
    assert said["b"].returncode == 0, said["b"].stderr
    assert "FROC score CPM" in said["b"].stdout
    assert said["c"].returncode == 2
    assert said["c"].stderr.count("\n") == 1
    assert "can't be compared: their images differ (30; 31; 1 in one alone)" in said["c"].stderr
