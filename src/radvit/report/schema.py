"""The published JSON Schema of findings.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from radvit.report.json_form import SCHEMA


def schema_text() -> str:
    """The schema of the findings.json that this version writes."""
    name = SCHEMA.removeprefix("radvit.").replace("/", ".")
    return resources.files("radvit.report").joinpath(f"schema/{name}.json").read_text(encoding="utf-8")


def misfits(form: Mapping[str, Any]) -> list[str]:
    """Where a findings.json doesn't fit its schema, one line each."""
    found = sorted(_validator().iter_errors(form), key=lambda error: list(map(str, error.absolute_path)))
    return [f"findings.json: {error.json_path}: {error.message}"[:300] for error in found]


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema_text()))
