"""timm's Vision Transformers (VisionTransformer and EVA, which DINOv3 is built as) behind the protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import timm
from timm.models import checkpoint, load_model_config_from_hf
from timm.models._hub import load_model_config_from_path
from timm.models.eva import Eva
from timm.models.eva import checkpoint_filter_fn as fit_eva
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer import checkpoint_filter_fn as fit_vit
from torch import Tensor, nn

from radvit.errors import ConfigError
from radvit.models.backbone.merging import encode_merging, spread
from radvit.models.backbone.names import HUB, near
from radvit.models.backbone.protocol import Grid, Normalisation, State, rotary_patches
from radvit.models.backbone.spec import BackboneSpec
from radvit.models.backbone.windowed import within_windows

LOCAL: Final = "local-dir:"
UNUSED = ("attn_pool.", "fc_norm.", "head.")  # pooling that `encode` does without
UNREACHABLE = (OSError, RuntimeError, ValueError, KeyError)  # what timm and the hub raise where files can't be had


class TimmVit:
    """A Vision Transformer of timm; see the protocol Vit."""

    def __init__(self, vit: Any, spec: BackboneSpec) -> None:
        self.vit: Any = vit
        self.spec = spec
        self.name = spec.name
        self.width = int(vit.num_features)
        self.patch = int(vit.patch_embed.patch_size[0])
        self.prefix = int(vit.num_prefix_tokens)
        self.depth = len(vit.blocks)
        self.rotary = getattr(vit, "rope", None) is not None

    @property
    def blocks(self) -> nn.ModuleList | nn.Sequential:
        """The blocks, in their order."""
        return self.vit.blocks  # type: ignore[no-any-return]

    @property
    def patch_name(self) -> str:
        """Path of the patch embedding's convolution."""
        return "patch_embed.proj"

    @property
    def positions_name(self) -> str | None:
        """Name of the learned positions."""
        return None if self.vit.pos_embed is None else "pos_embed"

    def embed(self, images: Tensor) -> Tensor:
        """Tokens with their positions. Returns (B, prefix + h*w, C)."""
        placed = self.vit._pos_embed(self.vit.patch_embed(images))
        sequence = placed[0] if isinstance(placed, tuple) else placed  # EVA gives its rotary positions, too
        return self.vit.norm_pre(sequence)  # type: ignore[no-any-return]

    def encode(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> Tensor:
        """Blocks and final norm. Returns (B, L, C)."""
        if self.spec.merge_tokens:
            return self._encode_merging(sequence, grid, keep)
        turns = self._rotations(sequence, grid, keep) if self.rotary else None
        for i in range(self.depth):
            sequence = within_windows(self._block(i, turns), sequence, grid, self.prefix, self.spec.window_of(i))
        return self.vit.norm(sequence)  # type: ignore[no-any-return]

    def _encode_merging(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> Tensor:
        def step(i: int, sequence: Tensor, keep: Tensor | None) -> Tensor:
            turns = self._rotations(sequence, grid, keep) if self.rotary else None
            return self._block(i, turns)(sequence)

        share = self.spec.merge_tokens
        sequence, holders = encode_merging(step, self.depth, sequence, self.prefix, share, keep)
        return spread(self.vit.norm(sequence), self.prefix, holders)

    def _block(self, i: int, turns: Tensor | None) -> Callable[[Tensor], Tensor]:
        """A block by its number, ready to be called with its rotary positions."""
        block = self.vit.blocks[i]
        given = {} if turns is None else {"rope": turns[i] if self.vit.rope_mixed else turns}
        return partial(checkpoint, block, **given) if self.vit.grad_checkpointing else partial(block, **given)

    def _rotations(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> Tensor:
        """Rotary positions of the patches that are there: (h*w, D), or (B, 1, L, D) of those kept, a block if mixed."""
        rotary_patches(sequence.shape[1] - self.prefix, grid, keep)
        every: Tensor = self.vit.rope.get_embed(shape=list(grid))
        if keep is None:
            return every
        if self.vit.rope_mixed:
            return every[:, :, keep].transpose(1, 2)  # (blocks, heads, h*w, D) -> (blocks, B, heads, L, D)
        return every[keep].unsqueeze(1)  # (h*w, D) -> (B, 1, L, D)

    def fitted(self, state: State) -> State:
        """The conversion by timm of what was published for its model: names, patch size, positions."""
        fit = fit_eva if isinstance(self.vit, Eva) else fit_vit
        options = {} if fit is fit_eva else {"adapt_layer_scale": True}
        try:
            return dict(fit(dict(state), self.vit, **options))
        except (RuntimeError, AttributeError, KeyError, ValueError) as error:
            raise ConfigError(f"these weights fit no {self.name}: {str(error).splitlines()[0]}") from error

    def published(self, name: str) -> tuple[State, Normalisation | None]:
        """The weights that timm would load, from the hub, its cache or a folder."""
        try:
            source = timm.create_model(source_name(name), pretrained=True, num_classes=0)
        except UNREACHABLE as error:
            raise ConfigError(
                f"no pretrained weights for {name}: this machine can't reach them and has no copy "
                f"({type(error).__name__}); set model.pretrained=false or fill the hub's cache first"
            ) from error
        return source.state_dict(), normalisation(source)

    def expected(self) -> Normalisation | None:
        """What timm's registry says of the name."""
        return normalisation(self.vit)

    def checkpoint(self) -> None:
        """Compute activations again in the backward pass."""
        self.vit.set_grad_checkpointing(True)


def normalisation(vit: Any) -> Normalisation | None:
    """What the published weights of a model expect."""
    config = vit.pretrained_cfg or {}
    if not config.get("mean") or not config.get("std"):
        return None
    return Normalisation(tuple(config["mean"]), tuple(config["std"]))


def source_name(name: str) -> str:
    """A name as timm takes it: of its registry, of the hub, or of a folder."""
    if name.startswith("timm/"):
        return HUB + name
    return LOCAL + name if Path(name).is_dir() else name


def described(spec: BackboneSpec) -> BackboneSpec:
    """A spec that rebuilds its model without the hub: a model of the hub or of a folder in its registry's words."""
    source = source_name(spec.name)
    if spec.config is not None or not source.startswith((HUB, LOCAL)):
        return spec
    try:
        if source.startswith(HUB):
            _, architecture, arguments = load_model_config_from_hf(source.removeprefix(HUB))
        else:
            _, architecture, arguments = load_model_config_from_path(source.removeprefix(LOCAL))
    except UNREACHABLE as error:
        raise ConfigError(f"model.name={spec.name}: no description of it here or on the hub ({error})") from error
    return replace(spec, config={"architecture": architecture, "model_args": dict(arguments or {})})


def build(spec: BackboneSpec) -> tuple[TimmVit, BackboneSpec]:
    """A timm ViT without its classifier, for the spec's size and channels, with random weights; and its full spec.

    Raises ConfigError where the name is no ViT of timm or the arguments don't fit it.
    """
    spec = described(spec)
    name = spec.config["architecture"] if spec.config else spec.name
    check_name(name)
    arguments: dict[str, Any] = {
        **(spec.config["model_args"] if spec.config else {}),
        "img_size": spec.vit_size,
        "in_chans": spec.vit_channels,
        "drop_path_rate": spec.drop_path,
        **spec.overrides(),
        "num_classes": 0,
        "dynamic_img_size": True,
    }
    try:
        vit = timm.create_model(name, pretrained=False, **arguments)
    except TypeError as error:
        raise ConfigError(f"model.name={spec.name} is no Vision Transformer that takes any size: {error}") from error
    except (ValueError, AssertionError, ZeroDivisionError) as error:
        raise ConfigError(f"model.name={spec.name} can't be built with {arguments}: {error}") from error
    if not isinstance(vit, VisionTransformer | Eva):
        raise ConfigError(f"model.name={spec.name} is no Vision Transformer; expected one such as vit_base_patch16_224")
    for path, parameter in vit.named_parameters():
        parameter.requires_grad_(not path.startswith(UNUSED))
    return TimmVit(vit, spec), spec


def check_name(name: str) -> None:
    """Raise ConfigError, with what comes near, where timm has no such model or no such weights of it."""
    bare, _, tag = name.partition(".")
    if not timm.is_model(bare):
        raise ConfigError(f"model.name={name} is no timm model{near(bare, timm.list_models())}")
    tagged = timm.list_pretrained(f"{bare}.*")
    if tag and name not in tagged:
        raise ConfigError(f"model.name={name}: timm has no weights {tag!r} of it{near(name, tagged)}")


def saved(adapter: TimmVit, folder: Path, normalise: Normalisation, wrapped: bool) -> None:
    """Write what `timm.create_model("local-dir:FOLDER", pretrained=True)` reads.

    wrapped: for transformers' TimmWrapperModel, which leaves the classifier out by itself and stumbles where the file
    says so, too.
    """
    data = {"mean": normalise.mean, "std": normalise.std}
    timm.models.save_for_hf(adapter.vit, folder, safe_serialization=True, data_config=data)
    if wrapped:
        record = json.loads((folder / "config.json").read_text())
        del record["model_args"]["num_classes"]
        (folder / "config.json").write_text(json.dumps(record, indent=2) + "\n")
