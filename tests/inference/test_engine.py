import numpy as np
import pytest

from radvit.bundle import Bundle
from radvit.errors import BundleError, ConfigError
from radvit.inference.engine import BundleDetector, OnnxEngine, best_by_class, open_engine, open_onnx
from radvit.inference.precision import ONNX_FILES
from radvit.inference.torch_engine import TorchEngine
from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Platt, Temperature
from radvit.models.decode import DecodeSpec, decode, image_scores
from radvit.models.decode_mask import MaskSpec, component_boxes, probabilities
from radvit.models.spec import output_names
from radvit.quantize.export import export_onnx
from radvit.records import Boxes, Task

PLATT = Platt(0.5, -1.0, True)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((5, 1, 32, 32), np.float32)


@pytest.fixture(scope="module")
def detector(bundle, tmp_path_factory) -> Bundle:
    saved = bundle(tmp_path_factory.mktemp("detector"), Task.DETECT, ("nodule", "mass"), calibration=PLATT.to_dict())
    export_onnx(saved.model(), saved.folder / ONNX_FILES["fp32"])
    return saved


@pytest.fixture(scope="module")
def classifier(bundle, tmp_path_factory) -> Bundle:
    return bundle(tmp_path_factory.mktemp("classifier"), Task.CLASSIFY, ("a", "b", "c"), exclusive=True)


def test_torch_and_onnx_runtime_give_the_same_outputs(detector, images):
    expected, got = open_engine(detector, "fp32")(images), open_onnx(detector, "fp32", threads=1)(images)
    assert tuple(got) == tuple(expected) == output_names(detector.spec)
    for name, value in got.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_any_batch_size_gives_an_image_the_same_outputs(detector, images, size):
    for engine in (TorchEngine(detector.model()), open_onnx(detector, "fp32")):
        alone, whole = engine(images[:size]), engine(images)
        for name in whole:
            np.testing.assert_allclose(alone[name], whole[name][:size], rtol=1e-4, atol=1e-4)


def test_bf16_is_close_but_not_the_same(detector, images):
    fp32, bf16 = open_engine(detector, "fp32")(images), open_engine(detector, "bf16")(images)
    for name, value in bf16.items():
        assert value.dtype == np.float32
        difference = np.abs(value - fp32[name]).max() / fp32[name].std()
        assert 0 < difference < 0.2


def test_images_are_not_changed(detector, images):
    before = images.copy()
    open_engine(detector, "fp32")(images)
    np.testing.assert_array_equal(images, before)


def test_int8_that_was_never_made_is_refused_with_the_command_that_makes_it(classifier):
    with pytest.raises(BundleError, match=r"run `python evaluate\.py checkpoint=.* quantize=int8` first"):
        open_engine(classifier, "int8")


def test_an_unknown_precision_is_refused(classifier):
    with pytest.raises(ConfigError, match="precision=int4; expected fp32, bf16, onnx or int8, or fp16"):
        open_engine(classifier, "int4")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07"])
def test_a_damaged_onnx_file_is_refused(content, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: can't be opened as an ONNX model"):
        OnnxEngine(tmp_path / "model.onnx", ("logits",))


def test_a_detectors_boxes_are_decoded_and_calibrated(detector, images):
    engine = open_engine(detector, "fp32")
    scores, boxes = BundleDetector(detector, engine)(images)
    raw = decode(engine(images), detector.spec.strides, DecodeSpec())
    assert sum(map(len, boxes)) > 0
    for found, one in zip(boxes, raw, strict=True):
        np.testing.assert_array_equal(found.xyxy, one.xyxy)
        np.testing.assert_array_equal(found.labels, one.labels)
        logit = np.log(one.scores / (1 - one.scores))
        np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(1.0 - 0.5 * logit)), rtol=1e-5)
        assert found.scores.dtype == np.float32
    assert scores.shape == (5, 2)
    for row, found in zip(scores, boxes, strict=True):
        for k in range(2):
            assert row[k] == found.scores[found.labels == k].max(initial=0.0)


def test_without_calibration_scores_stay_raw(bundle, images, tmp_path):
    plain = bundle(tmp_path, Task.DETECT)
    engine = open_engine(plain, "fp32")
    _, boxes = BundleDetector(plain, engine, DecodeSpec(most=3))(images)
    for found, one in zip(boxes, decode(engine(images), (4,), DecodeSpec(most=3)), strict=True):
        assert len(found) <= 3
        np.testing.assert_array_equal(found.scores, one.scores)


def test_a_classifier_gives_its_softmax_and_no_boxes(classifier, images):
    engine = open_engine(classifier, "fp32")
    scores, boxes = BundleDetector(classifier, engine)(images)
    logits = engine(images)["logits"].astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert [len(b) for b in boxes] == [0] * 5


def test_labels_that_stand_alone_get_a_calibrated_sigmoid(bundle, images, tmp_path):
    saved = bundle(tmp_path, Task.CLASSIFY, ("a", "b"), calibration=PLATT.to_dict())
    engine = open_engine(saved, "fp32")
    scores, _ = BundleDetector(saved, engine)(images)
    logits = engine(images)["logits"].astype(np.float64)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(1.0 - 0.5 * logits)), rtol=1e-4)


def test_an_image_score_has_a_map_of_its_own_and_no_box_is_the_lowest_score(bundle, images, tmp_path):
    own = Calibration(Platt(2.0, 0.5, True), PLATT)
    saved = bundle(tmp_path, Task.DETECT, ("nodule", "mass"), calibration=own.to_dict())
    engine = open_engine(saved, "fp32")
    for spec in (DecodeSpec(), DecodeSpec(smallest_score=0.99)):  # the second leaves no box
        scores, boxes = BundleDetector(saved, engine, spec)(images)
        raw = decode(engine(images), saved.spec.strides, spec)
        best = [[b.scores[b.labels == k].max(initial=spec.smallest_score) for k in range(2)] for b in raw]
        logit = np.log(np.array(best, np.float64) / (1 - np.array(best, np.float64)))
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-0.5 - 2 * logit)), rtol=1e-4)
        for found, one in zip(boxes, raw, strict=True):
            np.testing.assert_allclose(found.scores, PLATT.apply(one.scores), rtol=1e-6)
    assert sum(map(len, boxes)) == 0


def test_a_softmax_is_divided_by_its_temperature(bundle, images, tmp_path):
    given = Calibration(Temperature(2.5, fitted=True)).to_dict()
    saved = bundle(tmp_path, Task.CLASSIFY, ("a", "b", "c"), exclusive=True, calibration=given)
    engine = open_engine(saved, "fp32")
    scores, _ = BundleDetector(saved, engine)(images)
    logits = engine(images)["logits"].astype(np.float64) / 2.5
    np.testing.assert_allclose(scores, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-5)


def test_best_by_class():
    scores = np.array([0.2, 0.9, 0.4], np.float32)
    boxes = Boxes(np.zeros((3, 4), np.float32), scores, np.array([2, 0, 2]))
    np.testing.assert_array_equal(best_by_class(boxes, 3), np.array([0.9, 0.0, 0.4], np.float32))
    np.testing.assert_array_equal(best_by_class(Boxes.empty(), 2), np.zeros(2, np.float32))
    np.testing.assert_array_equal(best_by_class(Boxes.empty(), 2, 0.25), np.full(2, 0.25, np.float32))


@pytest.mark.parametrize("precision", ["fp32", "onnx"])
def test_a_segmenter_gives_masks_and_the_boxes_around_them(bundle, tmp_path, images, precision):
    saved = bundle(tmp_path, Task.SEGMENT, ("nodule", "mass"), calibration=PLATT.to_dict())
    export_onnx(saved.model(), saved.folder / ONNX_FILES["fp32"])
    engine = open_onnx(saved, "fp32") if precision == "onnx" else open_engine(saved, precision)
    detector = BundleDetector(saved, engine)
    answer = detector.look(images)
    chance = probabilities(engine(images)["mask_4"], 4)
    np.testing.assert_array_equal(answer.masks, chance >= 0.5)
    assert answer.masks.shape == (5, 2, 32, 32)
    assert sum(len(boxes) for boxes in answer.boxes) > 5
    for one, boxes in zip(chance, answer.boxes, strict=True):
        raw = component_boxes(one, MaskSpec())
        np.testing.assert_array_equal(boxes.xyxy, raw.xyxy)
        np.testing.assert_allclose(boxes.scores, PLATT.apply(raw.scores), rtol=1e-6)
    np.testing.assert_array_equal(answer.scores, np.stack([best_by_class(b, 2) for b in answer.boxes]))
    scores, boxes = detector(images)
    np.testing.assert_array_equal(scores, answer.scores)
    assert len(boxes) == 5


def test_others_give_no_masks(detector, classifier, images):
    for saved in (detector, classifier):
        assert BundleDetector(saved, open_engine(saved, "fp32")).look(images).masks is None


def test_with_flip_an_image_and_its_mirror_image_get_the_same_answer(detector, images):
    """Scores are those of both looks' mean, so turning the image turns the boxes and changes no score."""
    engine, spec = open_engine(detector, "fp32"), DecodeSpec(flip=True)
    look, plain = BundleDetector(detector, engine, spec), BundleDetector(detector, engine)
    width = images.shape[-1]
    scores, boxes = look(images)
    turned_scores, turned = look(np.ascontiguousarray(images[..., ::-1]))
    np.testing.assert_allclose(scores, turned_scores, atol=1e-5)
    assert sum(map(len, boxes)) > 0
    for one, other in zip(boxes, turned, strict=True):
        expected = np.stack([width - other.xyxy[:, 2], other.xyxy[:, 1], width - other.xyxy[:, 0], other.xyxy[:, 3]], 1)
        order, theirs = np.lexsort(one.xyxy.T), np.lexsort(expected.T)
        np.testing.assert_allclose(one.scores[order], other.scores[theirs], atol=1e-5)
        np.testing.assert_allclose(one.xyxy[order], expected[theirs], atol=1e-3)
    assert np.abs(scores - plain(images)[0]).max() > 1e-4


def test_a_classifier_with_flip_means_its_logits(bundle, images, tmp_path):
    plain = bundle(tmp_path, Task.CLASSIFY)
    engine = open_engine(plain, "fp32")
    scores, _ = BundleDetector(plain, engine, DecodeSpec(flip=True))(images)
    both = [engine(np.ascontiguousarray(one))["logits"] for one in (images, images[..., ::-1])]
    expected = image_scores((both[0] + both[1]) / 2, plain.exclusive)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
