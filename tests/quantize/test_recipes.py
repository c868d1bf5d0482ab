import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from radvit.inference.engine import OnnxEngine
from radvit.models.spec import output_names
from radvit.quantize.calibrate import Ranges
from radvit.quantize.recipes import Recipe, batch_effect, error
from radvit.records import Task

STATIC, DYNAMIC = Recipe(), Recipe(None, convolutions=False)


def in_int8(path):
    """Names of the layers of a written model that have INT8 weights."""
    graph = onnx.load(str(path)).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    named = {n.name for n in graph.node if n.op_type in ("Conv", "MatMul", "Gemm")}
    return {n.name for n in graph.node if n.name in named and made_by.get(n.input[1]) == "DequantizeLinear"}


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_all_but_the_outer_layers_become_int8(workshop, tmp_path, task):
    bench = workshop(task)
    bench.make(STATIC, tmp_path / "int8.onnx")
    assert in_int8(tmp_path / "int8.onnx") == {layer.name for layer in bench.layers}
    assert {layer.name for layer in bench.layers}.isdisjoint(bench.graph.outer())
    assert {"Conv", "MatMul"} <= {layer.kind for layer in bench.layers}


def test_kept_layers_stay_fp32(workshop, tmp_path):
    bench = workshop()
    kept = tuple(layer.name for layer in bench.layers[:3])
    bench.make(Recipe(kept=kept), tmp_path / "int8.onnx")
    assert in_int8(tmp_path / "int8.onnx") == {layer.name for layer in bench.layers} - set(kept)


def test_linear_layers_alone(workshop, tmp_path):
    bench = workshop()
    bench.make(Recipe(convolutions=False), tmp_path / "int8.onnx")
    assert in_int8(tmp_path / "int8.onnx") == {layer.name for layer in bench.layers if layer.kind != "Conv"}


@pytest.mark.parametrize(("bits", "most"), [(8, 127), (7, 64)])
@pytest.mark.parametrize("recipe", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_weights_of_seven_bits_leave_room_for_sums_of_sixteen(workshop, tmp_path, recipe, bits, most):
    bench = workshop()
    ranges = recipe.ranges
    bench.make(Recipe(ranges, convolutions=ranges is not None, bits=bits), tmp_path / "int8.onnx")
    stored = [numpy_helper.to_array(t) for t in onnx.load(str(tmp_path / "int8.onnx")).graph.initializer]
    weights = [w for w in stored if w.dtype == np.int8 and w.ndim > 1]
    assert weights
    assert most - 1 <= max(int(np.abs(w.astype(int)).max()) for w in weights) <= most + 1


def test_weights_of_linear_layers_are_stored_in_a_quarter_of_the_room(workshop, exported_models, tmp_path):
    workshop().make(STATIC, tmp_path / "int8.onnx")
    width = 32
    shapes = {}
    for path in (exported_models[Task.DETECT][1], tmp_path / "int8.onnx"):
        graph = onnx.load(str(path)).graph
        shapes[path.name] = {t.data_type for t in graph.initializer if sorted(t.dims) == [width, 4 * width]}
    assert shapes == {"model.onnx": {onnx.TensorProto.FLOAT}, "int8.onnx": {onnx.TensorProto.INT8}}


def test_only_dynamic_ranges_let_an_answer_depend_on_its_batch(workshop, exported_models, images, tmp_path):
    bench = workshop()
    names = output_names(exported_models[Task.DETECT][0].spec)
    uneven = images * np.linspace(0.2, 3, len(images), dtype=np.float32)[:, None, None, None]
    effects = {}
    for recipe in (STATIC, DYNAMIC):
        bench.make(recipe, tmp_path / "int8.onnx")
        effects[recipe] = batch_effect(OnnxEngine(tmp_path / "int8.onnx", names), uneven)
    assert effects[STATIC] < 1e-4
    assert effects[DYNAMIC] > 1e-3


def test_a_model_without_inner_layers_is_refused(workshop, tmp_path):
    bench = workshop()
    everything = tuple(layer.name for layer in bench.layers)
    with pytest.raises(ValueError, match="no layers to quantize"):
        bench.make(Recipe(kept=everything), tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()


def test_error_is_the_root_mean_square_in_standard_deviations_of_the_worst_output():
    expected = {"a": np.array([0.0, 2.0, 0.0, 2.0]), "b": np.array([0.0, 20.0, 0.0, 20.0])}
    found = {"a": expected["a"] + 0.5, "b": expected["b"] + np.array([2.0, -2.0, 0.0, 0.0])}
    assert error(expected, expected) == 0
    assert error(expected, found) == pytest.approx(0.5 / expected["a"].std(ddof=1))
    assert error({"b": expected["b"]}, found) == pytest.approx(np.sqrt(2) / expected["b"].std(ddof=1))


def test_names_tell_recipes_apart():
    recipes = [
        Recipe(),
        Recipe(Ranges.ENTROPY),
        Recipe(balanced=True),
        Recipe(kept=("a", "b")),
        Recipe(convolutions=False),
        Recipe(None, convolutions=False),
    ]
    names = [recipe.name for recipe in recipes]
    assert names[:3] == ["static minmax", "static entropy", "static minmax, balanced"]
    assert len(set(names)) == len(names)
    assert Recipe(kept=("a", "b")).name == "static minmax, 2 more layers FP32"
    assert Recipe(kept=("a",)).name == "static minmax, 1 more layer FP32"
