"""Names in the configuration of how answers are judged, beside those of the code."""

import pytest

from radvit import assemble, config
from radvit.config import GateConfig, TrainConfig
from radvit.errors import ConfigError
from radvit.evaluation.calibrate import Method as CalibrationMethod
from radvit.evaluation.gate import Tolerances
from radvit.evaluation.operating_point import OperatingPoint, ThresholdRule
from radvit.metrics.matching import HitKind, HitRule

from .run_place import composed


def test_how_answers_are_judged_is_named_as_in_the_code():
    assert {rule.value for rule in config.HitRuleName} == {kind.value for kind in HitKind}
    assert {rule.value for rule in config.ThresholdRule} == {rule.value for rule in ThresholdRule}
    assert {name.value for name in config.CalibrationName} == {method.value for method in CalibrationMethod}
    assert TrainConfig(run_dir="somewhere").fp_per_image == OperatingPoint((0.5,)).fp_per_image
    given = composed(
        "train", "run_dir=somewhere", "hit.rule=distance_mm", "hit.value=10", "threshold=specificity", "specificity=0.9"
    )
    assert assemble.hit_rule(given.hit) == HitRule(HitKind.DISTANCE_MM, 10)
    assert composed("train", "run_dir=somewhere", "calibration=temperature", "fp_per_image=0.5").fp_per_image == 0.5
    chosen = HitRule(HitKind.IOU, 0.3)
    assert assemble.hit_rule(composed("evaluate").hit, chosen) == chosen
    assert assemble.hit_rule(composed("evaluate", "hit.rule=center").hit, chosen) == HitRule()
    with pytest.raises(ConfigError, match=r"hit\.value=2.* from 0 to 1"):
        config.HitConfig(config.HitRuleName.iou, 2.0)


def test_the_gate_allows_by_default_what_the_code_does():
    assert assemble.tolerances(GateConfig()) == Tolerances()
    assert assemble.tolerances(composed("evaluate", "gate.cpm=0.2").gate) == Tolerances(cpm=0.2)
