"""`radvit weights ...`: a trained backbone as other libraries load it."""

from __future__ import annotations

import argparse
from pathlib import Path

from radvit.cli.commands import Commands
from radvit.plural import counted

FORMS = ("timm", "transformers", "safetensors")


def add(commands: Commands) -> None:
    """The command line."""
    weights = commands.add_parser("weights", help="a trained backbone as other libraries load it")
    kinds = weights.add_subparsers(title="what is done", required=True, metavar="WHAT")
    words = "write the backbone of a run for timm, for transformers, or as one file"
    one = kinds.add_parser("export", help=words, description=f"{words.capitalize()}: docs/models.md.")
    one.add_argument("trained", type=Path, metavar="RUN", help="a run folder or a bundle")
    one.add_argument("out", type=Path, metavar="OUT", help="a new folder; with safetensors, a file")
    one.add_argument("--format", choices=FORMS, default="safetensors", help="who is to load it (safetensors: anyone)")
    one.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> None:
    """Write the backbone, and say how it is loaded."""
    from radvit.assemble.weights import trained_backbone
    from radvit.models.backbone.saving import Form, save_backbone

    backbone, normalise = trained_backbone(arguments.trained)
    save_backbone(backbone, arguments.out, Form(arguments.format), normalise)
    channels = counted(backbone.spec.channels, "channel")
    print(f"wrote {arguments.out}: {backbone.spec.name}, {backbone.spec.image_size} px, {channels}")
    print(f"it expects grey values in [0, 1] less {normalise.mean[0]:g}, divided by {normalise.std[0]:g}")
