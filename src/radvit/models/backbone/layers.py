"""How deep in a backbone a parameter lies, by its name in timm or in transformers."""

from __future__ import annotations

import re

BLOCK = re.compile(r"vit\.(?:\w+\.)?(?:blocks|layers?)\.(\d+)\.")  # timm: blocks; transformers: layers, encoder.layer
AFTER = re.compile(r"vit\.(?:norm|fc_norm|layernorm|post_layernorm)\.")

UNDECAYED = (
    "pos_embed",
    "position_embeddings",
    "position_embedding.weight",
    "_token",
    "_tokens",
)
"""Ends of names of embeddings that weight decay should leave alone."""


def layer_of(name: str) -> int | None:
    """Which block a parameter of a backbone belongs to: its index; -1 before the first, None after the last.

    name: as in `Backbone.named_parameters()`, such as "vit.blocks.3.attn.qkv.weight".
    """
    block = BLOCK.match(name)
    if block:
        return int(block.group(1))
    return None if AFTER.match(name) else -1
