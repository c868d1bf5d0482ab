"""What a command doesn't need, it doesn't load."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from radvit.bundle import load_bundle
from radvit.quantize.export import export_onnx

ROOT = Path(__file__).parents[1]
LEARNING = {
    "pytorch_lightning",
    "lightning_fabric",
    "monai",
    "sklearn",
    "torchmetrics",
    "peft",
    "optuna",
    "tensorboard",
}
DRAWING = {"matplotlib", "pandas", "rich", "IPython"}
OTHERS = {"transformers", "scipy.stats", "onnx", "onnxscript", "rapidocr", "mlflow", "nibabel", "SimpleITK"}
HEAVY = {"torch", "torchvision", "timm", "onnxruntime", "numpy", "scipy", "cv2", "pydicom", "hydra", "omegaconf"}
AT_THE_END = "import atexit, json, sys; atexit.register(lambda: print('LOADED', json.dumps(sorted(sys.modules))));"


def loaded(code: str, *arguments: str) -> set[str]:
    """The modules that a process has loaded when it ends."""
    words = [sys.executable, "-c", AT_THE_END + code, *arguments]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.rpartition("LOADED ")[2]))


def test_help_loads_nothing_but_the_command_line():
    there = loaded("import runpy; runpy.run_module('radvit.cli', run_name='__main__')", "--help")
    assert "radvit.cli.deid" in there
    assert there & (LEARNING | DRAWING | OTHERS | HEAVY) == set()


def test_a_run_loads_no_more_than_it_needs(place, detector, tmp_path):
    shutil.copytree(place.folder / "cohort" / "dicom" / "0", tmp_path / "in")
    given = (
        f"checkpoint={detector}",
        f"input={tmp_path / 'in'}",
        f"output={tmp_path / 'out'}",
        f"deid.key={place.key}",
    )
    code = "import runpy; sys.argv[0] = 'infer.py'; runpy.run_path('infer.py', run_name='__main__')"
    there = loaded(code, *given, "workers=1")
    assert len(list((tmp_path / "out").glob("*/report.html"))) == 8
    assert {"torch", "timm", "radvit.inference.engine"} <= there
    assert there & (LEARNING | DRAWING | OTHERS) == set()  # what timm itself loads left out, such as wandb
    ours = {name for name in there if name.startswith(("radvit.training.", "radvit.evaluation", "radvit.run.ev"))}
    assert ours <= {"radvit.training.ranks"}


def test_onnx_runtime_does_not_wait_for_pytorch(place, detector, tmp_path):
    bundle = load_bundle(shutil.copytree(detector, tmp_path / "model"))
    export_onnx(bundle.model(), bundle.folder / "model.onnx")
    given = (f"checkpoint={tmp_path / 'model'}", f"input={place.folder / 'cohort' / 'dicom' / '0'}", "workers=1")
    code = "import runpy; sys.argv[0] = 'infer.py'; runpy.run_path('infer.py', run_name='__main__')"
    there = loaded(code, *given, f"output={tmp_path / 'out'}", f"deid.key={place.key}", "precision=onnx")
    assert len(list((tmp_path / "out").glob("*/report.html"))) == 8
    assert "onnxruntime" in there
    assert there & {"torch", "torchvision", "timm", "transformers"} == set()


@pytest.mark.parametrize("module", ["radvit.run.inference", "radvit.inference.predictor"])
def test_the_model_is_loaded_last(module):
    there = loaded(f"import {module}")
    assert there & (LEARNING | DRAWING | OTHERS | {"timm", "onnxruntime", "radvit.inference.engine"}) == set()


@pytest.mark.parametrize("module", ["radvit.inference.decoding", "radvit.report.write"])
def test_worker_processes_load_no_model(module):
    there = loaded(f"import {module}")
    assert there & (LEARNING | DRAWING | OTHERS | {"torch", "torchvision", "timm", "onnxruntime"}) == set()
