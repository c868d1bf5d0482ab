import json
from dataclasses import replace

import numpy as np
import pytest

from radvit.evaluation.evaluate import evaluate
from radvit.evaluation.external import Apart, Measured, apart, case_mix, main_metrics, resampled
from radvit.evaluation.external_page import (
    Terms,
    apart_rows,
    apart_words,
    forest_figure,
    mix_rows,
    rows,
    write_external,
)
from radvit.evaluation.figures import interval_words
from radvit.evaluation.operating_point import choose
from radvit.evaluation.reading import read_evaluation, read_metrics
from radvit.evaluation.writing import Setting, write_evaluation
from radvit.records import Boxes, Lesion, Provenance, Task

N_BOOT = 60
ORIGIN = Provenance("vit", "0.1.0", "fp32", "2026-01-01T00:00:00+00:00", extra={})


def rng(seed=0):
    return np.random.default_rng(seed)


def alone(predictions):
    """The same with a patient of its own for each image."""
    names = tuple(f"P-{i}" for i in range(len(predictions)))
    return replace(predictions, patients=names, studies=names)


def measured(folder, name, predictions, operating, home=None):
    metrics = evaluate(predictions, operating, rng(), N_BOOT)
    write_evaluation(folder / name, metrics, {}, {}, predictions, ORIGIN, Setting("ViT", operating, split="test"))
    saved = read_evaluation(folder / name)
    away = {}
    if home is not None:
        drawn = (resampled(one, rng(seed), N_BOOT) for seed, one in ((1, saved), (2, home.saved)))
        away = apart(metrics, home.metrics, *drawn)
    return Measured(name, saved, read_metrics(saved.folder), case_mix(saved.predictions), away)


@pytest.fixture
def three(tmp_path, make):
    operating = choose(make(seed=9))
    home = measured(tmp_path, "internal", make(60, seed=1), operating)
    sites = [
        measured(tmp_path, f"site_{k}", make(60, seed=k, skill=s), operating, home) for k, s in ((2, 2.0), (3, 0.0))
    ]
    return home, sites


def test_an_interval_of_a_difference_has_the_width_of_two_independent_samples(tmp_path, make):
    """Of shares the standard error is known: the root of the sum of p (1 - p) / n."""
    n_boot, operating = 3000, choose(make(seed=9, task=Task.CLASSIFY))
    here, home = (alone(make(n, seed=n, skill=1.0, task=Task.CLASSIFY)) for n in (300, 200))
    values, drawn = [], []
    for i, one in enumerate((here, home)):
        folder = tmp_path / str(i)
        values.append(evaluate(one, operating, rng(), 10))
        write_evaluation(folder, values[-1], {}, {}, one, ORIGIN, Setting("ViT", operating))
        drawn.append(resampled(read_evaluation(folder), rng(i), n_boot))
    found = apart(*values, *drawn)["accuracy"]
    p, q = (value["accuracy"].value for value in values)
    error = np.sqrt(p * (1 - p) / 300 + q * (1 - q) / 200)
    assert found.value == pytest.approx(p - q)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert (found.high + found.low) / 2 == pytest.approx(p - q, abs=0.2 * error)


def test_what_one_of_the_two_lacks_is_not_compared(make):
    predictions, operating = make(24), choose(make(seed=9))
    metrics = evaluate(predictions, operating, rng(), 5)
    some = {name: metrics[name] for name in ("auroc", "ece")}
    found = apart(some, {"ece": metrics["ece"]}, {}, {})
    assert list(found) == ["ece"]
    assert found["ece"].value == 0
    assert np.isnan(found["ece"].low)
    undefined = replace(metrics["auroc"], value=float("nan"))
    draws = {"auroc": np.ones(3)}
    assert np.isnan(apart({"auroc": undefined}, some, draws, draws)["auroc"].low)


def test_case_mix_is_counted_from_the_truth(make):
    given = make(4)
    truth = ((Lesion((0, 0, 10, 30)), Lesion((0, 0, 40, 10))), (), (Lesion((0, 0, 5, 5)),), ())
    spacing = np.array([[0.5, 0.2], [np.nan] * 2, [np.nan] * 2, [1, 1]])
    boxes = (Boxes.empty(),) * 4
    targets = np.array([[1.0], [0], [1], [0]])
    one = replace(given, truth=truth, spacing=spacing, boxes=boxes, targets=targets)
    mix = case_mix(one)
    assert (mix.prevalence, mix.lesions, mix.images) == ({"nodule": 0.5}, 0.75, 2.0)
    assert mix.size_mm == pytest.approx((9.75, 11.5, 13.25))  # 15 mm high; 8 mm wide; the third has no spacing
    assert case_mix(replace(one, spacing=None)).size_mm is None
    assert case_mix(one.of([])).prevalence == {}
    assert case_mix(make(4, task=Task.CLASSIFY)).lesions is None


def test_rows_hold_the_metrics_of_each_set(three):
    home, sites = three
    table = rows([home, *sites])
    assert [row[0] for row in table] == ["data set", "internal", "site_2", "site_3"]
    assert table[1][1:4] == ("20", "60", f"{home.saved.predictions.n_lesions}")
    for row, one in zip(table[1:], (home, *sites), strict=True):
        assert row[4:] == tuple(interval_words(one.metrics[name]) for name in main_metrics(Task.DETECT))
    away = apart_rows(sites)
    assert away[1][1] == apart_words("froc/cpm", sites[0].apart["froc/cpm"])
    assert away[2][1].startswith("-")  # without skill
    assert sites[1].apart["froc/cpm"].high < 0
    assert apart_words("auroc", None) == "n/a"
    assert apart_words("auroc", Apart(-0.05, -0.08, -0.02)) == "-0.050 [-0.080, -0.020] worse"
    assert apart_words("ece", Apart(-0.05, -0.08, -0.02)) == "-0.050 [-0.080, -0.020] better"
    assert apart_words("auroc", Apart(0.05, 0.02, 0.08)).endswith(" better")
    assert apart_words("auroc", Apart(0.05, -0.02, 0.08)) == "+0.050 [-0.020, +0.080]"
    assert len(mix_rows([home, *sites])) == 4


def test_all_that_is_written_says_the_same(three, tmp_path):
    home, sites = three
    terms = Terms("python evaluate.py", 0, N_BOOT, home, {"site_4": "no such folder"})
    write_external(tmp_path / "out", sites, terms)
    document = json.loads((tmp_path / "out" / "external.json").read_text())
    assert [one["name"] for one in document["sets"]] == ["site_2", "site_3"]
    assert document["failed"] == {"site_4": "no such folder"}
    value = document["sets"][0]["differences"]["auroc"]["value"]
    metric = [document[side]["metrics"]["auroc"]["value"] for side in ("internal",)]
    assert value == pytest.approx(document["sets"][0]["metrics"]["auroc"]["value"] - metric[0])
    text = (tmp_path / "out" / "EXTERNAL.md").read_text()
    for row in (*rows([home, *sites]), *apart_rows(sites), *mix_rows(sites)):
        assert "| " + " | ".join(row) + " |" in text
    assert "- site_4: no such folder" in text
    html = (tmp_path / "out" / "external.html").read_text()
    assert "data:image/png;base64," in html
    assert "site_3" in html


def test_the_figure_has_a_panel_a_metric_and_a_row_a_set(three):
    home, sites = three
    figure = forest_figure(sites, home)
    assert len(figure.axes) == len(main_metrics(Task.DETECT))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["site_3  (20)", "site_2  (20)", "internal  (20)"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "D")]
    assert [dot.get_xdata()[0] for dot in dots] == [one.metrics["froc/cpm"].value for one in (*sites[::-1], home)]


def test_without_an_internal_split_there_is_no_difference(three, tmp_path):
    _, sites = three
    one = replace(sites[0], apart={})
    write_external(tmp_path / "out", [one], Terms("", 0, N_BOOT, None, {}))
    text = (tmp_path / "out" / "EXTERNAL.md").read_text()
    assert "No internal test split could be measured" in text
    assert "## Difference" not in text
    assert json.loads((tmp_path / "out" / "external.json").read_text())["internal"] is None
