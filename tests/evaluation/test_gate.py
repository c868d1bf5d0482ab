import json
import math

import pytest

from radvit.evaluation.compare import Difference, Method, Verdict
from radvit.evaluation.gate import Tolerances, judge
from radvit.metrics.delong import Contrast


def difference(fp32, other):
    tested = Contrast(other - fp32, other - fp32 - 0.03, other - fp32 + 0.03, 0.5)
    return Difference(fp32, other, tested, Method.BOOTSTRAP, Verdict.OPEN)


DEFAULT = Tolerances()


def judged(tolerances=DEFAULT, **pairs):
    names = {"cpm": "froc/cpm"}
    return judge({names.get(name, name): difference(*pair) for name, pair in pairs.items()}, tolerances)


def test_losses_within_the_tolerances_are_released():
    found = judged(auroc=(0.9, 0.896), cpm=(0.8, 0.7905), ece=(0.05, 0.0595), sensitivity=(0.95, 0.941))
    assert found.released
    assert found.why == ""
    assert [check.loss for check in found.checks] == pytest.approx([0.004, 0.0095, 0.0095, 0.009])


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("auroc", (0.9, 0.894)),
        ("cpm", (0.8, 0.789)),
        ("ece", (0.05, 0.061)),
        ("sensitivity", (0.95, 0.93)),
        ("lesion_sensitivity", (0.95, 0.93)),
        ("dice", (0.8, 0.78)),
    ],
)
def test_a_larger_loss_in_any_metric_is_rejected(name, pair):
    alone = judged(**{name: pair})
    assert not alone.released
    assert not judged(**{"auroc": (0.9, 0.9), "ece": (0.05, 0.05), name: pair}).released
    assert f"{pair[1]:.3f} against {pair[0]:.3f}" in alone.why


def test_gains_are_no_losses():
    assert judged(auroc=(0.9, 0.99), cpm=(0.8, 0.9), ece=(0.1, 0.02)).released


def test_a_loss_of_just_what_may_be_lost_passes_however_it_is_rounded():
    assert judged(auroc=(0.9, 0.9 - 0.005)).released
    assert judged(Tolerances(auroc=0.1), auroc=(0.3, 0.3 - 0.1)).released


def test_tolerances_are_those_asked_for():
    assert not judged(Tolerances(auroc=0.001), auroc=(0.9, 0.898)).released
    assert judged(Tolerances(auroc=0.05), auroc=(0.9, 0.86)).released


def test_metrics_that_are_not_defined_are_left_out_and_without_any_nothing_is_released():
    found = judged(auroc=(math.nan, math.nan), cpm=(0.8, 0.8))
    assert [check.name for check in found.checks] == ["froc/cpm"]
    assert found.released
    none = judged(auroc=(math.nan, 0.5))
    assert not none.released
    assert none.why == "none of the gate's metrics is defined on these images"


def test_metrics_outside_the_gate_do_not_count():
    assert judged(auroc=(0.9, 0.9), map=(0.9, 0.1), specificity=(0.9, 0.1)).released


def test_rows_and_record_say_the_same():
    found = judged(auroc=(0.9, 0.88))
    assert list(found.rows()) == [("AUROC", "0.9000", "0.8800", "-0.0200 [-0.0500, +0.0100]", "0.005", "FAILED")]
    document = json.loads(json.dumps(found.checks[0].document(), allow_nan=False))
    assert document["passed"] is False
    assert document["loss"] == pytest.approx(0.02)
