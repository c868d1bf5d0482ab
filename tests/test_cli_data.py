import json
from pathlib import Path

import numpy as np
import pytest

from radvit.cli.composed import conf_folder, train_config
from radvit.config import SplitKind
from radvit.errors import ConfigError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def published(tmp_path):
    """A file in MedMNIST's form, of which one image stands in train and in test."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 20), ("val", 8), ("test", 8)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n)[:, None] % 2).astype(np.uint8)
    arrays["test_images"][3] = arrays["train_images"][5]
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    return ["experiment=pneumoniamnist", f"data.path={tmp_path / 'pneumoniamnist.npz'}"]


def test_a_leak_is_a_failure_and_stands_in_the_document(published, tmp_path, ran):
    code, out, err = ran("data", "check", *published, "data.accept_leaks=[]", "--json", tmp_path / "check.json")
    assert (code, err[-1]) == (1, "radvit: the data have problems: they are named above")
    assert any("1 image of test that look like images of train" in line for line in out)
    assert out[-1] == "1 found that would stop training, 0 to be looked at"
    document = json.loads((tmp_path / "check.json").read_text())
    assert document["clean"] is False
    assert document["splits"]["train"] == {"images": 20, "patients": 20, "studies": 20, "label: pneumonia": 10}
    assert [(remark["level"], remark["kind"], remark["count"]) for remark in document["remarks"]] == [
        ("stops training", "leak: near-duplicate", 1),
        ("note", "duplicate", 1),
    ]


def test_an_accepted_leak_is_none(published, ran):
    code, out, _ = ran("data", "check", *published)
    assert code == 0
    assert any(line.startswith("accepted") for line in out)


def test_a_cohort_of_dicom_files_with_one_that_is_none(grey_file, tmp_path, ran):
    images = []
    for number in range(12):
        uid = f"1.2.3.{number}"
        pixels = np.random.default_rng(number).integers(0, 4096, (40, 32), np.uint16)
        names = {"SOPInstanceUID": uid, "PatientID": f"MRN{number}", "StudyInstanceUID": f"{uid}.1"}
        grey_file(pixels, f"dicom/{number}.dcm", PixelSpacing=[2.0, 2.0 if number else 4.5], **names)
        images.append({"id": number, "sop_instance_uid": uid})
    (tmp_path / "dicom/notes.dcm").write_bytes(b"no image")
    boxes = [{"id": n, "image_id": n, "category_id": 0, "bbox": [2, 2, 9, 9]} for n in range(0, 12, 2)]
    truth = {"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "nodule"}]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    data = ["data.path=dicom", "data.truth=truth.json", "data.image_size=32", "data.workers=0", "deid.pixel_text=off"]
    code, out, _ = ran("data", "check", *data, "data.split.train=0.5", "data.split.val=0.25", "data.split.test=0.25")
    assert code == 1
    text = "\n".join(out)
    assert "1 file not read: not-dicom" in text
    assert "1 image with an implausible pixel spacing" in text
    assert out[-1].startswith("0 found that would stop training")
    assert "MRN" not in text


def test_splits_are_written_without_training(published, tmp_path, ran):
    code, out, _ = ran("data", "split", *published, "data.split.kind=kfold", "--output", tmp_path / "splits.json")
    assert (code, out[-1]) == (0, f"wrote {tmp_path / 'splits.json'}")
    record = json.loads((tmp_path / "splits.json").read_text())
    assert sum(len(images) for images in record["splits"].values()) == 36
    code, out, _ = ran("data", "split", *published, "data.split.file=splits.json", "--output", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == record


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["experiment=nosuch"], "available: "),
        (["data.colour=red"], "colour"),
        (["phantom"], "phantom: expected key=value"),
        (["data.path=nowhere"], "nowhere"),
        (["data.accept_leaks=[patients]"], "data.accept_leaks names patients; expected some of patient, study"),
        (["data.split.kind=site"], "expected a column of manufacturer, view"),
        (["data.split.official=true", "data.split.kind=kfold"], "asks for kfold and official at once"),
        (["data.path=x", "--json", "nowhere/check.json"], "is no folder"),
    ],
)
def test_a_bad_configuration_ends_in_one_line(arguments, words, ran):
    code, out, err = ran("data", "check", *arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert words in err[0]


def test_the_working_directorys_configuration_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert conf_folder() == ROOT / "conf"
    (tmp_path / "conf").mkdir()
    assert conf_folder() == ROOT / "conf"
    (tmp_path / "conf/train.yaml").write_text("defaults: [train_schema, _self_]\nname: mine\n")
    assert train_config(["seed=3"]).name == "mine"
    monkeypatch.setattr("radvit.__file__", str(tmp_path / "a/b/c/__init__.py"))
    (tmp_path / "conf/train.yaml").unlink()
    with pytest.raises(ConfigError, match=r"no conf/train\.yaml in"):
        conf_folder()


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [
        ([], SplitKind.official),
        (["data.split.official=false"], SplitKind.patient),
        (["data.split.kind=stratified"], SplitKind.stratified),
        (["data.split.file=lists.csv"], SplitKind.file),
        (["data.split.kind=patient", "data.split.official=true"], SplitKind.official),
    ],
)
def test_what_a_command_line_says_of_splits_wins_over_the_data_sets_default(overrides, kind):
    assert train_config(["experiment=pneumoniamnist", *overrides]).data.split.chosen is kind
