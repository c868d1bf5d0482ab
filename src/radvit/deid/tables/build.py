"""Make the tables anew: `python -m radvit.deid.tables.build`, with dicom-anonymizer and highdicom installed.

dicom-anonymizer (BSD) tracks PS3.15 Table E.1-1, highdicom (MIT) the modules of PS3.3; both are read as data.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydicom.datadict import DicomDictionary, tag_for_keyword

from radvit.deid.tables import FOLDER

_DATABASES = "dicomanonymizer.dicom_anonymization_databases"
_COMBINATIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_TEXTS = ("LO", "SH", "ST", "LT", "UT", "UC", "CS", "UR")
_TYPES = {"1": 1, "1C": 1, "2": 2, "2C": 2}


def actions() -> dict[str, Any]:
    """The newest edition of PS3.15 Table E.1-1 that dicom-anonymizer holds."""
    package = importlib.import_module(_DATABASES)
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    newest = max(name for name in names if re.fullmatch(r"dicomfields_\d{4}[a-z]?", name))
    table = importlib.import_module(f"{_DATABASES}.{newest}")
    found = {
        f"{tag[0]:04X}{tag[1]:04X}": name.replace("_STAR", "*").replace("_", "/")
        for name in _COMBINATIONS
        for tag in getattr(table, f"{name}_TAGS")
        if len(tag) == 2  # four numbers are a repeating group and its mask
    }
    return {"edition": newest.removeprefix("dicomfields_"), "actions": dict(sorted(found.items()))}


def needed(made: dict[str, Any]) -> set[int]:
    """The attributes whose type matters: those of the table, and every text, which cleaning may empty."""
    texts = {tag for tag, entry in DicomDictionary.items() if entry[0] in _TEXTS}
    return texts | {int(tag, 16) for tag in made["actions"]}


def types(tags: set[int]) -> dict[str, Any]:
    """The types of these attributes: by module at the top level, by the sequence they stand in below it."""
    modules: dict[str, dict[str, int]] = {}
    nested: dict[str, int] = {}
    for module, rows in _standard("module_attribute_map").items():
        needed = [row for row in rows if row["type"] in _TYPES and tag_for_keyword(row["keyword"]) in tags]
        top = {row["keyword"]: _TYPES[row["type"]] for row in needed if not row["path"]}
        if top:
            modules[module] = dict(sorted(top.items()))
        for row in needed:
            if row["path"]:
                name = f"{row['path'][-1]}/{row['keyword']}"
                nested[name] = min(_TYPES[row["type"]], nested.get(name, 3))
    objects = {
        kind: [row["key"] for row in rows if row["key"] in modules]
        for kind, rows in _standard("iod_module_map").items()
    }
    classes = {uid: kind for uid, kind in _standard("sop_class_iod_map").items() if objects.get(kind)}
    return {"classes": classes, "objects": objects, "modules": modules, "nested": dict(sorted(nested.items()))}


def _standard(name: str) -> dict[str, Any]:
    spec = find_spec("highdicom")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("highdicom; install radvit[dev]")
    return dict(json.loads((Path(spec.origin).parent / "_standard" / f"{name}.json").read_text(encoding="utf-8")))


def main() -> None:
    """Write both tables."""
    made = actions()
    for name, table in (("actions.json", made), ("types.json", types(needed(made)))):
        (FOLDER / name).write_text(json.dumps(table, indent=0, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
