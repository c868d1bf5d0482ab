"""Where a classifier looked, from end to end on the small cohort: reports, weak boxes, and the check of maps."""

import json
import re
import shutil

import numpy as np
import pytest

from radvit import run
from radvit.errors import ConfigError
from radvit.evaluation.reading import read_evaluation
from radvit.inference.saliency import Explainer

from .run_place import rows

EPOCHS = ("trainer.max_epochs=8", "trainer.check_val_every_n_epoch=8", "optim.ema_decay=0", "augment=none")


@pytest.fixture(scope="module")
def weak(place):
    """A classifier trained on the cohort whose true boxes it never sees."""
    run.train(place.detect("weak", "model.task=classify", "model.pool=mean", "model.hidden=16", *EPOCHS))
    return place.folder / "weak"


@pytest.fixture(scope="module")
def by_patch(place):
    """The same, of patches that are scored one by one."""
    run.train(place.detect("by_patch", "model.task=classify", "model.pool=lse", "model.hidden=16", *EPOCHS))
    return place.folder / "by_patch"


@pytest.fixture
def source(place, tmp_path):
    shutil.copytree(place.folder / "cohort" / "dicom" / "1", tmp_path / "in")
    return tmp_path / "in"


def reports(output):
    return [json.loads(path.read_text()) for path in sorted(output.glob("*/findings.json"))]


@pytest.mark.parametrize("method", ["gradient", "rollout", "patches"])
def test_infer_marks_boxes_and_draws_maps(place, weak, source, tmp_path, method, request):
    weak = request.getfixturevalue("by_patch") if method == "patches" else weak
    asked = (f"saliency.method={method}", "report.mention=0.01", "report.moderate=0.5")
    run.infer(place.infer(weak, source, tmp_path / "out", *asked))
    assert [row["state"] for row in rows(tmp_path / "out" / "manifest.csv")] == ["done"] * 8
    found = [finding for form in reports(tmp_path / "out") for finding in form["findings"]]
    assert {finding["basis"] for finding in found} == {"attention"}
    assert all(finding["box_px"] is not None for finding in found)
    assert len(list((tmp_path / "out").glob("*/saliency.png"))) == 8
    pages = [path.read_text() for path in (tmp_path / "out").glob("*/report.html")]
    assert all("drawn around where the classifier looked" in page for page in pages)
    with pytest.raises(ConfigError, match="reports made with another saliency"):
        run.infer(place.infer(weak, source, tmp_path / "out", "report.mention=0.01"))


def test_without_it_a_report_is_as_it_was(place, weak, source, tmp_path):
    run.infer(place.infer(weak, source, tmp_path / "out", "report.mention=0.01"))
    found = [finding for form in reports(tmp_path / "out") for finding in form["findings"]]
    assert {finding["basis"] for finding in found} == {"image"}
    assert all(finding["box_px"] is None for finding in found)
    assert not list((tmp_path / "out").glob("*/saliency.png"))


def test_the_best_box_has_the_score_of_its_image(place, weak, source, tmp_path):
    scores = {}
    for name, asked in (("plain", ()), ("boxed", ("saliency.method=gradient",))):
        run.infer(place.infer(weak, source, tmp_path / name, "report.mention=0.01", *asked))
        scores[name] = {form["study"]: form["findings"][0]["score"] for form in reports(tmp_path / name)}
    assert scores["plain"] == pytest.approx(scores["boxed"], rel=1e-6)


def test_a_study_whose_map_fails_keeps_its_scores(place, weak, source, tmp_path, monkeypatch, caplog):
    plain = Explainer.patches
    calls = []

    def sometimes(self, image, labels=None):
        calls.append(image)
        if len(calls) % 2:
            raise RuntimeError("out of memory")
        return plain(self, image, labels)

    monkeypatch.setattr(Explainer, "patches", sometimes)
    run.infer(place.infer(weak, source, tmp_path / "out", "saliency.method=gradient", "report.mention=0.01"))
    assert [row["state"] for row in rows(tmp_path / "out" / "manifest.csv")] == ["done"] * 8
    bases = [finding["basis"] for form in reports(tmp_path / "out") for finding in form["findings"]]
    assert bases.count("image") == 4
    assert len(list((tmp_path / "out").glob("*/saliency.png"))) == 4
    assert caplog.text.count("no map of where the model looked: RuntimeError") == 4
    pages = [path.read_text() for path in (tmp_path / "out").glob("*/report.html")]
    assert sum("could not be told for image 1" in page for page in pages) == 4


def test_evaluate_measures_weak_boxes_beside_blobs(place, weak):
    measured = run.evaluate(place.evaluate(weak, "saliency.method=gradient", "saliency.check=3"))
    folder = weak / "evaluation" / "test"
    record = json.loads((folder / "metrics.json").read_text())
    assert {"auroc", "froc/cpm", "map", "froc/sensitivity@1"} <= set(record["metrics"])
    assert "froc/cpm" in record["baselines"]["blobs"]
    assert record["provenance"]["extra"]["evaluation"]["weak_boxes"] is True
    assert rows(folder / "boxes.csv")
    assert rows(folder / "truth_boxes.csv")
    again = read_evaluation(folder).predictions
    assert again.weak
    assert sum(len(boxes) for boxes in again.boxes) == len(rows(folder / "boxes.csv"))
    assert measured["metrics"]["froc/cpm"].n_lesions == again.n_lesions > 0
    best = {image: boxes.scores.max(initial=0) for image, boxes in zip(again.images, again.boxes, strict=True)}
    known = np.array([best[image] for image in again.images])
    np.testing.assert_allclose(known[known > 0], again.scores[:, 0][known > 0], rtol=1e-5)


def test_evaluate_checks_maps_against_random_weights(place, weak):
    folder = weak / "evaluation" / "test"
    run.evaluate(place.evaluate(weak, "saliency.method=rollout", "saliency.check=3"))
    found = json.loads((folder / "saliency_check.json").read_text())
    assert (found["method"], found["images"]) == ("rollout", 3)
    assert [stage["randomised_down_to"] for stage in found["stages"]] == ["head", "block 2", "block 1", "embedding"]
    assert found["stages"][0]["spearman"] == pytest.approx(1)
    assert found["stages"][-1]["share_of_weights"] == 1
    assert (folder / "figures" / "saliency_check.png").is_file()
    page = (folder / "REPORT.md").read_text()
    assert "Randomising the head alone changes nothing" in page
    assert "a classifier that learned from no box" in page


def test_the_scores_of_patches_follow_the_head(place, by_patch):
    run.evaluate(place.evaluate(by_patch, "saliency.method=patches", "saliency.check=3"))
    folder = by_patch / "evaluation" / "test"
    found = json.loads((folder / "saliency_check.json").read_text())
    assert found["method"] == "patches"
    assert found["stages"][0]["spearman"] < 0.99
    assert rows(folder / "boxes.csv")


def test_patches_of_a_head_that_scores_the_image_are_refused(place, weak, source, tmp_path):
    with pytest.raises(ConfigError, match=r"saliency\.method=patches of a model with model\.pool=mean; expected"):
        run.infer(place.infer(weak, source, tmp_path / "out", "saliency.method=patches"))
    assert not list((tmp_path / "out").glob("*/findings.json"))


def test_a_classifier_without_true_boxes_is_checked_all_the_same(place, classifier, tmp_path, caplog):
    asked = ("saliency.method=gradient", "saliency.check=2", f"output={tmp_path / 'out'}")
    run.evaluate(place.evaluate(classifier, *asked))
    assert "the split has no true boxes" in caplog.text
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "froc/cpm" not in record["metrics"]
    assert not (tmp_path / "out" / "boxes.csv").exists()
    assert (tmp_path / "out" / "saliency_check.json").is_file()


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_only_full_precision_shows_its_attention(place, precision):
    refusal = re.escape(f"saliency.method=gradient with precision={precision}; expected precision=fp32")
    with pytest.raises(Exception, match=refusal):
        place.evaluate("RUN", "saliency.method=gradient", f"precision={precision}")
    with pytest.raises(Exception, match=refusal):
        place.infer("RUN", "IN", "OUT", "saliency.method=gradient", f"precision.name={precision}")


def test_quantizing_beside_it_is_refused(place):
    with pytest.raises(Exception, match=r"saliency\.method=rollout with quantize=int8; expected only one"):
        place.evaluate("RUN", "saliency.method=rollout", "quantize=int8")


def test_a_detector_is_refused(place, bundle, source, tmp_path):
    from radvit.records import Task

    made = bundle(tmp_path / "detector", Task.DETECT)
    with pytest.raises(ConfigError, match=r"saliency\.method=gradient of a model with task detect"):
        run.infer(place.infer(made.folder, source, tmp_path / "out", "saliency.method=gradient"))
    assert not (tmp_path / "out").exists()


def test_shares_out_of_range_are_refused(place):
    with pytest.raises(Exception, match=r"saliency\.threshold=1\.5; expected a number from 0\.01 to 1"):
        place.infer("RUN", "IN", "OUT", "saliency.method=gradient", "saliency.threshold=1.5")
