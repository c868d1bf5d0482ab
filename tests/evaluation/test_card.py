import ast

import pytest

from radvit.bundle import Scope
from radvit.evaluation.card import model_card
from radvit.records import Task


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
    point = {"image_thresholds": [0.5], "box_threshold": 0.25}
    saved = bundle(tmp_path, Task.DETECT, trained=known, scope=scope, operating_point=point)
    card = model_card(saved)
    assert card.startswith("# phantom_nodule\n")
    assert "Research use only: not a medical device" in card
    table = cells(card)
    assert table["task"] == "detect"
    assert table["labels"] == "nodule"
    assert table["backbone"] == "vit_tiny_patch16_224 (1.25 M weights), 32 px"
    assert table["started from"] == "random weights"
    assert table["trained on"] == "700 images, tuned on 100"
    assert (table["modalities"], table["body parts"], table["views"]) == ("CR, DX", "CHEST", "any")
    assert (table["data fingerprint"], table["split"]) == ("abc", "def")
    assert (table["seed"], table["radvit"], table["commit"]) == ("0", "0.1.0", "123+")
    assert ast.literal_eval(table["operating point"]) == point
    assert table["calibration"] == "none"


def test_a_bundle_that_knows_little_has_a_card_all_the_same(bundle, tmp_path):
    table = cells(model_card(bundle(tmp_path, Task.CLASSIFY, ("a", "b"), trained={})))
    assert table["labels"] == "a, b"
    assert table["operating point"] == "none: no validation images"
    assert table["trained on"] == "? images, tuned on ?"


def test_published_weights_are_named_as_such(bundle, tmp_path, trained):
    saved = bundle(tmp_path, Task.CLASSIFY, trained={**trained, "pretrained": True})
    assert cells(model_card(saved))["started from"] == "published weights"
