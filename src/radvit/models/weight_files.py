"""Weights of a backbone in a file that anyone may have written: safetensors, or PyTorch's, of tensors alone."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from radvit.errors import ConfigError
from radvit.models.backbone.protocol import State

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar", ".ckpt")
WRAPPERS = ("state_dict", "model_state_dict", "model_ema", "model", "module", "teacher")
PREFIXES = ("module.", "backbone.", "vit.")  # of DataParallel, of radvit's models, of radvit's backbones


def read_weights(path: Path) -> State:
    """Tensors of a backbone by the names its library gives them; those of a stem begin with `stem.`.

    Nothing but tensors is unpickled. Raises ConfigError where the file holds anything else.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"model.weights={path}; expected a run, a folder of a model, or a file {' '.join(SUFFIXES)}")
    try:
        read = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"model.weights={path}: no file of tensors alone: {why}") from error
    state = stripped(unwrapped(read))
    if not state:
        raise ConfigError(f"model.weights={path}: holds no tensors by name")
    return state


def unwrapped(read: Any) -> State:
    """The tensors by name in what a training script saved, however deep it put them."""
    while isinstance(read, Mapping):
        inner = next((read[key] for key in WRAPPERS if isinstance(read.get(key), Mapping)), None)
        if inner is None:
            return {name: value for name, value in read.items() if isinstance(value, Tensor)}
        read = inner
    return {}


def stripped(state: State) -> State:
    """Without what stands before a backbone's own names; where some stand under a prefix, the others are left out."""
    for prefix in PREFIXES:
        under = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        stem = {name: value for name, value in state.items() if name.startswith("stem.")}
        state = {**under, **stem} if under else state
    return state
