"""transformers' Vision Transformers behind the protocol: ViT, MAE, DINOv2 with or without registers, DINOv3, SigLIP."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import torch
from timm.layers import resample_patch_embed
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.image_processing_base import ImageProcessingMixin
from transformers.utils import logging

from radvit.errors import ConfigError
from radvit.models.backbone.families import FAMILIES, KNOWN, Family
from radvit.models.backbone.merging import encode_merging, spread
from radvit.models.backbone.names import near
from radvit.models.backbone.protocol import Grid, Normalisation, State, rotary_patches
from radvit.models.backbone.spec import BackboneSpec
from radvit.models.backbone.windowed import within_windows

WORDS: Final = {
    "patch_size": "patch_size",
    "embed_dim": "hidden_size",
    "depth": "num_hidden_layers",
    "num_heads": "num_attention_heads",
}
INCIDENTAL = ("transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id", "_name_or_path")
DERIVED = ("stage_names", "out_features", "out_indices", "_out_features", "_out_indices")  # follow from the depth
UNUSED = re.compile(r"mask_token|^pooler\.|^head\.")  # `encode` does without them


class TransformersVit:
    """A Vision Transformer of transformers; see the protocol Vit."""

    def __init__(self, vit: Any, family: Family, spec: BackboneSpec) -> None:
        config = vit.config
        self.vit: Any = vit
        self.family = family
        self.spec = spec
        self.name = spec.name
        self.width = int(config.hidden_size)
        self.patch = side(config.patch_size)
        self.prefix = family.prefix + int(getattr(config, "num_register_tokens", 0))
        self.depth = int(config.num_hidden_layers)
        self.rotary = family.positions is None
        takes = inspect.signature(type(self.blocks[0]).forward).parameters
        self.unmasked = {"attention_mask": None} if "attention_mask" in takes else {}  # DINOv2's of 5.17 have none

    @property
    def blocks(self) -> nn.ModuleList | nn.Sequential:
        """The blocks, in their order."""
        return self.vit.get_submodule(self.family.blocks)  # type: ignore[no-any-return]

    @property
    def patch_name(self) -> str:
        """Path of the patch embedding's convolution."""
        return self.family.patch

    @property
    def positions_name(self) -> str | None:
        """Name of the learned positions."""
        return self.family.positions

    def embed(self, images: Tensor) -> Tensor:
        """Tokens with their positions. Returns (B, prefix + h*w, C)."""
        embeddings = self.vit.embeddings
        model_type = self.vit.config.model_type
        if model_type == "vit_mae":  # its own forward hides patches
            return self._embed_mae(images)
        if model_type in ("vit", "siglip_vision_model"):
            return embeddings(images, interpolate_pos_encoding=True)  # type: ignore[no-any-return]
        return embeddings(images)  # type: ignore[no-any-return]

    def _embed_mae(self, images: Tensor) -> Tensor:
        embeddings = self.vit.embeddings
        patches = embeddings.patch_embeddings(images)
        sequence = torch.cat([embeddings.cls_token.expand(len(patches), -1, -1), patches], 1)
        table = embeddings.position_embeddings
        if table.shape[1] != sequence.shape[1] or images.shape[2] != images.shape[3]:
            table = embeddings.interpolate_pos_encoding(patches, *images.shape[2:])
        return sequence + table  # type: ignore[no-any-return]

    def encode(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> Tensor:
        """Blocks and final norm. Returns (B, L, C)."""
        norm = self.vit.get_submodule(self.family.norm)
        if self.spec.merge_tokens:

            def step(i: int, sequence: Tensor, keep: Tensor | None) -> Tensor:
                return self._block(i, self._positions(sequence, grid, keep))(sequence)

            share = self.spec.merge_tokens
            sequence, holders = encode_merging(step, self.depth, sequence, self.prefix, share, keep)
            return spread(norm(sequence), self.prefix, holders)
        given = self._positions(sequence, grid, keep)
        for i in range(self.depth):
            run = self._block(i, given)
            sequence = within_windows(run, sequence, grid, self.prefix, self.spec.window_of(i))
        return norm(sequence)  # type: ignore[no-any-return]

    def _block(self, i: int, given: dict[str, Any]) -> Callable[[Tensor], Tensor]:
        """A block by its number, ready to be called with its rotary positions."""
        return partial(self.blocks[i], **self.unmasked, **given)

    def _positions(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> dict[str, Any]:
        """What blocks of a model with rotary positions are given with each sequence."""
        return {"position_embeddings": self._rotations(sequence, grid, keep)} if self.rotary else {}

    def _rotations(self, sequence: Tensor, grid: Grid, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the patches that are there: (h*w, D) each, or (B, 1, L, D) of those kept."""
        rotary_patches(sequence.shape[1] - self.prefix, grid, keep)
        shape = (1, 0, grid[0] * self.patch, grid[1] * self.patch)  # only the shape is looked at
        cos, sin = self.vit.rope_embeddings(sequence.new_empty(shape))
        return (cos, sin) if keep is None else (cos[keep].unsqueeze(1), sin[keep].unsqueeze(1))

    def fitted(self, state: State) -> State:
        """Names in files of earlier versions converted; patches resampled, and positions by transformers' own rule."""
        own = {name for name, _ in self.vit.named_parameters() if not UNUSED.search(name)}
        state = dict(state) if own <= state.keys() else self._renamed(state)
        weight, table = f"{self.patch_name}.weight", self.positions_name
        if weight not in state:
            return state
        source = side(tuple(state[weight].shape[2:]))
        if source != self.patch:
            state[weight] = resample_patch_embed(state[weight], [self.patch, self.patch])
        if table is not None and table in state:
            state[table] = self._resampled(state[table], source)
        return state

    def _resampled(self, table: Tensor, patch: int) -> Tensor:
        """Positions for this model's grid. table: (1, prefix + n*n, C), or (n*n, C). patch: side in the source."""
        assert self.positions_name is not None
        wanted = self.vit.get_parameter(self.positions_name)
        if wanted.shape == table.shape:
            return table
        rows = side(self.vit.config.image_size) // self.patch
        source = with_geometry(self.vit.config, (table.shape[-2] - self.family.prefix), patch)
        embeddings = type(self.vit.embeddings)(source)
        place = self.positions_name.removeprefix("embeddings.")
        embeddings.load_state_dict({place: table.float()}, strict=False)
        tokens = table.new_zeros(1, rows * rows + self.family.prefix, table.shape[-1])
        with torch.no_grad():
            resampled = embeddings.interpolate_pos_encoding(tokens, rows * patch, rows * patch)
        return resampled.reshape(wanted.shape)  # type: ignore[no-any-return]

    def _renamed(self, state: State) -> State:
        """A state under the names that this version of transformers uses, by its own conversion; the rest as it is."""
        end = f"{self.patch_name}.weight"
        before = next((name.removesuffix(end) for name in state if name.endswith(end)), None)
        if before is None:
            return dict(state)
        weight, table = state[before + end], state.get(f"{before}{self.positions_name}")
        patch = side(tuple(weight.shape[2:]))
        known = (side(self.vit.config.image_size) // patch) ** 2
        count = known if table is None else table.shape[-2] - self.family.prefix
        config = with_geometry(self.vit.config, count, patch, channels=weight.shape[1])
        source, found = loaded(self.family, None, config, state_dict=dict(state), ignore_mismatched_sizes=True)
        absent = {*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}
        taken = {name: value for name, value in source.state_dict().items() if name not in absent}
        return {**{name: state[name] for name in found["unexpected_keys"] if name in state}, **taken}

    def published(self, name: str) -> tuple[State, Normalisation | None]:
        """The weights that transformers would load, from the hub, its cache or a folder."""
        config = described(name)
        if family_of(config, name) is not self.family:
            raise ConfigError(
                f"{name} is a {config.model_type}; expected a {self.vit.config.model_type}, as {self.name} is"
            )
        return load_published(name, config, self.family)

    def expected(self) -> Normalisation | None:
        """What the preprocessor_config.json of the name says."""
        return normalisation(self.name)

    def checkpoint(self) -> None:
        """Compute activations again in the backward pass."""
        kwargs = {"use_reentrant": False}
        if hasattr(self.vit, "activation_checkpointing_enable"):
            self.vit.activation_checkpointing_enable(activation_checkpointing_kwargs=kwargs)
        else:  # 5.17's name for it
            self.vit.gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)


def side(size: Any) -> int:
    """The side of a square that a configuration gives as one number or as two. Raises ConfigError where they differ."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ConfigError(f"patches or images of {tuple(size)} px; expected squares")
    return int(sides.pop())


def with_geometry(config: Any, patches: int, patch: int, channels: int | None = None) -> Any:
    """A configuration for a source of so many patches of such a size."""
    rows = round(patches**0.5)
    changed: dict[str, Any] = {**plain(config), "image_size": rows * patch, "patch_size": patch}
    return AutoConfig.for_model(**{**changed, **({} if channels is None else {"num_channels": channels})})


def plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON takes it, without what says nothing of the architecture."""
    record = json.loads(json.dumps(config.to_diff_dict()))
    return {key: value for key, value in record.items() if key not in (*INCIDENTAL, *DERIVED)}


def family_of(config: Any, name: str) -> Family:
    """Raises ConfigError where radvit knows no such family."""
    if config.model_type not in FAMILIES:
        raise ConfigError(f"model.name={name} is a {config.model_type}; expected one of {', '.join(FAMILIES)}")
    return FAMILIES[config.model_type]


def described(name: str) -> Any:
    """The configuration of a model on the hub, in its cache or in a folder; of SigLIP's the half that sees.

    Raises ConfigError, with what comes near, where there is none.
    """
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"model.name={name}: transformers finds no config.json of it, neither here nor on the hub"
            f"{'; fill its cache first' if name in KNOWN else near(name, list(KNOWN))}"
        ) from error
    vision = getattr(config, "vision_config", None)
    return config if vision is None else vision


def full_config(spec: BackboneSpec, pretrained: bool) -> Any:
    """The configuration of a spec's model: its name's, with what the spec changes."""
    if spec.config is not None:
        config = AutoConfig.for_model(**spec.config)
    elif spec.name in KNOWN and not pretrained:
        config = AutoConfig.for_model(**KNOWN[spec.name])
    else:
        config = described(spec.name)
    changed: dict[str, Any] = {WORDS[key]: value for key, value in spec.overrides().items()}
    if "hidden_size" in changed and hasattr(config, "intermediate_size"):
        changed["intermediate_size"] = changed["hidden_size"] * config.intermediate_size // config.hidden_size
    if spec.drop_path and not hasattr(config, "drop_path_rate"):
        raise ConfigError(f"model.drop_path={spec.drop_path}: {spec.name} has none; expected 0")
    if hasattr(config, "drop_path_rate"):
        changed["drop_path_rate"] = spec.drop_path
    pinned = family_of(config, spec.name).pinned
    size = {"image_size": spec.vit_size, "num_channels": spec.vit_channels}
    return AutoConfig.for_model(**{**plain(config), **changed, **size, **pinned})


def build(spec: BackboneSpec, pretrained: bool) -> tuple[TransformersVit, BackboneSpec]:
    """A ViT of transformers for the spec's size and channels, with random weights; and its spec with the configuration.

    pretrained: whether the hub's weights will be asked for, so that its own description counts. Raises ConfigError
    where the name is unknown here and on the hub, or the arguments don't fit it.
    """
    config = full_config(spec, pretrained)
    family = family_of(config, spec.name)
    try:
        vit = family.model(config, **family.options)
    except (ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ConfigError(f"model.name={spec.name} can't be built: {str(error).splitlines()[0]}") from error
    for name, parameter in vit.named_parameters():
        if UNUSED.search(name):
            parameter.requires_grad_(False)
    return TransformersVit(vit, family, spec), replace(spec, config=plain(vit.config))


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' own report of what it loads, and without its bars where no person looks."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if not sys.stderr.isatty():
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def loaded(family: Family, name: str | None, config: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A model as transformers loads it, of a name, a folder or a `state_dict`; and what it missed or did not use."""
    with quiet():
        return cast(
            "tuple[Any, dict[str, Any]]",
            family.model.from_pretrained(
                name, config=config, dtype=torch.float32, output_loading_info=True, **family.options, **options
            ),
        )


def load_published(name: str, config: Any, family: Family) -> tuple[State, Normalisation | None]:
    """Weights of a name or a folder as transformers loads them, at their own size, and the normalisation they expect.

    Raises ConfigError where they can't be had, or where the files hold no such model.
    """
    for key, value in family.pinned.items():
        setattr(config, key, value)
    try:
        source, found = loaded(family, name, config)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"no pretrained weights for {name}: this machine can't reach them and has no copy "
            f"({type(error).__name__}); set model.pretrained=false or fill the hub's cache first"
        ) from error
    absent = sorted(key for key in found["missing_keys"] if not UNUSED.search(key))
    if absent:
        raise ConfigError(f"{name}: {len(absent)} weights of a {config.model_type} are not in it, such as {absent[0]}")
    return dict(source.state_dict()), normalisation(name)


def normalisation(name: str) -> Normalisation | None:
    """What the model's preprocessor_config.json says, for grey values in [0, 1]; None where there is no such file."""
    try:
        record, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except (OSError, ValueError):
        return None
    unit = record.get("rescale_factor", 1 / 255) * 255 if record.get("do_rescale", True) else 255.0
    mean, std = record.get("image_mean"), record.get("image_std")
    if not record.get("do_normalize", True) or mean is None or std is None:
        mean, std = [0.0], [1.0]
    values = [list(v) if isinstance(v, list | tuple) else [v] for v in (mean, std)]
    return Normalisation(*(tuple(float(x) / unit for x in v) for v in values))


def saved(vit: Any, folder: Path, normalise: Normalisation) -> None:
    """Write what transformers' `from_pretrained` reads, with the preprocessing the weights expect."""
    with quiet():
        vit.save_pretrained(folder)
    size = side(vit.config.image_size)
    record = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(normalise.mean),
        "image_std": list(normalise.std),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(record, indent=2) + "\n")
