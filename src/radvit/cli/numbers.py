"""The numbers that the measuring commands write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radvit.errors import ConfigError


def check_json(path: Path | None) -> None:
    """ConfigError, before anything is measured, where the numbers couldn't be written."""
    if path and not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder; expected one to write the numbers into")


def finish(machine: dict[str, str | int], numbers: dict[str, Any], path: Path | None) -> None:
    """Print what it was measured on, and write the numbers where that was asked for."""
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    if path:
        path.write_text(json.dumps(numbers, indent=2) + "\n")
