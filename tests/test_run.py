"""Train and evaluate end to end, on cohorts of a few dozen small images made here."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from radvit import run
from radvit.bundle import load_bundle
from radvit.data.loader import Loader
from radvit.data.seen import overlaps
from radvit.errors import BundleError, ConfigError, DataError
from radvit.evaluation.compare import Verdict
from radvit.run import evaluation, unseen

from .run_place import SIZE, composed, rows, words_in, write_image


def test_a_run_folder_holds_all_that_a_run_leaves(detector):
    parts = ("config.yaml", "metrics.csv", "checkpoints/last.ckpt", "splits.json")
    parts += ("bundle/model.safetensors", "bundle/model.json", "bundle/MODEL_CARD.md")
    assert all((detector / part).is_file() for part in parts)
    metrics = rows(detector / "metrics.csv")
    assert {row["epoch"] for row in metrics} == {"0", "1"}
    assert {"train/loss", "train/score", "train/box", "val/loss"} <= set(metrics[0])
    splits = json.loads((detector / "splits.json").read_text())["splits"]
    assert {name: len(images) for name, images in splits.items()} == {"train": 12, "val": 6, "test": 6}


def test_the_saved_configuration_is_the_one_that_was_asked_for(place, detector):
    assert run.saved_config(detector) == place.detect("detect")


def test_the_bundle_says_how_it_came_about(detector):
    bundle = load_bundle(detector)
    assert bundle.trained["seed"] == 0
    assert (bundle.trained["n_train"], bundle.trained["n_val"]) == (12, 6)
    assert bundle.trained["split_hash"] == json.loads((detector / "splits.json").read_text())["hash"]
    assert bundle.labels == ("nodule",)
    assert bundle.scope.modalities == ("CR", "DX")
    assert bundle.operating_point["box_threshold"] is not None
    assert set(bundle.calibration) == {"images", "boxes"}
    assert bundle.operating_point["hit_rule"] == {"kind": "center", "value": 0.0}
    assert bundle.trained["split_hash"] in (detector / "bundle" / "MODEL_CARD.md").read_text()


def test_no_identity_in_run_or_cache(place, detector):
    everything = words_in(detector) + words_in(place.folder / "cache")
    for secret in (b"Quillfeather", b"MRN1", b"1.2.3.1.3"):
        assert secret not in everything


def test_evaluate_writes_figures_tables_and_quantizes(place, detector):
    result = run.evaluate(place.evaluate(detector, "quantize=int8"))
    folder = detector / "evaluation" / "test"
    record = json.loads((folder / "metrics.json").read_text())
    assert set(record["precisions"]) == {"int8"}
    assert set(record["baselines"]) == {"blobs"}
    assert {"auroc", "froc/cpm", "froc/sensitivity@1", "map", "accuracy", "study_auroc"} <= set(record["metrics"])
    assert record["metrics"]["auroc"]["n_images"] == 6
    assert result["metrics"]["froc/cpm"].value == pytest.approx(record["metrics"]["froc/cpm"]["value"])
    assert record["provenance"]["weights"] == load_bundle(detector).weights_hash
    assert record["provenance"]["precision"] == "fp32"
    tables = ("predictions.csv", "boxes.csv", "truth_boxes.csv", "truth_labels.csv", "REPORT.md")
    assert all((folder / name).is_file() for name in tables)
    assert {"froc.png", "roc_pr.png"} <= {path.name for path in (folder / "figures").iterdir()}
    assert len(rows(folder / "predictions.csv")) == 6
    assert len(rows(folder / "truth_boxes.csv")) == record["metrics"]["auroc"]["n_lesions"]
    for name in ("model.onnx", "model.int8.onnx", "quantization.json"):
        assert (detector / "bundle" / name).is_file()
    assert b"Quillfeather" not in words_in(folder)


def test_the_card_is_filled_from_the_models_own_test_split_alone(copied, place, tmp_path):
    card = copied / "bundle" / "MODEL_CARD.md"
    before = card.read_text().partition("## Results")[0]
    run.evaluate(place.evaluate(copied, "split=val", f"output={tmp_path / 'val'}"))
    run.evaluate(
        place.evaluate(copied, *other_data(place, tmp_path), "accept_seen=true", f"output={tmp_path / 'other'}")
    )
    assert "Measured on split" not in card.read_text().replace("Measured on split test", "")
    run.evaluate(place.evaluate(copied, f"output={tmp_path / 'out'}", "hit.rule=distance_mm", "hit.value=8"))
    filled = card.read_text()
    assert filled.startswith(before)
    report = (tmp_path / "out" / "REPORT.md").read_text()
    table = [line for line in filled.partition("## Results")[2].splitlines() if line.startswith("| AUROC")]
    assert len(table) == 2
    assert all(line in report for line in table)
    assert "at most 8 mm apart" in filled
    assert "**That threshold was chosen with another hit rule**" in report
    how, _ = evaluated(tmp_path / "out")
    assert how["hit_rule"] == {"kind": "distance_mm", "value": 8.0}
    assert how["calibration"] == load_bundle(copied).calibration
    card.unlink()
    run.evaluate(place.evaluate(copied, f"output={tmp_path / 'out'}"))  # is no reason to fail
    assert not card.exists()


def test_what_evaluate_wrote_can_be_compared(place, detector):
    folder = place.folder / "compared"
    run.evaluate(place.evaluate(detector, f"output={folder}"))
    found = run.compare(composed("evaluate", f"compare=[{folder},{folder}]", "bootstrap=20"))
    record = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert list(found) == list(record)
    np.testing.assert_array_equal(
        [one.a for one in found.values()], np.array([one["value"] for one in record.values()], float)
    )
    assert {one.verdict for one in found.values()} <= {Verdict.SAME, Verdict.UNDEFINED}
    assert found["froc/cpm"].verdict is Verdict.SAME


def test_true_boxes_are_those_of_the_files(place, detector):
    run.evaluate(place.evaluate(detector, f"output={place.folder / 'boxes'}"))
    truth = json.loads((place.folder / "cohort" / "truth.json").read_text())
    made = {tuple(np.round(a["bbox"], 2)) for a in truth["annotations"]}
    for row in rows(place.folder / "boxes" / "truth_boxes.csv"):
        x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
        assert tuple(np.round((x1, y1, x2 - x1, y2 - y1), 2)) in made


def test_lora_from_a_runs_weights_leaves_a_plain_bundle_that_evaluates(place, classifier, caplog):
    caplog.set_level(logging.INFO, "radvit")
    given = ["model.adapt=lora", "model.lora.rank=2", f"model.weights={classifier}", "optim.lr=0.05"]
    run.train(place.classify("lora", *given))
    said = next(m for m in caplog.messages if m.startswith("weights from "))
    assert said.startswith(f"weights from {classifier / 'bundle'}: ")
    assert said.endswith("tensors")  # nothing changed, left out or missing
    before, after = (
        load_bundle(folder).model().backbone.state_dict() for folder in (classifier, place.folder / "lora")
    )
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert set(before) == set(after)
    assert moved == {f"vit.blocks.{i}.attn.{layer}.weight" for i in range(2) for layer in ("qkv", "proj")}
    assert load_bundle(place.folder / "lora").trained["adapt"] == "lora"
    resumed = place.folder / "lora"
    run.train(composed("train", "experiment=pneumoniamnist", f"resume={resumed}", f"run_dir={resumed}"))
    run.evaluate(place.evaluate(resumed, "quantize=int8"))


def test_a_linear_probe_leaves_the_backbone_as_it_was(place, classifier):
    run.train(place.classify("probe", "model.adapt=linear", f"model.weights={classifier}"))
    before, after = (load_bundle(folder).model().state_dict() for folder in (classifier, place.folder / "probe"))
    assert all(torch.equal(after[name], value) for name, value in before.items() if name.startswith("backbone."))
    assert not torch.equal(after["head.layers.3.weight"], before["head.layers.3.weight"])


def test_a_second_evaluation_decodes_nothing(place, detector, monkeypatch):
    def refuse(*_):
        raise AssertionError("a file was read")

    monkeypatch.setattr(Loader, "load", refuse)
    run.evaluate(place.evaluate(detector, "split=val", f"output={place.folder / 'val'}"))
    assert len(rows(place.folder / "val" / "predictions.csv")) == 6


def test_a_moved_run_is_evaluated_where_it_is(place, copied):
    run.evaluate(place.evaluate(copied / "bundle", "precision=bf16"))
    record = json.loads((copied / "evaluation" / "test" / "metrics.json").read_text())
    assert record["provenance"]["precision"] == "bf16"


def test_the_same_seed_gives_the_same_model_and_the_same_bytes(place, detector):
    run.train(place.detect("again"))
    again = place.folder / "again"
    assert load_bundle(again).weights_hash == load_bundle(detector).weights_hash
    outputs = [place.folder / name for name in ("first", "second")]
    for folder, output in zip((detector, again), outputs, strict=True):
        run.evaluate(place.evaluate(folder, f"output={output}"))
    for name in ("predictions.csv", "boxes.csv"):
        first, second = ((output / name).read_bytes() for output in outputs)
        assert first == second
    metrics = [json.loads((output / "metrics.json").read_text())["metrics"] for output in outputs]
    assert metrics[0] == metrics[1]


def test_a_classifier_from_end_to_end(place, classifier):
    bundle = load_bundle(classifier)
    assert (bundle.spec.task.value, bundle.labels) == ("classify", ("pneumonia",))
    assert bundle.operating_point["box_threshold"] is None
    result = run.evaluate(place.evaluate(classifier, "quantize=int8"))
    folder = classifier / "evaluation" / "test"
    record = json.loads((folder / "metrics.json").read_text())
    assert set(result) == {"metrics", "int8"}
    assert record["metrics"]["auroc"]["n_images"] == 12
    assert not (folder / "boxes.csv").exists()
    int8 = {row["image"]: float(row["score"]) for row in rows(next(folder.rglob("*int8*/predictions.csv")))}
    fp32 = {row["image"]: float(row["score"]) for row in rows(folder / "predictions.csv")}
    assert int8 == pytest.approx(fp32, abs=0.05)
    assert int8 != fp32


def test_evaluate_refuses_data_that_changed_since_training(place, detector, tmp_path):
    changed = Path(shutil.copytree(place.folder / "cohort", tmp_path / "cohort"))
    run.evaluate(place.evaluate(detector, f"data.path={changed / 'dicom'}", f"output={tmp_path / 'same'}"))
    dark = np.zeros(SIZE)
    write_image(changed / "dicom" / "1" / "1.dcm", 1, dark)
    with pytest.raises(BundleError, match="the data or its splits changed since training"):
        run.evaluate(place.evaluate(detector, f"data.path={changed / 'dicom'}"))
    (changed / "dicom" / "1" / "1.dcm").unlink()
    with pytest.raises((BundleError, DataError)):
        run.evaluate(place.evaluate(detector, f"data.path={changed / 'dicom'}"))


def other_data(place, cache, *overrides):
    """The detector's cohort under another name, so that evaluate.py can't know it for the run's own."""
    cohort = place.folder / "cohort"
    paths = [f"data.path={cohort / 'dicom'}", f"data.truth={cohort / 'truth.json'}", f"data.cache={cache}"]
    return ["data=dicom", "data.image_size=64", "data.workers=0", *paths, *overrides]


def evaluated(folder):
    """How an evaluation says it was made, and its page."""
    record = json.loads((folder / "metrics.json").read_text())
    return record["provenance"]["extra"]["evaluation"], (folder / "REPORT.md").read_text()


def test_subgroups_come_from_headers_and_from_a_table(place, detector, tmp_path, caplog):
    run.evaluate(place.evaluate(detector, "split=train", "groups=[sex,age]", f"output={tmp_path / 'first'}"))
    patients = sorted({line.split(",")[1] for line in (tmp_path / "first/images.csv").read_text().splitlines()[1:]})
    table = tmp_path / "sites.csv"
    table.write_text("patient,site\n" + "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(patients)))
    arguments = ("split=train", "groups=[sex]", f"groups_file={table}", f"output={tmp_path / 'out'}")
    run.evaluate(place.evaluate(detector, *arguments))
    written = (tmp_path / "out/groups.csv").read_text().splitlines()
    assert written[0] == "image,sex,site"
    document = json.loads((tmp_path / "out/subgroups.json").read_text())
    small = {(one["column"], one["value"]): one["n_patients"] for one in document["left_out"]}
    assert (small["site", "a"], small["site", "b"]) == (6, 6)
    with pytest.raises(ConfigError, match="groups=hair; expected some of sex"):
        run.evaluate(place.evaluate(detector, "split=train", "groups=[hair]", f"output={tmp_path / 'none'}"))


def test_evaluate_on_other_data(place, detector, tmp_path):
    splits = f"data.split.file={detector / 'splits.json'}"
    run.evaluate(place.evaluate(detector, *other_data(place, tmp_path, splits), f"output={tmp_path / 'out'}"))
    how, page = evaluated(tmp_path / "out")
    assert (how["split"], how["seen_in_training"]) == ("test", "")
    assert "Seen in training" not in page
    foreign = [f"data.path={place.folder / 'pneumoniamnist.npz'}", f"data.cache={tmp_path}"]
    with pytest.raises(DataError, match=r"labels \('pneumonia',\); the model was trained on \('nodule',\)"):
        run.evaluate(place.evaluate(detector, "data=pneumoniamnist", *foreign))


def test_a_test_split_that_was_trained_on_is_refused_in_a_line_and_marked_where_accepted(place, detector, tmp_path):
    saved = json.loads((detector / "splits.json").read_text())["splits"]
    exchanged = {"train": saved["test"], "val": saved["val"], "test": saved["train"]}
    table = tmp_path / "splits.csv"
    table.write_text("image,split\n" + "".join(f"{i},{name}\n" for name in exchanged for i in exchanged[name]))
    other = other_data(place, tmp_path, f"data.split.file={table}")
    with pytest.raises(DataError, match="split=test holds 12 equal images and 12 patients trained on;") as caught:
        run.evaluate(place.evaluate(detector, *other))
    assert "\n" not in str(caught.value)
    assert "accept_seen=true" in str(caught.value)
    run.evaluate(place.evaluate(detector, *other, "accept_seen=true", f"output={tmp_path / 'out'}"))
    how, page = evaluated(tmp_path / "out")
    assert how["seen_in_training"] == "12 equal images and 12 patients trained on"
    assert "**Seen in training: 12 equal images and 12 patients trained on." in page


def test_an_image_changed_a_little_is_known_again(place, detector, tmp_path):
    saved = json.loads((detector / "splits.json").read_text())["splits"]
    cohort, splits = evaluation.measured_data(place.evaluate(detector), load_bundle(detector))
    brighter = replace(cohort, pixels=(cohort.pixels * np.float16(0.9)).astype(np.float16))
    renamed = [replace(s, header=replace(s.header, patient=f"P-{i:016d}")) for i, s in enumerate(cohort.samples)]
    known = unseen.remembered(load_bundle(detector))
    found = overlaps(known, replace(brighter, samples=tuple(renamed)), splits.train)
    assert [(one.split, one.images, one.patients, one.look_alikes) for one in found] == [("train", 0, 0, 12)]
    assert len(saved["train"]) == 12


def test_own_training_and_validation_images_are_measured_and_marked(place, detector, tmp_path):
    for split, word in (("train", "trained"), ("val", "tuned")):
        run.evaluate(place.evaluate(detector, f"split={split}", f"output={tmp_path / split}"))
        how, page = evaluated(tmp_path / split)
        assert (how["split"], how["seen_in_training"]) == (split, f"the images that the model was {word} on")
        assert f"**Seen in training: the images that the model was {word} on." in page


def test_a_bundle_that_does_not_say_what_it_saw(place, copied, tmp_path, caplog):
    (copied / "bundle" / "training_images.json").write_text("{}")
    with pytest.raises(BundleError, match=r"training_images\.json: missing or not the record"):
        run.evaluate(place.evaluate(copied))
    record = json.loads((copied / "bundle" / "model.json").read_text())
    del record["trained"]["training_images"]  # as bundles were before
    (copied / "bundle" / "model.json").write_text(json.dumps(record))
    run.evaluate(place.evaluate(copied, f"output={tmp_path / 'own'}"))
    assert "doesn't say what it was trained on" not in caplog.text
    run.evaluate(place.evaluate(copied, *other_data(place, tmp_path), f"output={tmp_path / 'other'}"))
    assert "doesn't say what it was trained on" in caplog.text


def test_a_leak_stops_training_until_it_is_accepted(place):
    leaky = place.folder / "leaky.npz"
    with np.load(place.folder / "pneumoniamnist.npz") as file:
        arrays = dict(file)
    arrays["test_images"][:3] = arrays["train_images"][:3]
    np.savez(leaky, **arrays)
    with pytest.raises(DataError, match=r"leaks across splits: 3 images of test that look like images of train"):
        run.train(place.classify("leaky", f"data.path={leaky}", "data.accept_leaks=[]"))
    assert not (place.folder / "leaky" / "config.yaml").exists()
    run.train(place.classify("leaky", f"data.path={leaky}", "trainer.max_epochs=1"))
    bundle = load_bundle(place.folder / "leaky")
    leak = {"kind": "near-duplicate", "between": ["train", "test"], "count": 3}
    assert bundle.trained["accepted_leaks"] == [leak]
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "| leaks between splits | near-duplicate 3 (train and test), accepted |" in card
    with pytest.raises(DataError, match="split=test holds 3 equal images trained on"):
        run.evaluate(place.evaluate(place.folder / "leaky"))
