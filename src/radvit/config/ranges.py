"""Numbers that lie outside of what they may be, all told at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from radvit.errors import ConfigError

INF = math.inf


def check_ranges(group: str, values: Mapping[str, Any], **ranges: tuple[float, float]) -> None:
    """Raise ConfigError, naming every one, where a number lies outside its range; None and absent ones pass.

    ranges: (lowest, highest) by name, both allowed; a lowest or highest of type int asks for a whole number.
    """
    problems = []
    for name, (low, high) in ranges.items():
        value = values.get(name)
        whole = isinstance(low, int)
        if value is None or (isinstance(value, int | (int if whole else float)) and low <= value <= high):
            continue
        kind = "a whole number" if whole else "a number"
        bounds = f"of at least {low:g}" if high == INF else f"from {low:g} to {high:g}"
        problems.append(f"{group}.{name}={value}; expected {kind} {bounds}".removeprefix("."))
    if problems:
        raise ConfigError(" and ".join(problems))
