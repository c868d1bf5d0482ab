"""What is chosen on validation images, with a model whose weights are random."""

from dataclasses import replace

import numpy as np
import pytest

from radvit.config import HitConfig, HitRuleName, TrainConfig
from radvit.config import ThresholdRule as ThresholdName
from radvit.config.measuring import CalibrationName
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.splits import Splits
from radvit.errors import ConfigError, DataError
from radvit.inference.engine import open_engine
from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Temperature
from radvit.records import Geometry, Header, Lesion, Task
from radvit.run.answers import answers
from radvit.run.judging import check_judging, judged

N, SIZE = 60, 32
MM = HitConfig(HitRuleName.distance_mm, 20.0)


def cohort(labels=("nodule",), lesions=(), spacing=None):
    """Noise, and labels without any relation to it."""
    rng, samples = np.random.default_rng(0), []
    for i in range(N):
        header = Header(f"P-{i}", f"2.25.1{i}", f"2.25.2{i}", f"2.25.3{i}", "CR")
        targets = tuple(float(i % len(labels) == k) for k in range(len(labels))) if len(labels) > 1 else (float(i % 2),)
        place = Preprocess(SIZE).placement((SIZE, SIZE))
        samples.append(Sample(header, Geometry(SIZE, SIZE, spacing), place, targets, lesions if i % 2 else ()))
    pixels = rng.random((N, SIZE, SIZE)).astype(np.float16)
    return Cohort(pixels, tuple(samples), labels, "f")


def parts(images):
    return Splits((), tuple(range(40)), tuple(range(40, N)), tuple(sample.name for sample in images.samples))


def test_a_fixed_specificity_holds_on_the_validation_images(bundle, tmp_path):
    images = cohort()
    config = TrainConfig(run_dir="x", threshold=ThresholdName.specificity, specificity=0.8)
    saved = bundle(tmp_path, Task.CLASSIFY)
    engine = open_engine(saved, "fp32")
    done = judged(config, saved, engine, images, parts(images))
    assert (done.operating_point["rule"], done.operating_point["specificity"]) == ("specificity", 0.8)
    seen = answers(done, engine, images, range(40))
    below = seen.scores[seen.targets == 0] < done.operating_point["image_thresholds"][0]
    assert below.mean() == pytest.approx(0.8, abs=0.05)
    assert below.mean() >= 0.8


def test_labels_that_exclude_each_other_are_scaled_by_a_temperature(bundle, tmp_path):
    images = cohort(("a", "b", "c"))
    saved = bundle(tmp_path, Task.CLASSIFY, ("a", "b", "c"), exclusive=True)
    engine = open_engine(saved, "fp32")
    done = judged(TrainConfig(run_dir="x"), saved, engine, images, parts(images))
    fitted = Calibration.from_dict(done.calibration).images
    assert isinstance(fitted, Temperature)
    assert fitted.fitted
    raw, scaled = (answers(one, engine, images, range(40)).scores for one in (saved, done))
    np.testing.assert_allclose(scaled, fitted.apply(raw), rtol=1e-5)
    none = judged(TrainConfig(run_dir="x", calibration=CalibrationName.none), saved, engine, images, parts(images))
    np.testing.assert_array_equal(answers(none, engine, images, range(40)).scores, raw)


def test_the_hit_rule_and_false_alarms_asked_for_are_kept(bundle, tmp_path):
    images = cohort(lesions=(Lesion((8, 8, 20, 20)),), spacing=(2.0, 2.0))
    saved = bundle(tmp_path, Task.DETECT)
    done = judged(
        TrainConfig(run_dir="x", hit=MM, fp_per_image=0.5), saved, open_engine(saved, "fp32"), images, parts(images)
    )
    assert done.operating_point["hit_rule"] == {"kind": "distance_mm", "value": 20.0}
    assert done.operating_point["fp_per_image"] == 0.5


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (TrainConfig(run_dir="x", calibration=CalibrationName.platt), "calibration=platt with labels that exclude"),
        (
            TrainConfig(run_dir="x", threshold=ThresholdName.specificity, specificity=0.9),
            "threshold=specificity with labels that exclude",
        ),
    ],
)
def test_what_does_not_fit_labels_that_exclude_each_other_is_refused_beforehand(config, match):
    images = cohort(("a", "b", "c"))
    with pytest.raises(ConfigError, match=match):
        check_judging(config, images, parts(images))
    alone = cohort()
    check_judging(config, alone, parts(alone))


def test_millimetres_need_the_spacing_of_validation_images_with_lesions():
    images = cohort(lesions=(Lesion((8, 8, 20, 20)),))
    with pytest.raises(DataError, match="20 images with lesions without pixel spacing"):
        check_judging(TrainConfig(run_dir="x", hit=MM), images, parts(images))
    healthy = [replace(one, lesions=()) for one in images.samples]
    check_judging(TrainConfig(run_dir="x", hit=MM), replace(images, samples=tuple(healthy)), parts(images))
