"""The standard's tables as data: what the Basic Profile does with each attribute, and which attributes objects need.

`actions.json`: PS3.15 Table E.1-1, tag to action. `types.json`: the types of those attributes by SOP class and by the
sequence they stand in. `build` makes both from packages that track the standard; a test holds them to it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OVERLAYS, CURVES = range(0x6000, 0x6100), range(0x5000, 0x5100)


@cache
def edition() -> str:
    """The edition of the standard that the actions are from, such as 2026c."""
    return str(_read("actions.json")["edition"])


@cache
def actions() -> dict[int, str]:
    """Tag to action, such as `X` or `X/Z/D`; repeating groups are not in it."""
    return {int(tag, 16): str(action) for tag, action in _read("actions.json")["actions"].items()}


def type_of(sop_class: str, keyword: str, parent: str = "") -> int:
    """1, 2 or 3: the type of an attribute (PS3.5 7.4), conditional ones counted as unconditional.

    parent: keyword of the sequence whose item it stands in; empty at the top level, where the SOP class decides.
    An attribute that the tables don't know is of type 3: it may be left out.
    """
    known = _nested().get(f"{parent}/{keyword}") if parent else _top_level(sop_class).get(keyword)
    return known or 3


@cache
def _top_level(sop_class: str) -> dict[str, int]:
    types = _read("types.json")
    found: dict[str, int] = {}
    for module in types["objects"].get(types["classes"].get(sop_class, ""), ()):
        for keyword, kind in types["modules"][module].items():
            found[keyword] = min(kind, found.get(keyword, 3))
    return found


@cache
def _nested() -> dict[str, int]:
    return dict(_read("types.json")["nested"])


@cache
def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name).read_text(encoding="utf-8")))
