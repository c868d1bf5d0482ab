from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.conftest import make_predictions

from radvit.errors import ConfigError, DataError
from radvit.evaluation.evaluate import evaluate
from radvit.evaluation.operating_point import choose
from radvit.evaluation.subgroups import age_band, columns_of, read_columns, subgroups
from radvit.evaluation.subgroups_page import section
from radvit.records import Header, Task

N_BOOT = 40


def halves(predictions):
    """Whole patients in either half."""
    return ["a" if int(patient[2:]) % 2 else "b" for patient in predictions.patients]


def found(predictions, columns, n_boot=N_BOOT):
    operating = choose(make_predictions(seed=1, task=predictions.task))
    return subgroups(predictions, columns, operating, np.random.default_rng(0), n_boot), operating


@pytest.mark.parametrize("task", [Task.DETECT, Task.CLASSIFY])
def test_a_groups_metrics_are_those_of_its_images_alone(task):
    predictions = make_predictions(90, task=task)
    values = halves(predictions)
    result, operating = found(predictions, {"half": values})
    assert [(group.column, group.value) for group in result.groups] == [("half", "a"), ("half", "b")]
    for group in result.groups:
        rows = [i for i, value in enumerate(values) if value == group.value]
        alone = evaluate(predictions.of(rows), operating, np.random.default_rng(0), N_BOOT)
        assert set(group.metrics) == set(alone)
        for name, metric in alone.items():
            mine = group.metrics[name]
            assert mine.value == pytest.approx(metric.value, nan_ok=True)
            assert (mine.n_patients, mine.n_images, mine.n_lesions) == (15, 45, metric.n_lesions)
        assert group.metrics["auroc"].low <= group.metrics["auroc"].value <= group.metrics["auroc"].high


def test_a_group_that_the_model_fails_on_is_the_worst_and_surely_so():
    good, bad = make_predictions(240, skill=3.0), make_predictions(240, skill=-2.0)
    values = halves(good)
    mixed = [(good if value == "a" else bad) for value in values]
    predictions = replace(
        good,
        scores=np.stack([one.scores[i] for i, one in enumerate(mixed)]),
        targets=np.stack([one.targets[i] for i, one in enumerate(mixed)]),
        boxes=tuple(one.boxes[i] for i, one in enumerate(mixed)),
        truth=tuple(one.truth[i] for i, one in enumerate(mixed)),
    )
    result, operating = found(predictions, {"half": values}, 200)
    cpm, auroc = result.gaps
    assert (cpm.metric, auroc.metric) == ("froc/cpm", "auroc")
    assert {gap.worst for gap in result.gaps} == {"b"}
    whole = evaluate(predictions, operating, np.random.default_rng(0), 1)["froc/cpm"].value
    assert cpm.value == pytest.approx(whole - result.groups[1].metrics["froc/cpm"].value)
    assert 0 < cpm.low < cpm.value < cpm.high
    assert "Worst by half: b, FROC score CPM" in section(result, Task.DETECT)


def test_a_column_that_says_nothing_has_no_gap_that_is_sure():
    predictions = make_predictions(240)
    result, _ = found(predictions, {"half": halves(predictions)}, 200)
    assert all(gap.low < 0 < gap.high for gap in result.gaps)


def test_small_groups_and_columns_with_one_group_are_left_out():
    predictions = make_predictions(60)
    few = ["few" if patient in {"P-0", "P-1"} else "many" for patient in predictions.patients]
    result, _ = found(predictions, {"size": few, "same": ["x"] * 60})
    assert result.groups == result.gaps == ()
    assert result.small == (("size", "few", 2),)
    assert section(result, Task.DETECT) == ""


def test_all_columns_see_the_same_resamples():
    predictions = make_predictions(90)
    once, _ = found(predictions, {"half": halves(predictions)})
    twice, _ = found(predictions, {"other": halves(predictions)[::-1], "half": halves(predictions)})
    assert once.groups == twice.groups[2:]


@pytest.mark.parametrize(
    ("age", "band"),
    [("063Y", "60-79"), ("080Y", "80+"), ("017Y", "0-17"), ("018Y", "18-39"), ("023M", "0-17"), ("240M", "18-39"),
     ("003D", "0-17"), ("63", None), ("0x3Y", None), (None, None)],
)  # fmt: skip
def test_ages_fall_into_bands(age, band):
    assert age_band(age) == band


def test_columns_come_from_headers_and_nothing_known_is_unknown():
    headers = [Header("P-1", "s", "r", "i", "DX", sex="F", age="045Y"), Header("P-2", "s", "r", "j", "CR", view="PA")]
    columns = columns_of(headers, ["sex", "age", "view", "modality"])
    assert columns == {
        "sex": ["F", "unknown"],
        "age": ["40-59", "unknown"],
        "view": ["unknown", "PA"],
        "modality": ["DX", "CR"],
    }
    with pytest.raises(ConfigError, match=r"groups=hair; expected some of sex, age, view"):
        columns_of(headers, ["sex", "hair"])


def test_columns_come_from_a_table(tmp_path):
    table = tmp_path / "sites.csv"
    table.write_text("patient,site,ward\nP-1,north,\nP-2,south,7\nP-9,east,1\n")
    whose = {"image": ["i", "j", "k"], "patient": ["P-2", "P-1", "P-3"]}
    assert read_columns(table, whose) == {
        "site": ["south", "north", "unknown"],
        "ward": ["7", "unknown", "unknown"],
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"begins with nothing; expected image or patient, then columns"),
        ("site,patient\na,P-1\n", r"begins with site,patient; expected image or patient, then columns"),
        ("patient\nP-1\n", r"begins with patient; expected image or patient"),
        ("patient,a,a\nP-1,1,2\n", r"begins with patient,a,a; expected"),
        ("patient,site\nP-1\n", r"row 2: 1 values; expected 2"),
        ("patient,site\nP-1,a\nP-1,b\n", r"some patient stands in two rows; expected each once"),
        ("patient,site\nP-7,a\n", r"knows none of the 1 images; expected the names of images\.csv"),
        (None, r"can't be read as CSV \(FileNotFoundError\)"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, told):
    table = tmp_path / "groups.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(DataError, match=told):
        read_columns(table, {"image": ["i"], "patient": ["P-1"]})
