"""How a trained model's answers are judged: calibration and thresholds, chosen on validation images alone."""

from __future__ import annotations

from dataclasses import replace

from radvit import assemble
from radvit.bundle import Bundle
from radvit.config import ThresholdRule as ThresholdName
from radvit.config import TrainConfig
from radvit.data.samples import Cohort
from radvit.data.splits import Splits
from radvit.errors import ConfigError
from radvit.evaluation.calibrate import Method, calibrated, fit_calibration, refuse_unfit
from radvit.evaluation.operating_point import ThresholdRule, choose
from radvit.evaluation.predict import refuse_without_spacing
from radvit.inference.engine import Engine
from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Platt
from radvit.run.answers import answers
from radvit.run.fitting import exclusive


def check_judging(config: TrainConfig, cohort: Cohort, splits: Splits) -> None:
    """Refuse, before anything is learned, what could not be chosen afterwards.

    Raises ConfigError where calibration or threshold don't fit labels that exclude each other, and DataError where
    distances in millimetres are asked for and unknown.
    """
    alone = exclusive(cohort)
    refuse_unfit(Method(config.calibration.value), alone)
    if alone and config.threshold is ThresholdName.specificity:
        raise ConfigError(
            "threshold=specificity with labels that exclude each other, which are called by the likeliest one; "
            "expected another threshold"
        )
    refuse_without_spacing([cohort.samples[i] for i in splits.val], assemble.hit_rule(config.hit))


def judged(config: TrainConfig, bundle: Bundle, engine: Engine, cohort: Cohort, splits: Splits) -> Bundle:
    """The bundle with calibration and operating point, as the model's answers on the validation split have them."""
    hit_rule = assemble.hit_rule(config.hit)
    raw = replace(bundle, calibration=Calibration(Platt()).to_dict())  # scores as they are
    predictions = answers(raw, engine, cohort, splits.val)  # once: a sliding window takes minutes
    fitted = fit_calibration(predictions, Method(config.calibration.value), hit_rule)
    rule = ThresholdRule(config.threshold.value)
    point = choose(calibrated(predictions, fitted), rule, hit_rule, config.fp_per_image, config.specificity)
    return replace(bundle, calibration=fitted.to_dict(), operating_point=point.to_dict())
