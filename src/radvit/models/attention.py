"""The attention of every block of a model, recorded while it runs, whichever library the blocks come from.

No block is changed: PyTorch itself hands over each call of attention or softmax that the libraries make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from radvit.errors import ConfigError
from radvit.models.vit import RadiographViT

SOFTMAX: Final = (torch.softmax, Tensor.softmax, F.softmax)  # what blocks without fused attention call


class Recorded(NamedTuple):
    """What a classifier said and how it attended.

    logits: (B, K). attention: one (B, heads, L, L) a block, rows of queries that sum to 1, still on the way to the
    logits where gradients were asked for. prefix: class and register tokens among the L. grid: rows and columns of the
    other tokens, which are the patches row by row.
    """

    logits: Tensor
    attention: tuple[Tensor, ...]
    prefix: int
    grid: tuple[int, int]


class Recorder(TorchFunctionMode):
    """Keeps the attention of all that runs inside it. differentiable: so that gradients reach what is kept.

    Fused attention never forms its weights, so it is computed here in two steps; what a block computes by itself is
    taken at its softmax.
    """

    def __init__(self, differentiable: bool) -> None:
        super().__init__()
        self.differentiable = differentiable
        self.kept: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Stand in for fused attention, and look at what each softmax gives."""
        given = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return self._attend(*args, **given)
        result = func(*args, **given)
        return self._keep(result) if func in SOFTMAX and _is_attention(result) else result

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if dropout_p or is_causal or enable_gqa:
            raise ConfigError("attention with dropout, a causal mask or shared keys; expected that of an image at rest")
        products = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None:
            hidden = attn_mask.dtype == torch.bool
            products = products.masked_fill(~attn_mask, -torch.inf) if hidden else products + attn_mask
        return self._keep(products.softmax(-1)) @ value

    def _keep(self, weights: Tensor) -> Tensor:
        if self.differentiable and not weights.requires_grad:
            weights.requires_grad_()
        self.kept.append(weights)
        return weights


def record(model: RadiographViT, images: Tensor, differentiable: bool) -> Recorded:
    """Run a classifier and keep its attention. images: (B, 1, H, W), normalised, on the model's device.

    Raises ConfigError where the model is no classifier, or where its attention can't be seen: not one map a block.
    """
    backbone = model.backbone
    if backbone.spec.merge_tokens:
        raise ConfigError(
            f"a model with model.merge_tokens={backbone.spec.merge_tokens}: its blocks don't see every patch, so that "
            "where it looked can't be shown; expected merge_tokens=0"
        )
    recorder = Recorder(differentiable)
    with torch.set_grad_enabled(differentiable), recorder:
        outputs = model(images)
    if "logits" not in outputs:
        raise ConfigError(f"a model that gives {', '.join(outputs)}; expected a classifier, which gives logits")
    grid = (images.shape[2] // backbone.stride, images.shape[3] // backbone.stride)
    tokens = backbone.prefix + grid[0] * grid[1]
    shapes = [tuple(weights.shape[-2:]) for weights in recorder.kept]
    if shapes != [(tokens, tokens)] * backbone.depth:
        raise ConfigError(
            f"{backbone.spec.name}: saw {len(shapes)} attention maps of sizes {sorted(set(shapes))}; expected "
            f"{backbone.depth} of {tokens} x {tokens}, one a block, so this model's attention can't be shown"
        )
    return Recorded(outputs["logits"], tuple(recorder.kept), backbone.prefix, grid)


def _is_attention(result: Any) -> bool:
    """Whether a softmax gave weights of tokens on tokens: (B, heads, L, L)."""
    return isinstance(result, Tensor) and result.ndim == 4 and result.shape[-1] == result.shape[-2]
