from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.conftest import make_predictions

from radvit.evaluation.operating_point import choose
from radvit.evaluation.strata import contrast_bands, in_order, lesion_scores, size_band, strata
from radvit.evaluation.strata_page import section, size_figure
from radvit.metrics.froc import at_threshold
from radvit.metrics.matching import CENTER_INSIDE
from radvit.records import Lesion

N_BOOT = 60


def places(predictions):
    return [["left upper" if lesion.box_px[0] < 900 else "" for lesion in true] for true in predictions.truth]


def measured(predictions):
    threshold = choose(make_predictions(seed=1)).box_threshold
    return strata(predictions, threshold, places(predictions), np.random.default_rng(0), N_BOOT), threshold


def test_the_shares_of_each_kind_add_up_to_all_lesions_found():
    predictions = make_predictions(80)
    found, threshold = measured(predictions)
    hits, _ = at_threshold(predictions.boxes, predictions.truth, threshold)
    for by in ("size", "place"):
        rows = [row for row in found.rows if row.by == by]
        assert sum(row.n_lesions for row in rows) == predictions.n_lesions
        assert sum(row.n_lesions * row.found for row in rows) == pytest.approx(hits.sum())
    assert (found.scores >= threshold).sum() == hits.sum()
    assert all(row.low <= row.found <= row.high for row in found.rows)
    assert [row.value for row in found.rows if row.by == "place"] == ["left upper", "unknown"]


def test_a_share_is_that_of_its_lesions_alone():
    predictions = make_predictions(80)
    found, threshold = measured(predictions)
    small = next(row for row in found.rows if row.value == "10-20 mm")
    lesions = [lesion for true in predictions.truth for lesion in true]
    scores = lesion_scores(predictions, CENTER_INSIDE)
    mine = [score for lesion, score in zip(lesions, scores, strict=True) if 10 <= lesion.size_mm < 20]
    assert (small.n_lesions, small.found) == (len(mine), pytest.approx(np.mean(np.array(mine) >= threshold)))


def test_small_lesions_that_are_never_found_show():
    predictions = make_predictions(80)
    boxes = []
    for one, true in zip(predictions.boxes, predictions.truth, strict=True):
        near = [lesion.box_px for lesion in true if lesion.size_mm < 10]
        centre = (one.xyxy[:, :2] + one.xyxy[:, 2:]) / 2
        kept = [
            i for i, c in enumerate(centre) if not any(x1 <= c[0] <= x2 and y1 <= c[1] <= y2 for x1, y1, x2, y2 in near)
        ]
        boxes.append(replace(one, xyxy=one.xyxy[kept], scores=one.scores[kept], labels=one.labels[kept]))
    found, _ = measured(replace(predictions, boxes=tuple(boxes)))
    shares = {row.value: row.found for row in found.rows if row.by == "size"}
    assert shares["6-10 mm"] == 0
    assert shares["10-20 mm"] > 0.5


def test_nothing_is_said_of_what_is_not_known():
    predictions = make_predictions(40)
    bare = replace(
        predictions, truth=tuple(tuple(replace(x, size_mm=None) for x in true) for true in predictions.truth)
    )
    found = strata(bare, 0.5, [[""] * len(true) for true in bare.truth], np.random.default_rng(0), N_BOOT)
    assert found.rows == ()
    assert np.isnan(found.sizes).all()
    assert section(found) == ""


def test_without_lesions_there_are_no_strata():
    predictions = make_predictions(20)
    none = replace(predictions, truth=((),) * 20, targets=np.zeros((20, 1)))
    found = strata(none, 0.5, [[]] * 20, np.random.default_rng(0), N_BOOT)
    assert (found.rows, len(found.scores)) == ((), 0)


@pytest.mark.parametrize(
    ("size", "band"),
    [(2.0, "0-6 mm"), (6.0, "6-10 mm"), (29.9, "20-30 mm"), (30.0, "30 mm and more"), (None, "unknown")],
)
def test_sizes_fall_into_bands(size, band):
    assert size_band(Lesion((0, 0, 1, 1), size_mm=size)) == band


def test_contrasts_fall_into_thirds_in_their_order():
    lesions = [Lesion((0, 0, 1, 1), contrast=x) for x in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, None)]
    bands = contrast_bands(lesions)
    assert [bands.count(band) for band in in_order(bands)] == [2, 2, 2, 1]
    assert [bands[0], bands[2], bands[5], bands[6]] == in_order(bands)
    assert set(contrast_bands([Lesion((0, 0, 1, 1), contrast=0.3)] * 4)) == {"unknown"}


def test_the_page_and_the_figure_show_every_stratum():
    found, threshold = measured(make_predictions(80))
    text = section(found)
    assert all(f"| {row.by} | {row.value} | {row.n_lesions} |" in text for row in found.rows)
    axes = size_figure(found, threshold).axes[0]
    hit, missed = axes.lines[0].get_ydata(), axes.lines[1].get_ydata()
    assert len(hit) + len(missed) == len(found.scores)
    assert min(hit) >= threshold > max(missed)
