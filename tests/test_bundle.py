import json
import pickle

import pytest
import torch
from transformers import Dinov2Config

from radvit.bundle import CARD, QUANTIZATION, RECORD, WEIGHTS, Bundle, Scope, file_hash, load_bundle, save_bundle
from radvit.data.preprocess import Preprocess
from radvit.errors import BundleError
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Header, Task

HEADER = Header("P-A", "2.25.1", "2.25.2", "2.25.3", "CR", "CHEST", "PA")


@pytest.fixture
def saved(bundle, tmp_path):
    return bundle(tmp_path / "run" / "bundle", Task.DETECT)


def rewrite(saved, **changes):
    record = json.loads((saved.folder / RECORD).read_text())
    (saved.folder / RECORD).write_text(json.dumps({**record, **changes}))


def test_round_trip(bundle, tmp_path):
    given = {
        "scope": Scope(("CR", "DX"), ("CHEST",), ()),
        "operating_point": {"image_thresholds": [0.25], "box_threshold": 0.5, "rule": "youden", "fp_per_image": 1.0},
        "calibration": {"slope": 1.5, "intercept": -0.1 - 0.2, "fitted": True},
        "trained": {"name": "tiny", "seed": 0, "versions": {"torch": "2"}},
    }
    saved = bundle(tmp_path / "b", Task.CLASSIFY, ("a", "b", "c"), exclusive=True, **given)
    again = load_bundle(tmp_path / "b")
    assert again == saved
    assert (again.labels, again.exclusive, again.preprocess) == (("a", "b", "c"), True, Preprocess(32))
    assert {name: getattr(again, name) for name in given} == given
    assert again.weights_hash == file_hash(again.folder / WEIGHTS)
    assert (again.name, (again.folder / CARD).read_text()) == ("tiny", "# tiny\n")


def test_weights_come_back_to_the_last_bit_in_evaluation_mode(saved, tmp_path):
    model = saved.model()
    assert not model.training
    torch.manual_seed(1)
    images = torch.randn(2, 1, 32, 32)
    again = save_bundle(saved, model, "").model()
    with torch.inference_mode():
        for name, value in model(images).items():
            assert torch.equal(again(images)[name], value)


def test_a_run_folder_stands_for_its_bundle(saved):
    assert load_bundle(saved.folder.parent) == saved


def test_nothing_in_a_bundle_is_a_pickle(saved):
    for path in saved.folder.iterdir():
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError)):
            pickle.loads(path.read_bytes())  # noqa: S301 - our own file: shows that it can't be read that way
        assert path.name in (WEIGHTS, RECORD, CARD)


def test_saving_again_removes_what_was_exported_from_the_old_weights(saved):
    for name in ("model.onnx", "model.int8.onnx", QUANTIZATION):
        (saved.folder / name).touch()
    save_bundle(saved, saved.model(), "")
    assert {path.name for path in saved.folder.iterdir()} == {WEIGHTS, RECORD, CARD}


def test_missing_and_foreign_folders_are_refused(tmp_path):
    with pytest.raises(BundleError, match="does not exist; expected a run folder or a bundle"):
        load_bundle(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BundleError, match=r"neither a run folder nor a bundle: no model\.json"):
        load_bundle(tmp_path)


def test_damaged_weights_are_refused(saved):
    data = bytearray((saved.folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (saved.folder / WEIGHTS).write_bytes(data)
    with pytest.raises(BundleError, match=r"not the weights that model\.json was written for"):
        load_bundle(saved.folder)
    (saved.folder / WEIGHTS).unlink()
    with pytest.raises(BundleError, match="missing"):
        load_bundle(saved.folder)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": "radvit.bundle/99"}, r"format radvit\.bundle/99; this version reads radvit\.bundle/1"),
        ({"architecture": {"wings": 2}}, "not fit this version|not a bundle record"),
        ({"scope": {"planets": ["CR"]}}, "not a bundle record: TypeError"),
        ({"scope": None}, "not a bundle record"),
        ({"preprocess": {"size": 32}}, "not a bundle record"),
        ({"preprocess": {"size": 32, "mean": 0, "std": 0}}, "not a bundle record"),
        ({"labels": None}, "not a bundle record"),
        ({"trained": 3}, "not a bundle record"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(saved, changes, match):
    rewrite(saved, **changes)
    with pytest.raises(BundleError, match=match):
        load_bundle(saved.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": "radvit.bundle/1"}', "\xff\xfe"])
def test_a_broken_record_is_refused(saved, text):
    (saved.folder / RECORD).write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match=r"model\.json: not a bundle record"):
        load_bundle(saved.folder)


def test_weights_of_another_architecture_are_refused_in_a_line(saved):
    record = json.loads((saved.folder / RECORD).read_text())
    record["architecture"]["width"] *= 2
    rewrite(saved, architecture=record["architecture"])
    with pytest.raises(BundleError, match="weights don't fit their record") as caught:
        load_bundle(saved.folder).model()
    assert "\n" not in str(caught.value)


def test_a_model_of_transformers_needs_no_hub_once_it_is_saved(tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "mlp_ratio": 2}
    Dinov2Config(**sizes).save_pretrained(tmp_path / "named")
    backbone = BackboneSpec(str(tmp_path / "named"), 56)
    model = RadiographViT(ModelSpec(Task.CLASSIFY, 2, backbone, hidden=8)).eval()
    save_bundle(Bundle(tmp_path / "b", model.spec, ("a", "b"), True, Preprocess(56), Scope()), model, "")
    (tmp_path / "named" / "config.json").unlink()  # what the name stood for is gone
    images = torch.randn(2, 1, 56, 56)
    with torch.inference_mode():
        torch.testing.assert_close(load_bundle(tmp_path / "b").model()(images)["logits"], model(images)["logits"])


def test_a_bundle_from_before_backbones_had_a_configuration_is_read(saved):
    record = json.loads((saved.folder / RECORD).read_text())
    del record["architecture"]["backbone"]["config"]
    rewrite(saved, architecture=record["architecture"])
    assert load_bundle(saved.folder).spec == saved.spec


def test_weights_are_those_that_were_given(saved, spec):
    torch.manual_seed(5)
    model = RadiographViT(spec(Task.DETECT))
    stored = save_bundle(saved, model, "").model().state_dict()
    assert all(torch.equal(stored[name], value) for name, value in model.state_dict().items())
    assert model.training  # the caller's model is left as it was


@pytest.mark.parametrize(
    ("scope", "word"),
    [
        (Scope(), None),
        (Scope(("CR", "DX"), ("CHEST",), ("PA", "AP")), None),
        (Scope(("MG",)), "modality CR is outside the model's scope (MG)"),
        (Scope(body_parts=("HAND", "FOOT")), "body part CHEST is outside the model's scope (HAND, FOOT)"),
        (Scope(views=("LL",)), "view PA is outside the model's scope (LL)"),
    ],
)
def test_scope(scope, word):
    assert scope.refusal(HEADER) == word


def test_a_body_part_that_is_not_named_is_outside_a_scope_that_asks_for_it_and_a_view_is_not():
    silent = Header("P-A", "2.25.1", "2.25.2", "2.25.3", "CR")
    assert Scope(("CR",)).refusal(silent) is None
    assert Scope(views=("PA",)).refusal(silent) is None
    assert Scope(body_parts=("CHEST",)).refusal(silent) == "body part not named is outside the model's scope (CHEST)"
