from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from radvit.data.preprocess import Preprocess
from radvit.encoder import save_encoder
from radvit.errors import ConfigError
from radvit.models.backbone import Backbone, BackboneSpec
from radvit.models.weights import load_backbone, weights_file
from radvit.records import Task

SPEC = BackboneSpec("vit_tiny_patch16_224", 32, stem=(8, 16), patch_size=2, embed_dim=32, depth=2, num_heads=2)


def differs(one: Backbone, other: Backbone) -> bool:
    return any(
        not torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backbone]:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(1)
    backbone = Backbone(SPEC)
    save_encoder(folder, backbone, SPEC, Preprocess(32), {"name": "x"})
    return folder, backbone


def test_a_backbone_starts_from_an_encoder_wherever_it_is_named(run: tuple[Path, Backbone]) -> None:
    folder, saved = run
    for path in (folder, folder / "encoder", folder / "encoder" / "model.safetensors"):
        torch.manual_seed(2)
        fresh = Backbone(SPEC)
        assert differs(fresh, saved)
        load_backbone(fresh, path)
        assert not differs(fresh, saved)


def test_a_backbone_starts_from_a_whole_models_bundle(bundle, spec, tmp_path: Path) -> None:
    made = bundle(tmp_path / "bundle", Task.DETECT)
    fresh = Backbone(spec(Task.SEGMENT).backbone)
    load_backbone(fresh, tmp_path)
    assert not differs(fresh, made.model().backbone)


@pytest.mark.parametrize("changes", [{"image_size": 64}, {"embed_dim": 64}, {"depth": 3}, {"stem": ()}])
def test_another_backbones_weights_are_refused_in_a_line(run: tuple[Path, Backbone], changes: dict[str, int]) -> None:
    fields = {name: getattr(SPEC, name) for name in SPEC.__dataclass_fields__} | changes
    with pytest.raises(
        ConfigError, match=r"model\.weights=.* fits another backbone or image size: .* differ$"
    ) as caught:
        load_backbone(Backbone(BackboneSpec(**fields)), run[0])
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model\.safetensors there"):
        weights_file(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(ConfigError, match="is no safetensors file"):
        load_backbone(Backbone(SPEC), tmp_path)
    save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match="is missing, expected"):
        load_backbone(Backbone(SPEC), tmp_path)
