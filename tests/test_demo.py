"""The demo's summary, from what its steps leave."""

import json

import pytest

from radvit import demo

METRIC = {"value": 0.5, "low": 0.25, "high": 0.75}


@pytest.fixture
def left(tmp_path):
    """What the steps before the summary leave, of two studies."""
    metrics = dict.fromkeys(demo.SHOWN, METRIC)
    (tmp_path / "evaluation").mkdir()
    evaluation = {
        "metrics": metrics,
        "precisions": {"int8": metrics},
        "baselines": {"blobs": metrics},
        "provenance": {},
    }
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(evaluation))
    (tmp_path / "run" / "bundle").mkdir(parents=True)
    quantized = {
        "ms_per_image": {"fp32": 9.0, "bf16": 8.0, "onnx": 4.0, "int8": 2.0},
        "megabytes": {"onnx": 4.75, "int8": 2.0},
        "recipe": "static minmax",
        "precisions": {"int8": {"state": "released"}},
    }
    (tmp_path / "run" / "bundle" / "quantization.json").write_text(json.dumps(quantized))
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "manifest.csv").write_text("study,state\na,done\nb,failed\n")
    return tmp_path


def test_the_summary_holds_each_columns_figures(left):
    result = demo.summary(left)
    assert set(result["metrics"]) == {"ViT", "ViT INT8", "blobs (LoG)"}
    assert result["studies"] == {"done": 1, "failed": 1}
    assert (result["int8"], result["int8_recipe"]) == ("released", "static minmax")


def test_the_table_sets_int8_beside_fp32_of_the_same_engine(left):
    table = demo.rows(demo.summary(left))
    assert table[1] == (demo.SHOWN["froc/cpm"], *["0.500 [0.250, 0.750]"] * 3)
    assert table[-3:] == [
        ("ms an image (ONNX Runtime)", "4.0", "2.0", ""),
        ("MB on disk", "4.8", "2.0", ""),
        ("INT8 on the validation patients", "", "released", ""),
    ]
