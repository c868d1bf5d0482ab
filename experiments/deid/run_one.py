"""Run one of the other tools over a folder, in their own environment: run_one.py TOOL IN OUT REPORT.

Each input goes to the same relative path below OUT, so that it is known which output belongs to which input. REPORT
gets the inputs that the tool could not process, with the kind of the error, and the seconds that the others took.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

SEED = "radvit benchmark"
Tool = Callable[[Path, Path], None]


def dicom_anonymizer() -> Tool:
    """`anonymize_dicom_file` with the newest table it has; private attributes are deleted, as is its default."""
    from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file, initialize_actions

    def work(source: Path, target: Path) -> None:
        anonymize_dicom_file(str(source), str(target), base_rules_gen=lambda: initialize_actions("dicomfields_2026c"))

    return work


def dicognito() -> Tool:
    """One `Anonymizer` for all files, as its documentation asks for files that belong together."""
    import pydicom
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer(seed=SEED)

    def work(source: Path, target: Path) -> None:
        with pydicom.dcmread(source) as dataset:
            anonymizer.anonymize(dataset)
            dataset.save_as(target)

    return work


def deid_stock() -> Tool:
    """The recipe that comes with it: pixels by its filters, then the header, private attributes removed."""
    from deid.config import DeidRecipe

    return _deid(DeidRecipe())


def deid_adapted() -> Tool:
    """The same recipe, but UIDs are replaced and dates jittered, as its documentation shows, and not removed."""
    from deid.config import DeidRecipe
    from deid.utils import get_installdir

    lines = (Path(get_installdir()) / "data" / "deid.dicom").read_text().splitlines()
    dropped = ("REMOVE contains:UID", "REMOVE endswith:ID", "REMOVE endswith:Date", "REMOVE endswith:Time")
    dropped += ("REMOVE endswith:time", "ADD PatientBirthDate", "ADD StudyDate")
    kept = [line for line in lines if not line.startswith(dropped)]
    added = ["REMOVE contains:[^U]ID$", "REPLACE contains:UID func:pseudo_uid"]
    added += ["JITTER endswith:Date var:jitter", "JITTER endswith:DateTime var:jitter"]
    header = kept.index("%header") + 1
    kept[header:header] = added
    with TemporaryDirectory() as folder:
        path = Path(folder) / "deid.dicom"
        path.write_text("\n".join(kept) + "\n")
        return _deid(DeidRecipe(deid=str(path)))


def _deid(recipe: object) -> Tool:
    import pydicom
    from deid.dicom import replace_identifiers

    def work(source: Path, target: Path) -> None:
        with TemporaryDirectory() as folder:
            cleaned = _clean_pixels(recipe, source, Path(folder))
            patient = str(pydicom.dcmread(source, specific_tags=["PatientID"]).get("PatientID"))
            ids = {str(cleaned): _ids(patient, str(source))}
            (dataset,) = replace_identifiers(str(cleaned), ids=ids, deid=recipe, save=False, remove_private=True)
            dataset.save_as(target)

    return work


def _clean_pixels(recipe: object, source: Path, folder: Path) -> Path:
    """Black out what the recipe's filters give coordinates for; the source itself where they give none."""
    from deid.dicom import DicomCleaner

    cleaner = DicomCleaner(output_folder=str(folder))
    cleaner.recipe = recipe
    found = cleaner.detect(str(source))
    if not any(result.get("coordinates") for result in found.get("results", [])):
        return source
    cleaner.clean()
    return Path(cleaner.save_dicom())


def _ids(patient: str, file: str) -> dict[str, object]:
    """The variables that the recipe asks for, and the functions that it names."""
    return {
        "entity_id": _digest(patient),
        "item_id": _digest(file),
        "entity_timestamp": "",
        "item_timestamp": "",
        "jitter": str(-(1 + int(_digest(patient), 16) % 3650)),
        "pseudo_uid": lambda item, value, field, dicom: _pseudo_uid(field.element.value),
    }


def _pseudo_uid(value: object) -> object:
    """The standard's own UIDs stay; each other gets a UID of its own, and several are taken one by one."""
    if isinstance(value, (list, tuple)) or hasattr(value, "append"):
        return [_pseudo_uid(one) for one in value]  # type: ignore[union-attr]
    return value if str(value).startswith("1.2.840.10008.") else f"2.25.{int(_digest(str(value)), 16)}"


def _digest(text: str) -> str:
    return hashlib.sha256(f"{SEED} {text.strip()}".encode()).hexdigest()[:16]


TOOLS: dict[str, Callable[[], Tool]] = {
    "dicom-anonymizer": dicom_anonymizer,
    "dicognito": dicognito,
    "deid, stock recipe": deid_stock,
    "deid, adapted recipe": deid_adapted,
}


def main(tool: str, source: Path, target: Path, report: Path) -> None:
    """Run a tool over all files."""
    work = TOOLS[tool]()
    failures: dict[str, str] = {}
    seconds = 0.0
    for path in sorted(source.rglob("*.dcm")):
        output = target / path.relative_to(source)
        output.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        try:
            work(path, output)
        except Exception as error:  # noqa: BLE001 - whatever a tool raises, the next file is tried
            output.unlink(missing_ok=True)
            failures[path.relative_to(source).as_posix()] = type(error).__name__
            continue
        seconds += time.perf_counter() - started
    report.write_text(json.dumps({"failures": failures, "seconds": seconds}))


if __name__ == "__main__":
    name, *paths = sys.argv[1:]
    main(name, *map(Path, paths))
