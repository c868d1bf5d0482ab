"""Tokens that are alike merged between blocks, so that later blocks see fewer of them; and spread out again at the end.

Bipartite soft matching with attention in proportion to what a token stands for (Bolya et al. 2023, "Token merging: your
ViT but faster", sections 3 and D), with two differences: tokens merge after a block and not in its middle, so that the
libraries' own blocks stay as they are; and a share of those present merges, not a fixed number, so that one setting
serves any image size. Keys are taken, and sizes handed over, where blocks call PyTorch's attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from radvit.errors import ConfigError

Step = Callable[[int, Tensor, Tensor | None], Tensor]


class Match(NamedTuple):
    """Which tokens merge. Those at even places are A, those at odd places B.

    order: (B, A) int64, all of A, the `r` that go first. partner: (B, r) int64, the place in B each of these goes to.
    """

    order: Tensor
    partner: Tensor


@dataclass(frozen=True, slots=True)
class Present:
    """The patch tokens that are left, n of them.

    sizes: (B, n) float32, how many patches each stands for. places: (B, n) int64, the patch each stands at, as `keep`
    counts them. holders: (B, N) int64, the token that holds each of the N patches that were embedded.
    """

    sizes: Tensor
    places: Tensor
    holders: Tensor

    @staticmethod
    def all_of(patches: Tensor, keep: Tensor | None) -> Present:
        """Before anything has merged. patches: (B, N, C); keep: as for Backbone.encode."""
        own = torch.arange(patches.shape[1], device=patches.device).expand(patches.shape[0], -1)
        ones = torch.ones(patches.shape[:2], dtype=torch.float32, device=patches.device)
        return Present(ones, own if keep is None else keep, own)


def merging_number(tokens: int, share: float) -> int:
    """How many of so many patch tokens merge into others. share: up to a half."""
    return min(int(tokens * share), tokens // 2)


def tokens_by_block(patches: int, share: float, depth: int) -> list[int]:
    """How many patch tokens each block sees."""
    seen = [patches]
    for _ in range(depth - 1):
        seen.append(seen[-1] - merging_number(seen[-1], share))
    return seen


def encode_merging(
    step: Step, depth: int, sequence: Tensor, prefix: int, share: float, keep: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Blocks, with a share of the patch tokens merging after each but the last; the prefix never merges.

    step: runs a block by its number on (B, L, C); it is told which patch each token stands at, None for all in their
    order or for `keep` as it was. sequence: (B, prefix + N, C). Returns (B, prefix + n, C), and the token that holds
    each of the N patches, (B, N) int64. Raises ConfigError where a block's attention can't be seen.
    """
    present = Present.all_of(sequence[:, prefix:], keep)
    places = keep
    for i in range(depth):
        bias = None if present.sizes.shape[1] == present.holders.shape[1] else log_sizes(present.sizes, prefix)
        with Watch(bias) as watch:
            sequence = step(i, sequence, places)
        number = merging_number(sequence.shape[1] - prefix, share)
        if number and i < depth - 1:
            match = matched(watch.keys()[:, prefix:], number)
            sequence, present = merged(sequence, prefix, present, match)
            places = present.places
    return sequence, present.holders


def spread(sequence: Tensor, prefix: int, holders: Tensor) -> Tensor:
    """Every patch given its token. sequence: (B, prefix + n, C); holders: (B, N). Returns (B, prefix + N, C)."""
    return torch.cat([sequence[:, :prefix], taken(sequence[:, prefix:], holders)], 1)


class Watch(TorchFunctionMode):
    """Keeps the keys of the one attention that runs inside it, and adds a bias to its products.

    bias: (B, L) float32, one a key, None for none.
    """

    def __init__(self, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = bias
        self.seen: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Look at fused attention alone."""
        given = dict(kwargs or {})
        return self._attend(*args, **given) if func is F.scaled_dot_product_attention else func(*args, **given)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *rest: Any, **given: Any
    ) -> Tensor:
        self.seen.append(key.detach())
        if self.bias is not None:
            own = self.bias[:, None, None].to(query.dtype)  # (B, 1, 1, L)
            attn_mask = own if attn_mask is None else attn_mask + own
        return F.scaled_dot_product_attention(query, key, value, attn_mask, *rest, **given)

    def keys(self) -> Tensor:
        """The mean of the heads' keys, (B, L, D). Raises ConfigError where not just one attention was seen."""
        if len(self.seen) != 1:
            raise ConfigError(
                f"model.merge_tokens with blocks that call fused attention {len(self.seen)} times; expected once"
            )
        return self.seen[0].mean(1)


def log_sizes(sizes: Tensor, prefix: int) -> Tensor:
    """What a key's product gains by the patches it stands for: their logarithm. Returns (B, prefix + n)."""
    return F.pad(sizes.log(), (prefix, 0))


def matched(keys: Tensor, number: int) -> Match:
    """The most alike pairs of a token of A and one of B, by the cosine of their keys. keys: (B, n, D), n >= 2."""
    direction = F.normalize(keys.float(), dim=-1)
    alike = direction[:, ::2] @ direction[:, 1::2].transpose(1, 2)  # (B, A, B)
    best, partner = alike.max(-1)
    order = best.argsort(dim=1, descending=True)
    return Match(order, partner.gather(1, order[:, :number]))


def merged(sequence: Tensor, prefix: int, present: Present, match: Match) -> tuple[Tensor, Present]:
    """Tokens after merging: what is left of A, then B, each the mean of the patches it stands for.

    sequence: (B, prefix + n, C). Returns (B, prefix + n - r, C).
    """
    number, patches = match.partner.shape[1], sequence[:, prefix:]
    staying, going = match.order[:, number:], match.order[:, :number]
    sizes = present.sizes[:, :, None].to(patches.dtype)
    size_a, size_b, a, b = sizes[:, ::2], sizes[:, 1::2], patches[:, ::2], patches[:, 1::2]
    gathered = taken(size_a, going)
    into = (match.partner[:, None] == torch.arange(b.shape[1], device=b.device)[:, None]).to(b.dtype)  # (B, B, r)
    size_b_after = size_b + into @ gathered
    b = (b * size_b + into @ (taken(a, going) * gathered)) / size_b_after
    left = torch.cat([sequence[:, :prefix], taken(a, staying), b], 1)
    sizes = torch.cat([taken(size_a, staying), size_b_after], 1)[:, :, 0].float()
    places = torch.cat([present.places[:, ::2].gather(1, staying), present.places[:, 1::2]], 1)
    return left, Present(sizes, places, moved(match, b.shape[1]).gather(1, present.holders))


def moved(match: Match, of_b: int) -> Tensor:
    """Where each token is after merging, (B, A + of_b) int64. of_b: how many are in B."""
    batch, of_a = match.order.shape
    number = match.partner.shape[1]
    staying = torch.arange(of_a - number, device=match.order.device).expand(batch, -1)
    new_a = torch.zeros_like(match.order).scatter(
        1, match.order, torch.cat([match.partner + (of_a - number), staying], 1)
    )
    new_b = torch.arange(of_a - number, of_a - number + of_b, device=match.order.device).expand(batch, -1)
    paired = torch.stack([new_a[:, :of_b], new_b], 2).flatten(1)  # A and B in turn again
    return torch.cat([paired, new_a[:, of_b:]], 1)


def taken(tokens: Tensor, index: Tensor) -> Tensor:
    """Some tokens of each image. tokens: (B, n, C); index: (B, m) int64. Returns (B, m, C)."""
    first = torch.arange(tokens.shape[0], device=tokens.device)[:, None] * tokens.shape[1]
    rows = tokens.flatten(0, 1).index_select(0, (index + first).flatten())  # whole rows: faster than gather's elements
    return rows.reshape(*index.shape, tokens.shape[2])
