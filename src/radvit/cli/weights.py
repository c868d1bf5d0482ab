"""`radvit weights ...`: a trained backbone as other libraries load it, and a trained model that merges tokens."""

from __future__ import annotations

import argparse
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.plural import counted

FORMS = ("timm", "transformers", "safetensors")


def add(commands: Commands) -> None:
    """The command line."""
    weights = commands.add_parser("weights", help="a trained backbone for other libraries, or with tokens merged")
    kinds = weights.add_subparsers(title="what is done", required=True, metavar="WHAT")
    words = "write the backbone of a run for timm, for transformers, or as one file"
    one = kinds.add_parser("export", help=words, description=f"{words.capitalize()}: docs/models.md.")
    one.add_argument("trained", type=Path, metavar="RUN", help="a run folder or a bundle")
    one.add_argument("out", type=Path, metavar="OUT", help="a new folder; with safetensors, a file")
    one.add_argument("--format", choices=FORMS, default="safetensors", help="who is to load it (safetensors: anyone)")
    one.set_defaults(run=export)
    words = "copy a run as one whose model merges tokens, with thresholds chosen anew"
    two = kinds.add_parser("merge-tokens", help=words, description=f"{words.capitalize()}: docs/tokens.md.")
    two.add_argument("trained", type=Path, metavar="RUN", help="a run folder, its data where they lay in training")
    two.add_argument("out", type=Path, metavar="OUT", help="a new run folder")
    two.add_argument("--share", type=float, required=True, help="of the tokens that merges after each block, to 0.5")
    two.set_defaults(run=merge_tokens)


def export(arguments: argparse.Namespace) -> None:
    """Write the backbone, and say how it is loaded."""
    from radvit.assemble.weights import trained_backbone
    from radvit.models.backbone.saving import Form, save_backbone

    backbone, normalise = trained_backbone(arguments.trained)
    save_backbone(backbone, arguments.out, Form(arguments.format), normalise)
    channels = counted(backbone.spec.channels, "channel")
    print(f"wrote {arguments.out}: {backbone.spec.name}, {backbone.spec.image_size} px, {channels}")
    print(f"it expects grey values in [0, 1] less {normalise.mean[0]:g}, divided by {normalise.std[0]:g}")


def merge_tokens(arguments: argparse.Namespace) -> None:
    """Write the run, and say how many tokens are left."""
    from radvit.models.backbone.merging import tokens_by_block
    from radvit.run.merging import save_merging

    bundle = save_merging(arguments.trained, arguments.out, arguments.share)
    backbone = bundle.model().backbone
    seen = tokens_by_block((backbone.spec.image_size // backbone.stride) ** 2, arguments.share, backbone.depth)
    print(f"wrote {arguments.out}: its blocks see {', '.join(map(str, seen))} of {seen[0]} patches")
