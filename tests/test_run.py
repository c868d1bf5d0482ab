"""Train, evaluate and infer end to end, on cohorts of a few dozen small images made here."""

import csv
import json
import logging
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from pytorch_lightning.loggers import CSVLogger

from radvit import config, run
from radvit.bundle import load_bundle
from radvit.data.loader import Loader
from radvit.data.seen import overlaps
from radvit.errors import BundleError, ConfigError, DataError, SomeInputsFailedError
from radvit.run import evaluation, unseen

CONF = Path(__file__).parents[1] / "conf"
KEY = "ab" * 32
PATIENTS = 24
SIZE = (72, 64)
TINY = [
    "model.stem=[8,16]",
    "model.patch_size=2",
    "model.embed_dim=32",
    "model.depth=2",
    "model.num_heads=2",
    "data.workers=0",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.check_val_every_n_epoch=1",
    "optim.batch_size=4",
    "optim.ema_decay=0.5",
    "logger=csv",
]


def write_image(path, patient, pixels, **attributes):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{patient}.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.3.{patient}.1", f"1.2.3.{patient}.2"
    dataset.PatientID, dataset.PatientName = f"MRN{patient}", f"Quillfeather^Zanzibar{patient}"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.PixelSpacing = [2.0, 2.0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def write_cohort(folder):
    """Smooth images, of which every second has one bright disc."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    images, annotations = [], []
    for patient in range(PATIENTS):
        grey = 1200 + 8 * rows + rng.normal(0, 40, SIZE)
        if patient % 2:
            x, y, radius = rng.uniform(16, 48), rng.uniform(16, 56), rng.uniform(5, 8)
            grey += 1500 * ((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2)
            box = [x - radius, y - radius, 2 * radius, 2 * radius]
            annotations.append({"id": patient, "image_id": patient, "category_id": 0, "bbox": box})
        write_image(folder / "dicom" / f"{patient % 3}" / f"{patient}.dcm", patient, np.clip(grey, 0, 4095))
        images.append({"id": patient, "sop_instance_uid": f"1.2.3.{patient}.3", "height": SIZE[0], "width": SIZE[1]})
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 0, "name": "nodule"}]}
    (folder / "truth.json").write_text(json.dumps(truth))


def write_medmnist(path):
    """Bright and dark squares in MedMNIST's form."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 24), ("val", 12), ("test", 12)):
        labels = np.arange(n)[:, None] % 2
        images = rng.normal(90, 20, (n, 28, 28)) + 60 * labels[:, :, None] * (np.arange(28) > 13)
        arrays |= {f"{split}_images": images.clip(0, 255).astype(np.uint8), f"{split}_labels": labels.astype(np.uint8)}
    np.savez(path, **arrays)


def composed(name, *overrides):
    config.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_object(compose(name, overrides=[str(o) for o in overrides]))


class Place:
    """Where one session's cohorts, runs and key lie."""

    def __init__(self, folder):
        self.folder = folder
        self.key = folder / "deid.key"
        self.key.write_text(KEY)
        self.key.chmod(0o600)
        write_cohort(folder / "cohort")
        write_medmnist(folder / "pneumoniamnist.npz")

    def detect(self, name, *overrides):
        cohort = self.folder / "cohort"
        data = [f"data.path={cohort / 'dicom'}", f"data.truth={cohort / 'truth.json'}", "data.image_size=64"]
        split = ["data.split.train=0.5", "data.split.val=0.25", "data.split.test=0.25"]
        model = ["model.strides=[4]", "model.width=16", "optim.lr=3e-3"]
        return self._config("phantom_nodule", name, *data, *split, *model, *overrides)

    def classify(self, name, *overrides):
        data = [f"data.path={self.folder / 'pneumoniamnist.npz'}", "model.stem=[8]", "model.hidden=16"]
        return self._config("pneumoniamnist", name, *data, *overrides)

    def evaluate(self, checkpoint, *overrides):
        return composed("evaluate", f"checkpoint={checkpoint}", "bootstrap=20", f"deid.key={self.key}", *overrides)

    def infer(self, checkpoint, source, output, *overrides):
        paths = (f"checkpoint={checkpoint}", f"input.path={source}", f"output={output}", f"deid.key={self.key}")
        return composed("infer", *paths, "workers=1", *overrides)

    def _config(self, experiment, name, *overrides):
        places = [f"run_dir={self.folder / name}", f"data.cache={self.folder / 'cache'}", f"deid.key={self.key}"]
        last = [o for o in overrides if o.startswith("model.stem")]  # the later override of a key wins
        return composed("train", f"experiment={experiment}", *places, *TINY, *(o for o in overrides), *last)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def detector(place):
    """A trained detector's run folder."""
    run.train(place.detect("detect"))
    return place.folder / "detect"


@pytest.fixture(scope="module")
def classifier(place):
    """A trained classifier's run folder."""
    run.train(place.classify("classify"))
    return place.folder / "classify"


@pytest.fixture
def copied(detector, tmp_path):
    """A copy of the detector's run folder, to be spoiled."""
    return Path(shutil.copytree(detector, tmp_path / "moved"))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def words_in(folder):
    """All bytes of all files below a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


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
    assert set(bundle.calibration) == {"slope", "intercept", "fitted"}
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


def test_true_boxes_are_those_of_the_files(place, detector):
    run.evaluate(place.evaluate(detector, f"output={place.folder / 'boxes'}"))
    truth = json.loads((place.folder / "cohort" / "truth.json").read_text())
    made = {tuple(np.round(a["bbox"], 2)) for a in truth["annotations"]}
    for row in rows(place.folder / "boxes" / "truth_boxes.csv"):
        x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
        assert tuple(np.round((x1, y1, x2 - x1, y2 - y1), 2)) in made


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


def test_another_seed_gives_another_model(place, detector):
    run.train(place.detect("other", "seed=1", "trainer.max_epochs=1"))
    assert load_bundle(place.folder / "other").weights_hash != load_bundle(detector).weights_hash


class Stopper(CSVLogger):
    """A logger that stops a run in its second epoch, as a person at the keyboard would."""

    armed = True

    def log_metrics(self, metrics, step=None):
        super().log_metrics(metrics, step)
        if Stopper.armed and metrics.get("epoch") == 1:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_to_the_same_end(place, detector, monkeypatch):
    module = types.ModuleType("stopping")
    module.Stopper = Stopper
    monkeypatch.setitem(sys.modules, "stopping", module)
    with pytest.raises(KeyboardInterrupt):
        run.train(place.detect("stopped", "logger.csv._target_=stopping.Stopper"))
    folder = place.folder / "stopped"
    assert not (folder / "bundle").exists()
    monkeypatch.setattr(Stopper, "armed", False)
    moved = folder.rename(place.folder / "stopped and moved")
    run.train(composed("train", f"resume={moved}", "run_dir=elsewhere"))
    assert load_bundle(moved).weights_hash == load_bundle(detector).weights_hash
    assert {row["epoch"] for row in rows(moved / "metrics.1.csv")} >= {"0"}
    assert {row["epoch"] for row in rows(moved / "metrics.csv")} == {"1"}
    assert not folder.exists()
    assert not Path("elsewhere").exists()


def test_what_is_no_run_can_not_be_resumed(copied):
    with pytest.raises(ConfigError, match=r"no config\.yaml and checkpoints/last\.ckpt there"):
        run.train(composed("train", f"resume={copied.parent}", "run_dir=x"))
    (copied / "checkpoints" / "last.ckpt").write_bytes(b"half")
    with pytest.raises(ConfigError, match=r"last\.ckpt is damaged"):
        run.train(composed("train", f"resume={copied}", "run_dir=x"))


@pytest.mark.parametrize("text", ["a: [", "colour: red", "seed: -1", "[1, 2]", "optim: {lr: fast}"])
def test_a_run_with_a_broken_configuration_is_refused_in_a_line(copied, text):
    (copied / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        run.saved_config(copied)
    assert "\n" not in str(caught.value)


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


def test_calibration_images_are_spread_over_the_training_split(place, detector):
    cohort, splits = evaluation.measured_data(place.evaluate(detector), load_bundle(detector))
    images = evaluation.calibration_images(cohort, splits, load_bundle(detector).preprocess)
    assert images.shape == (len(splits.train), 1, 64, 64)
    assert images.dtype == np.float32


def test_infer_writes_a_folder_a_study_and_a_manifest(place, detector, tmp_path, caplog):
    source = tmp_path / "in"
    shutil.copytree(place.folder / "cohort" / "dicom" / "0", source / "0")
    with caplog.at_level(logging.INFO, "radvit"):
        run.infer(place.infer(detector, source, tmp_path / "out"))
    manifest = rows(tmp_path / "out" / "manifest.csv")
    assert len(manifest) == 8
    assert {row["state"] for row in manifest} == {"done"}
    for row in manifest:
        folder = tmp_path / "out" / row["study"]
        assert {"findings.json", "overlay.png", "report.html"} <= {path.name for path in folder.iterdir()}
    assert b"Quillfeather" not in words_in(tmp_path / "out")
    assert "8 studies read" in caplog.text
    run.infer(place.infer(detector, source, tmp_path / "out"))
    assert "8 done before" in caplog.text or "0 studies read" in caplog.text


def test_infer_names_what_it_could_not_read_and_refuses_what_is_out_of_scope(place, detector, tmp_path):
    source = tmp_path / "in"
    shutil.copytree(place.folder / "cohort" / "dicom" / "0", source)
    write_image(source / "hand.dcm", 99, np.full(SIZE, 1000), BodyPartExamined="HAND")
    (source / "broken.dcm").write_bytes(b"x" * 200)
    with pytest.raises(SomeInputsFailedError, match=r"8 studies read .* 1 failed, 1 refused; see .*manifest\.csv"):
        run.infer(place.infer(detector, source, tmp_path / "out"))
    states = sorted(row["state"] for row in rows(tmp_path / "out" / "manifest.csv"))
    assert states == ["done"] * 8 + ["failed", "refused"]


def test_reports_of_two_settings_are_not_mixed(place, detector, tmp_path):
    source = place.folder / "cohort" / "dicom" / "0" / "0.dcm"
    run.infer(place.infer(detector, source, tmp_path / "out"))
    with pytest.raises(ConfigError, match="holds reports made with another language; name a new one"):
        run.infer(place.infer(detector, source, tmp_path / "out", "report.language=zh"))
    (tmp_path / "out" / "setting.json").write_text("{")
    with pytest.raises(ConfigError, match="reports made with another"):
        run.infer(place.infer(detector, source, tmp_path / "out"))


def test_infer_needs_something_to_read(place, detector, tmp_path):
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    for source, words in ((tmp_path / "empty", "is empty"), (tmp_path / "nowhere", "does not exist")):
        with pytest.raises(ConfigError, match=f"input=.* {words}; expected a DICOM file or a folder of them"):
            run.infer(place.infer(detector, source, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_weights_and_biases_offline_stays_in_the_run_folder(place, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run.train(place.classify("wandb", "logger=wandb", "trainer.max_epochs=1"))
    folder = place.folder / "wandb"
    kept = list((folder / "wandb").glob("offline-run-*"))
    assert len(kept) == 1
    assert list(kept[0].glob("*.wandb"))
    assert (folder / "metrics.csv").is_file()
    assert wandb.run is None  # the next run of a sweep gets one of its own
    assert not Path("wandb").exists()


def test_what_a_model_learns_from_must_be_whole(place):
    with pytest.raises(DataError, match="no known truth"):
        run.train(place.detect("untold", "data.truth=null"))
    with pytest.raises(ConfigError, match=r"model\.name=nosuch is no timm model"):
        run.train(place.detect("unnamed", "model.name=nosuch"))
    with pytest.raises(ConfigError, match="can't be built"):
        run.train(place.detect("uneven", "model.num_heads=5"))
    assert not (place.folder / "untold" / "bundle").exists()
