"""The forms of a study's folder, read back and compared with its findings.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radvit.errors import DataError
from radvit.report.check import CHECKED, PAGE, differences
from radvit.report.html import Picture, to_html
from radvit.report.json_read import from_dict
from radvit.report.page_text import PageText
from radvit.report.schema import misfits
from radvit.report.wording import LANGUAGES
from radvit.report.write import FINDINGS, SALIENCY, picture_order


def study_folders(path: Path) -> Iterator[Path]:
    """The folders of studies: those below an output folder, or the folder itself where it is one."""
    if (path / FINDINGS).is_file():
        yield path
        return
    yield from (found.parent for found in sorted(path.glob(f"*/{FINDINGS}")) if not found.parent.name.startswith("."))


def folder_differences(folder: Path) -> list[str]:
    """How the forms of a study's folder differ from its findings.json, one line each.

    Raises DataError where findings.json or report.html can't be read.
    """
    try:
        form = json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
        found = misfits(form)
        if found:
            return found
        report = from_dict(form)
        contents = {name: (folder / name).read_bytes() for name in CHECKED if (folder / name).is_file()}
        language = _language(contents[PAGE].decode("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: {FINDINGS} or {PAGE} can't be read ({type(error).__name__}: {error})") from error
    pictures = tuple(Picture(number, b"") for number in picture_order(report))
    heat = Picture(0, b"") if (folder / SALIENCY).is_file() else None
    return differences(report, contents, language, to_html(report, pictures, language, heat))


def _language(page: str) -> str:
    """The language that a page says it is in."""
    said = PageText(page).language
    known = {table["lang"]: language for language, table in LANGUAGES.items()}
    if said not in known:
        raise ValueError(f"language {said!r}; expected one of {', '.join(known)}")
    return known[said]
