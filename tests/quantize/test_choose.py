from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radvit.errors import QuantizeError
from radvit.models.spec import output_names
from radvit.quantize import choose as choosing
from radvit.quantize.calibrate import Ranges
from radvit.quantize.choose import CLOSE_ENOUGH, Bench, Candidate, choose, first, ranked
from radvit.quantize.recipes import Recipe, Workshop
from radvit.records import Task


@pytest.fixture
def bench(workshop, exported_models, images):
    saved, path = exported_models[Task.DETECT]
    return Bench(workshop(), path, output_names(saved.spec), images[8:])


def candidate(name, error, ms, ranges=Ranges.MINMAX):
    return Candidate(Recipe(ranges, kept=(name,)), Path(name), error, 0.0, 1.0, ms)


def order(*candidates):
    return [str(one.path) for one in ranked(candidates)]


def test_the_fastest_of_those_that_stray_little_comes_first():
    assert order(candidate("slow", 0.001, 9), candidate("fast", 0.02, 5)) == ["fast", "slow"]


def test_one_that_strays_far_comes_after_all_that_do_not():
    assert order(candidate("far", 0.2, 1), candidate("farther", 0.3, 1), candidate("near", 0.01, 9)) == [
        "near",
        "far",
        "farther",
    ]


def test_of_those_as_fast_as_each_other_the_closest_comes_first():
    assert order(candidate("a", 0.02, 5.0), candidate("b", 0.01, 5.1), candidate("c", 0.001, 6.0)) == ["b", "a", "c"]


def test_ranges_of_each_batch_come_last_however_fast_and_close():
    assert order(candidate("dynamic", 0.0, 1, None), candidate("far", 0.9, 9)) == ["far", "dynamic"]


def test_every_kind_is_tried_and_measured(bench):
    found = choose(bench, 8)
    recipes = [one.recipe for one in found]
    assert {recipe.ranges for recipe in recipes} == {*Ranges, None}
    assert any(recipe.balanced for recipe in recipes)
    assert any(not recipe.convolutions and recipe.ranges for recipe in recipes)
    assert all(one.ms > 0 and np.isfinite(one.error) and one.path.is_file() for one in found)
    assert all(one.batch_effect < 1e-4 for one in found if one.recipe.ranges)


def test_sensitive_layers_stay_fp32_until_the_error_is_small(bench, monkeypatch):
    full = bench.make(Recipe())
    monkeypatch.setattr(choosing, "CLOSE_ENOUGH", full.error / 4)
    steps = []
    found = choose(bench, 8, lambda done, total: steps.append((done, total)))
    kept = sorted((one for one in found if one.recipe.kept), key=lambda one: len(one.recipe.kept))
    assert [len(one.recipe.kept) for one in kept] == [2**i for i in range(len(kept))]
    assert steps == [(i, len(bench.workshop.layers)) for i in range(len(bench.workshop.layers) + 1)]
    assert kept[-1].error < full.error
    assert all(one.error > full.error / 4 for one in kept[:-1])  # no more are spared than need be


def test_a_layer_that_brings_much_error_is_named_first(bench):
    sensitivities = bench.sensitivities(Recipe(), lambda done, total: None)
    assert [error for error, _ in sensitivities] == sorted((error for error, _ in sensitivities), reverse=True)
    assert {name for _, name in sensitivities} == {layer.name for layer in bench.workshop.layers}
    without = bench.make(replace(Recipe(), kept=(sensitivities[0][1],)))
    least = bench.make(replace(Recipe(), kept=(sensitivities[-1][1],)))
    assert without.error < least.error


def test_where_speed_alone_counts_one_model_is_made(bench):
    (made,) = first(bench, 7)
    assert made.recipe == Recipe(bits=7)
    assert made.ms > 0


def test_a_recipe_that_fails_leaves_the_others(bench, monkeypatch, caplog):
    make_of = Workshop.make_of

    def unfit(self, recipe, names, target):
        if recipe.ranges is not None:
            raise ValueError("no such node")
        make_of(self, recipe, names, target)

    monkeypatch.setattr(Workshop, "make_of", unfit)
    assert [one.recipe.ranges for one in choose(bench, 8)] == [None]
    assert "INT8 recipe static minmax does not fit this model: no such node" in caplog.text


def test_where_every_recipe_fails_it_is_said(bench, monkeypatch):
    def unfit(*_):
        raise ValueError("no such node")

    monkeypatch.setattr(Workshop, "make_of", unfit)
    with pytest.raises(QuantizeError, match="no INT8 recipe fits this model"):
        choose(bench, 8)


def test_the_record_of_a_candidate_is_plain():
    made = candidate("a", CLOSE_ENOUGH, 3.0)
    assert made.document()["recipe"] == {
        "ranges": "minmax",
        "convolutions": True,
        "balanced": False,
        "kept": ("a",),
        "bits": 8,
    }
