"""Each kind of dense detector from end to end, on the small cohort: trained, measured, in INT8, and reading files."""

import json
import shutil

import numpy as np
import pytest

from radvit import run
from radvit.bundle import load_bundle
from radvit.models.spec import output_names

from .run_place import rows

EPOCHS = ("trainer.max_epochs=25", "trainer.check_val_every_n_epoch=25", "optim.lr=5e-3", "augment=none")


@pytest.fixture(scope="module", params=["centreness", "set"])
def trained(request, place):
    """A run folder of a detector of this kind that looks at mirror images, too."""
    kind = request.param
    run.train(place.detect(kind, *EPOCHS, f"model.detector={kind}", "model.decode.flip=true", "model.decode.most=20"))
    return place.folder / kind


def test_it_learns_and_its_bundle_says_what_it_is(trained):
    spec = load_bundle(trained).spec
    assert (spec.detector.value, spec.decode.flip, spec.decode.most) == (trained.name, True, 20)
    assert any(name.startswith("center_") for name in output_names(spec)) == (trained.name == "centreness")
    losses = [float(row["train/loss"]) for row in rows(trained / "metrics.csv") if row["train/loss"]]
    assert np.mean(losses[-3:]) < 0.5 * losses[0]


def test_it_is_measured_beside_its_int8_self(place, trained):
    run.evaluate(place.evaluate(trained, "quantize=int8"))
    record = json.loads((trained / "evaluation/test/metrics.json").read_text())
    assert {"froc/cpm", "map", "auroc"} <= set(record["metrics"])
    assert record["metrics"]["auroc"]["value"] > 0.7
    assert "int8" in record["precisions"]


def test_it_reads_files(place, trained, tmp_path):
    shutil.copytree(place.folder / "cohort" / "dicom" / "1", tmp_path / "in")
    run.infer(place.infer(trained, tmp_path / "in", tmp_path / "out", "report.mention=0.0"))
    assert {row["state"] for row in rows(tmp_path / "out" / "manifest.csv")} == {"done"}
