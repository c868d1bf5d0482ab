import json

import numpy as np
import pytest

from radvit.bench.null_pairs import detected, measure, scored
from radvit.cli import main
from radvit.evaluation.compare import by_delong
from radvit.metrics.froc import cpm


def test_equal_models_are_seldom_called_different():
    rates = measure(pairs=120, patients=80, resamples=200, seed=1).rates
    assert {rate.test for rate in rates} == {"DeLong", "DeLong over patients", "bootstrap"}
    for rate in rates:
        assert 1 <= rate.rejected <= 14, rate  # 5 % of 120 is 6; more than 14 or none has a chance of about 1 in 500
        assert abs(rate.gap) < 4 * rate.gap_error, rate


def test_images_taken_as_independent_would_be_called_different_too_often():
    rng, rejected = np.random.default_rng(0), {"patients": 0, "images": 0}
    for _ in range(150):
        images = np.full(60, 8)
        (a, b), targets = scored(rng, images)
        for unit, names in (("patients", np.repeat(np.arange(60), 8)), ("images", np.arange(480))):
            tested = by_delong(a[:, None], b[:, None], targets[:, None], names.astype(str).tolist())[0]
            rejected[unit] += tested.p < 0.05
    assert rejected["patients"] <= 17
    assert rejected["images"] >= 30


def test_made_up_detectors_are_neither_perfect_nor_alike():
    a, b, truth = detected(np.random.default_rng(0), 200)
    assert 0.3 < cpm(a, truth) < 0.9
    assert cpm(a, truth) != cpm(b, truth)


def test_commands_print_and_write(tmp_path, capsys):
    sizes = ["--pairs", "2", "--patients", "20", "--resamples", "10"]
    main(["bench", "compare", *sizes, "--json", str(tmp_path / "c")])
    main(["bench", "froc", "--images", "50", "--resamples", "10", "--repeats", "1", "--json", str(tmp_path / "f")])
    shown = capsys.readouterr().out
    assert "DeLong over patients" in shown
    assert "FROC of 50 images" in shown
    assert [rate["pairs"] for rate in json.loads((tmp_path / "c").read_text())["rates"]] == [2] * 4
    timed = json.loads((tmp_path / "f").read_text())
    assert timed["total_s"] == pytest.approx(timed["matching_s"] + timed["bootstrap_s"])


@pytest.mark.parametrize(
    "arguments", [["compare", "--pairs", "0"], ["compare", "--patients", "3"], ["froc", "--images", "0"]]
)
def test_numbers_too_small_are_refused(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert "expected at least" in capsys.readouterr().err
