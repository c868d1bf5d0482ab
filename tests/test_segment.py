"""A segmenter from end to end, on the small cohort: trained, measured, quantized, and reading files."""

import json
import shutil

import numpy as np
import pytest

from radvit import run
from radvit.bundle import load_bundle
from radvit.errors import DataError

from .run_place import rows, words_in

EPOCHS = ("trainer.max_epochs=30", "trainer.check_val_every_n_epoch=30")
SEGMENT = ("model.task=segment", "augment=none", *EPOCHS, "optim.lr=1e-2", "optim.ema_decay=0")


@pytest.fixture(scope="module")
def segmenter(place, outlined):
    """A trained segmenter's run folder."""
    run.train(place.detect("segment", f"data.truth={outlined}", *SEGMENT))
    return place.folder / "segment"


def test_the_bundle_of_a_segmenter_says_what_it_is(segmenter):
    bundle = load_bundle(segmenter)
    assert (bundle.spec.task.value, bundle.spec.strides) == ("segment", (4,))
    assert bundle.operating_point["box_threshold"] is not None
    assert {"train/loss", "train/dice", "train/ce", "val/dice"} <= set(rows(segmenter / "metrics.csv")[0])


def test_evaluate_measures_masks_beside_all_that_a_detector_is_measured_by(place, segmenter):
    result = run.evaluate(place.evaluate(segmenter, "quantize=int8"))
    folder = segmenter / "evaluation" / "test"
    record = json.loads((folder / "metrics.json").read_text())
    assert {"dice", "dice_pooled", "froc/cpm", "map", "auroc"} <= set(record["metrics"])
    assert set(result) == {"metrics", "int8", "blobs"}
    assert {"dice"} <= set(record["precisions"]["int8"])
    assert "dice" not in record["baselines"]["blobs"]
    assert record["metrics"]["dice"]["low"] <= record["metrics"]["dice"]["value"] <= record["metrics"]["dice"]["high"]
    counts = [{name: int(row[name]) for name in ("found", "true", "both")} for row in rows(folder / "masks.csv")]
    each = [2 * c["both"] / (c["found"] + c["true"]) for c in counts if c["true"]]
    assert record["metrics"]["dice"]["value"] == pytest.approx(np.mean(each))
    assert any(c["true"] for c in counts)
    assert "mean Dice" in (folder / "REPORT.md").read_text()
    assert {"froc.png", "worst_errors.png"} <= {path.name for path in (folder / "figures").iterdir()}
    assert b"Quillfeather" not in words_in(folder)


def test_infer_reports_what_a_segmenter_found(place, segmenter, tmp_path):
    shutil.copytree(place.folder / "cohort" / "dicom" / "1", tmp_path / "in")
    run.infer(place.infer(segmenter, tmp_path / "in", tmp_path / "out", "report.mention=0.0"))
    manifest = rows(tmp_path / "out" / "manifest.csv")
    assert [row["state"] for row in manifest] == ["done"] * 8
    found = []
    for row in manifest:
        found += json.loads((tmp_path / "out" / row["study"] / "findings.json").read_text())["findings"]
    assert found
    assert all(one["box_px"] is not None for one in found)


def test_boxes_alone_are_no_masks(place):
    with pytest.raises(DataError, match=r"model\.task=segment learns from masks and the data have none"):
        run.train(place.detect("unmasked", *SEGMENT))
    assert not (place.folder / "unmasked" / "bundle").exists()
