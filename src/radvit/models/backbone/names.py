"""Which library a model's name belongs to, and what a mistyped name may have meant."""

from __future__ import annotations

import difflib
import json
from enum import Enum
from pathlib import Path

from radvit.errors import ConfigError

HUB = "hf-hub:"


class Library(Enum):
    """Whose Vision Transformer a name is."""

    TIMM = "timm"
    TRANSFORMERS = "transformers"


def library_of(name: str) -> Library:
    """A folder belongs to whoever saved it; `hf-hub:` and `timm/` are timm's, any other slash is transformers'.

    Raises ConfigError where a folder holds the model of neither.
    """
    folder = Path(name)
    if folder.is_dir():
        return library_of_folder(folder)
    if name.startswith((HUB, "timm/")) or "/" not in name:
        return Library.TIMM
    return Library.TRANSFORMERS


def library_of_folder(folder: Path) -> Library:
    """Whose `save_pretrained` or `save_for_hf` wrote a folder. Raises ConfigError where neither did."""
    try:
        record = json.loads((folder / "config.json").read_text())
        known = {"architecture": Library.TIMM, "model_type": Library.TRANSFORMERS}
        return next(library for key, library in known.items() if key in record)
    except (OSError, ValueError, TypeError, StopIteration) as error:
        raise ConfigError(f"{folder}: no model of timm or transformers; expected its config.json") from error


def near(name: str, names: list[str]) -> str:
    """What a mistyped name may have meant, as the end of a message; empty where nothing is near."""
    found = difflib.get_close_matches(name, [other for other in names if other != name], n=3, cutoff=0.6)
    return f"; did you mean {', '.join(found)}?" if found else ""
