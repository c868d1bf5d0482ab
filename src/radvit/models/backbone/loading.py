"""Weights from elsewhere brought to a backbone: its size, its channels, and the normalisation of its own run.

Published weights see colour images normalised with a mean and a deviation of each channel; a run gives grey values g
normalised with its own, x = (g - m) / s. With g in each channel c the patch embedding of the published model gives
sum_c W_c * (g - m_c) / s_c + b = x * (s sum_c W_c / s_c) + b + sum_c (m - m_c) / s_c sum_pixels W_c: another kernel and
another bias, exactly, since patches are cut without padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from radvit.errors import ConfigError
from radvit.models.backbone.protocol import Normalisation, State, Vit
from radvit.models.backbone.spec import BackboneSpec

ENOUGH = 0.95  # part of a backbone's weights, by number, that must be found
LISTED = 3  # names that a message spells out


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights and where they come from.

    state: tensors under the names of the library; those of a stem begin with `stem.`. normalise: what they expect, None
    where that is not known, so that they are taken to expect what the run gives.
    """

    where: str
    state: State
    normalise: Normalisation | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of weights. missing: the backbone's tensors that were not among them; left_out: those unused."""

    where: str
    taken: int
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"weights from {self.where}: {self.taken} tensors", *self.changes]
        parts += [f"{what} {listed(names)}" for what, names in self._rest() if names]
        return ", ".join(parts)

    def _rest(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("left out", self.left_out), ("random still", self.missing)


def listed(names: tuple[str, ...]) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return " ".join(names[:LISTED]) + more


def load(
    target: nn.Module, adapter: Vit, spec: BackboneSpec, weights: Weights, normalise: Normalisation | None
) -> Loaded:
    """Give a backbone (with `vit` and `stem` in it) the weights, adapted. normalise: of the run, None for theirs.

    Raises ConfigError where too little of the backbone is among them.
    """
    stem = {name: value for name, value in weights.state.items() if name.startswith("stem.")}
    given = {name: value for name, value in weights.state.items() if name not in stem}
    state = adapter.fitted(given)
    changes = [] if state.keys() <= given.keys() else ["names converted"]
    changes += resized(given, state, adapter)
    if spec.stem:
        refuse_other_input(weights, normalise)
    else:
        patches = (spec.vit_size // adapter.patch) ** 2
        source = None if weights.normalise == normalise else weights.normalise
        changes += fold(state, adapter, Input(spec.channels, patches), source, normalise)
    named = {**stem, **{f"vit.{name}": value for name, value in state.items()}}
    return put(target, named, weights.where, tuple(changes))


def resized(before: State, after: State, adapter: Vit) -> list[str]:
    """What became of the shapes of patches and positions, in words."""
    names = (("patches", f"{adapter.patch_name}.weight"), ("positions", adapter.positions_name or ""))
    pairs = [(what, before[name].shape, after[name].shape) for what, name in names if name in before and name in after]
    return [
        f"{what} resampled from {'x'.join(map(str, old))} to {'x'.join(map(str, new))}"
        for what, old, new in pairs
        if old != new
    ]


def refuse_other_input(weights: Weights, normalise: Normalisation | None) -> None:
    """A stem pads with zeros, so that another normalisation can't be folded into it."""
    if not any(name.startswith("stem.") for name in weights.state):
        raise ConfigError(f"{weights.where} with model.stem: these weights have no such stem; set model.stem=[]")
    theirs = weights.normalise
    if theirs and normalise and theirs != normalise:
        raise ConfigError(
            f"{weights.where}: a model with a stem, trained with data.mean={theirs.mean[0]:g} "
            f"data.std={theirs.std[0]:g}; set the same"
        )


class Input(NamedTuple):
    """Channels of the images to come, and the number of patches of one."""

    channels: int
    patches: int


def fold(
    state: State, adapter: Vit, images: Input, source: Normalisation | None, run: Normalisation | None
) -> list[str]:
    """Rewrite the patch embedding in `state` for the run's channels and normalisation. Returns what was changed.

    Raises ConfigError where the offset has nowhere to go: no bias and no learned positions.
    """
    weight = state.get(f"{adapter.patch_name}.weight")
    if weight is None or weight.ndim != 4:
        return []
    before = weight.shape[1]
    kernel, offset = folded(weight, images.channels, source, run)
    state[f"{adapter.patch_name}.weight"] = kernel
    same = before == images.channels
    changes = [] if same else [f"patch embedding from {before} to {images.channels} channels"]
    if offset is None:
        return changes
    bias, table = f"{adapter.patch_name}.bias", adapter.positions_name
    if bias in state:
        state[bias] = (state[bias].double() + offset).to(state[bias].dtype)
    elif table in state and table is not None:
        state[table] = shifted(state[table], offset, images.patches)
    else:
        raise ConfigError(
            "these weights have no bias to hold another normalisation; set data.mean and data.std to theirs"
        )
    return [*changes, "normalisation folded in"]


def folded(
    weight: Tensor, channels: int, source: Normalisation | None, run: Normalisation | None
) -> tuple[Tensor, Tensor | None]:
    """The kernel for inputs of `channels` that the run normalises, and what is added to the bias, None for nothing.

    weight: (C, I, p, p). Where the channels differ in number, each gets an equal share of the sum, so that a grey image
    in all of them gives what it gave in the I channels. Returns (C, channels, p, p) and (C,) float64.
    """
    kernel, offset = weight.double(), None
    if source is not None and run is not None:
        mean, std = (torch.tensor(value, dtype=torch.float64).expand(weight.shape[1]) for value in source)
        own_mean, own_std = (value[0] for value in run)
        offset = torch.einsum("oihw,i->o", kernel, (own_mean - mean) / std)
        kernel = kernel * (own_std / std)[:, None, None]
    if channels != weight.shape[1]:
        kernel = kernel.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels
    return kernel.to(weight.dtype).contiguous(), offset


def shifted(table: Tensor, offset: Tensor, patches: int) -> Tensor:
    """Learned positions with an offset on those of the patches, which are the last. table: (..., L, C)."""
    moved = table.double()
    moved[..., -patches:, :] += offset
    return moved.to(table.dtype)


def put(target: nn.Module, state: Mapping[str, Tensor], where: str, changes: tuple[str, ...]) -> Loaded:
    """Load what fits. Raises ConfigError where that is less than 95 % of what the backbone uses."""
    own = target.state_dict()
    fits = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    used = {name: p.numel() for name, p in target.named_parameters() if p.requires_grad}
    missing = tuple(name for name in used if name not in fits)
    if sum(used[name] for name in missing) > (1 - ENOUGH) * sum(used.values()):
        odd = next((name for name in missing if name in state), missing[0])
        found = tuple(state[odd].shape) if odd in state else "not there"
        raise ConfigError(
            f"{where} fits another model: {len(missing)} of {len(used)} weights can't be taken from it, "
            f"such as {odd}: {found}, expected {tuple(own[odd].shape)}"
        )
    target.load_state_dict(fits, strict=False)
    left_out = tuple(sorted(name.removeprefix("vit.") for name in state if name not in fits))
    return Loaded(where, len(fits), missing, left_out, changes)
