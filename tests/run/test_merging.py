import json

import numpy as np
import pytest
from safetensors.torch import load_file

from radvit import run
from radvit.bundle import CARD, RECORD, WEIGHTS, load_bundle
from radvit.cli import main
from radvit.errors import ConfigError
from radvit.run.folder import saved_config
from radvit.run.merging import save_merging


@pytest.fixture(scope="module")
def merged(detector, tmp_path_factory):
    out = tmp_path_factory.mktemp("merged") / "run"
    return save_merging(detector, out, 0.5), out


def test_the_copy_is_a_run_with_the_same_weights(detector, merged):
    bundle, out = merged
    plain = load_bundle(detector)
    ours, theirs = load_file(bundle.folder / WEIGHTS), load_file(plain.folder / WEIGHTS)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert bundle.spec == plain.spec.merging(0.5)
    assert saved_config(out).model.merge_tokens == 0.5
    assert saved_config(detector).model.merge_tokens == 0.0
    assert {path.name for path in out.iterdir()} == {"bundle", "config.yaml", "splits.json"}
    exported = {"model.onnx", "model.int8.onnx", "quantization.json"}  # of a model that does not merge
    assert {path.name for path in bundle.folder.iterdir()} == {path.name for path in plain.folder.iterdir()} - exported
    assert bundle.trained == {**plain.trained, "merge_tokens": 0.5}


def test_the_copy_is_evaluated_on_its_own(detector, merged, place, tmp_path):
    metrics = run.evaluate(place.evaluate(merged[1], f"output={tmp_path / 'm'}"))
    whole = run.evaluate(place.evaluate(detector, f"output={tmp_path / 'w'}"))
    assert metrics["metrics"].keys() == whole["metrics"].keys()
    other = [(tmp_path / name / "boxes.csv").read_text() for name in "mw"]
    assert other[0] != other[1]


def test_a_share_of_nothing_is_the_same_model_judged_again(detector, tmp_path):
    plain, again = load_bundle(detector), save_merging(detector, tmp_path / "again", 0.0)
    assert again.calibration == plain.calibration
    assert again.operating_point == plain.operating_point


def test_a_folder_that_holds_something_is_refused(detector, tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ConfigError, match="not empty; expected a new folder"):
        save_merging(detector, tmp_path, 0.1)


def test_the_command_says_what_is_left(detector, tmp_path, capsys):
    main(["weights", "merge-tokens", str(detector), str(tmp_path / "out"), "--share", "0.25"])
    assert "its blocks see 64, 48 of 64 patches" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["weights", "merge-tokens", str(detector), str(tmp_path / "more"), "--share", "0.7"])
    assert ended.value.code == 2
    assert "model.merge_tokens=0.7; expected a number from 0 to 0.5" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


def test_the_curve_is_measured_drawn_and_written(detector, tmp_path, capsys):
    files = ["--json", str(tmp_path / "n.json"), "--figure", str(tmp_path / "c.png")]
    main(["bench", "tokens", str(detector), "--shares", "0.25,0.5", "--repeats", "1", *files])
    assert "last block's tokens" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert [(row["share"], row["tokens"]) for row in numbers["rows"]] == [
        (0.0, [64, 64]),
        (0.25, [64, 48]),
        (0.5, [64, 32]),
    ]
    for row in numbers["rows"]:
        assert set(row["speed"]) == {"pytorch", "onnxruntime"}
        assert all(speed["low"] <= speed["times"] <= speed["high"] for speed in row["speed"].values())
        value, low, high = row["metrics"]["froc/cpm"]
        assert np.isfinite(value)
        assert low <= high
    assert (tmp_path / "c.png").stat().st_size > 10_000


def test_the_row_without_merging_is_what_evaluate_says(detector, tmp_path, place):
    quick = ["--shares", "0", "--repeats", "1", "--no-onnx", "--split", "test"]
    main(["bench", "tokens", str(detector), *quick, "--json", str(tmp_path / "n.json")])
    row = json.loads((tmp_path / "n.json").read_text())["rows"][0]
    measured = run.evaluate(place.evaluate(detector, f"output={tmp_path / 'e'}"))["metrics"]
    for name in ("froc/cpm", "auroc", "average_precision"):
        assert row["metrics"][name][0] == pytest.approx(measured[name].value, nan_ok=True), name


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--shares", "a"], "expected numbers with commas"),
        (["--repeats", "0"], "expected at least 1"),
        (["--shares", "0.6"], "expected a share from 0 to 0.5"),
    ],
)
def test_what_can_not_be_measured_is_refused(detector, capsys, arguments, match):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "tokens", str(detector), *arguments])
    assert ended.value.code == 2
    assert match in capsys.readouterr().err


def test_the_record_says_that_tokens_merge(merged):
    record = json.loads((merged[0].folder / RECORD).read_text())
    assert record["architecture"]["backbone"]["merge_tokens"] == 0.5


def test_the_card_says_that_tokens_merge(detector, merged):
    assert "| merged tokens | 0.5 of them after each block |" in (merged[0].folder / CARD).read_text()
    assert "merged tokens" not in (load_bundle(detector).folder / CARD).read_text()


@pytest.mark.parametrize("make", ["detect", "classify"])
def test_a_model_is_trained_with_merged_tokens_on_cropped_images(place, make, tmp_path):
    given = ["model.merge_tokens=0.3", "data.crop_border=true", "trainer.max_epochs=1"]
    bundle = run.train(getattr(place, make)(f"merging_{make}", *given))
    again = load_bundle(bundle.folder)
    assert again.spec.backbone.merge_tokens == 0.3
    assert again.preprocess.crop_border
    measured = run.evaluate(place.evaluate(bundle.folder.parent, f"output={tmp_path}", "quantize=int8"))
    assert np.isfinite(measured["metrics"]["auroc"].value)
    assert np.isfinite(measured["int8"]["auroc"].value)
