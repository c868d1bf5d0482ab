import json
import re
from dataclasses import replace

import numpy as np
import pytest

from radvit.bundle import Scope
from radvit.evaluation.card import model_card, with_results
from radvit.evaluation.card_results import results
from radvit.evaluation.evaluate import evaluate
from radvit.evaluation.operating_point import OperatingPoint, choose
from radvit.evaluation.subgroups import subgroups
from radvit.evaluation.tables import title
from radvit.evaluation.writing import Setting, write_evaluation
from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Platt
from radvit.metrics.matching import HitKind, HitRule
from radvit.models.windows import WindowSpec
from radvit.records import Provenance, Task


def cells(card):
    """The card's table as a dictionary."""
    rows = [line.strip("|").split("|", 1) for line in card.splitlines() if line.startswith("| ") and "---" not in line]
    return {name.strip(): value.strip().rstrip("|").strip() for name, value in rows if name.strip()}


@pytest.fixture
def trained():
    return {"name": "phantom_nodule", "seed": 0, "pretrained": False, "weights_m": 1.25, "n_train": 700, "n_val": 100}


def test_a_card_holds_what_the_bundle_knows(bundle, tmp_path, trained):
    known = {**trained, "data_fingerprint": "abc", "split_hash": "def", "version": "0.1.0", "git_commit": "123+"}
    scope = Scope(("CR", "DX"), ("CHEST",), ())
    point = OperatingPoint((0.5,), 0.25, hit_rule=HitRule(HitKind.IOU, 0.3)).to_dict()
    saved = bundle(tmp_path, Task.DETECT, trained=known, scope=scope, operating_point=point)
    card = model_card(saved)
    assert card.startswith("# phantom_nodule\n")
    assert "Research use only: not a medical device" in card
    table = cells(card)
    assert table["task"] == "detect"
    assert table["labels"] == "nodule"
    assert (table["backbone"], table["images"]) == ("vit_tiny_patch16_224 (1.25 M weights)", "32 px")
    assert table["started from"] == "random weights"
    assert table["trained on"] == "700 images, tuned on 100"
    assert (table["modalities"], table["body parts"], table["views"]) == ("CR, DX", "CHEST", "any")
    assert (table["data fingerprint"], table["split"]) == ("abc", "def")
    assert (table["seed"], table["radvit"], table["commit"]) == ("0", "0.1.0", "123+")
    assert table["operating point"] == (
        "image scores from: nodule 0.5 (youden); box scores from 0.25 (at most 1 false alarms an image, a hit where "
        "predicted and true box overlap with an IoU of at least 0.3)"
    )
    assert table["calibration"] == "none"
    assert card.endswith("## Results\n\nNot measured yet: `python evaluate.py checkpoint=RUN` fills this in.\n")


def test_a_bundle_that_knows_little_has_a_card_all_the_same(bundle, tmp_path):
    table = cells(model_card(bundle(tmp_path, Task.CLASSIFY, ("a", "b"), trained={})))
    assert table["labels"] == "a, b"
    assert table["operating point"] == "none: no validation images"
    assert table["trained on"] == "? images, tuned on ?"


def test_published_weights_are_named_as_such(bundle, tmp_path, trained):
    saved = bundle(tmp_path, Task.CLASSIFY, trained={**trained, "pretrained": True})
    assert cells(model_card(saved))["started from"] == "published weights"


def test_a_sliding_windows_image_is_larger_than_its_window(bundle, tmp_path):
    saved = bundle(tmp_path, Task.CLASSIFY)
    slid = replace(saved, spec=replace(saved.spec, task=Task.DETECT, window=WindowSpec(32, 16)))
    table = cells(model_card(replace(slid, preprocess=replace(saved.preprocess, size=128))))
    assert table["images"] == "128 px, in windows of 32 px"


@pytest.mark.parametrize("task", [Task.DETECT, Task.CLASSIFY])
def test_results_in_a_card_are_those_of_metrics_json(make, tmp_path, task):
    predictions, operating = make(n_images=90, task=task), choose(make(seed=1, task=task))
    metrics = evaluate(predictions, operating, np.random.default_rng(0), 30)
    columns = {"half": ["a" if int(patient[2:]) % 2 else "b" for patient in predictions.patients]}
    groups = subgroups(predictions, columns, operating, np.random.default_rng(0), 30)
    scaled = Calibration(Platt(0.5, 0.25, fitted=True))
    setting = Setting(
        "ViT", operating, n_boot=30, command="evaluate.py x", split="test", groups=groups, calibration=scaled
    )
    origin = Provenance("vit", "0.1.0", "fp32", "2026-01-01T00:00:00+00:00", data_fingerprint="abc")
    write_evaluation(tmp_path, metrics, {}, {}, predictions, origin, setting)
    section = results(metrics, {}, {}, predictions, origin, setting)
    card = with_results("# vit\n\nabout\n", section)
    saved = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    rows = dict(re.findall(r"^\| (.+?) \| (\S+ \[\S+ \S+\]|\S+) \|$", card, re.MULTILINE))
    for name, one in saved.items():
        numbers = [one[key] for key in ("value", "low", "high") if one[key] is not None]
        written = [float(x) for x in re.findall(r"-?[\d.]+", rows[title(name)])]
        assert written == pytest.approx(numbers, abs=5.1e-4)
    report = (tmp_path / "REPORT.md").read_text()
    shared = [line for line in card.splitlines()[5:] if line and "Subgroups, worst" not in line]
    assert [line for line in shared if line not in report] == [shared[0]]  # where it was measured
    assert card.count("- Subgroups, worst by half: ") == len(groups.gaps) > 0
    assert "slope 0.5, intercept 0.25" in card
    assert "`2026-01-01T00:00:00+00:00`" in card
    assert "```\nevaluate.py x\n```" in card
    assert with_results(card, "new") == "# vit\n\nabout\n\n## Results\n\nnew\n"


def test_results_take_the_place_of_what_was_not_measured(bundle, tmp_path):
    card = model_card(bundle(tmp_path, Task.CLASSIFY))
    filled = with_results(card, "0.9")
    assert "Not measured yet" not in filled
    assert filled.count("## Results") == 1
    assert filled.startswith(card.partition("## Results")[0])
