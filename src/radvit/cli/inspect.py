"""`radvit inspect`: show what is in a file or folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from radvit.cli.commands import Commands
from radvit.errors import ConfigError, SomeInputsFailedError
from radvit.plural import counted

if TYPE_CHECKING:
    from radvit.data.inspect import SeriesView, StudyView, Summary

# Short names of transfer syntaxes, by the name that PS3.6 gives them.
_SYNTAXES = {
    "Implicit VR Little Endian": "implicit",
    "Explicit VR Little Endian": "explicit",
    "Explicit VR Big Endian": "big endian",
    "Deflated Explicit VR Little Endian": "deflated",
    "RLE Lossless": "RLE",
    "JPEG Baseline (Process 1)": "JPEG",
    "JPEG Extended (Process 2 and 4)": "JPEG ext.",
    "JPEG Lossless, Non-Hierarchical (Process 14)": "JPEG lossl.",
    "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])": "JPEG lossl.",
    "JPEG-LS Lossless Image Compression": "JPEG-LS",
    "JPEG-LS Lossy (Near-Lossless) Image Compression": "JPEG-LS near",
    "JPEG 2000 Image Compression (Lossless Only)": "J2K lossl.",
    "JPEG 2000 Image Compression": "J2K",
}
_PIPE_WIDTH = 1000


def add(commands: Commands) -> None:
    """The command line."""
    one = commands.add_parser(
        "inspect",
        help="show what is in files, and what would be refused",
        description="Show studies and series below PATH (a file, a folder or a DICOMDIR), and which files would be "
        "refused and why. Every file is really loaded. Nobody's identity is shown unless asked for. "
        "Exit code 1 where a file would be refused.",
    )
    one.add_argument("path", type=Path, metavar="PATH", help="what to look into")
    one.add_argument("--files", action="store_true", help="one row a file")
    one.add_argument(
        "--quick", action="store_true", help="read headers only; pixels that can't be decoded go unnoticed"
    )
    one.add_argument("--select", type=Path, metavar="RULES.json", help="refuse what these rules leave out")
    one.add_argument(
        "--png", type=Path, metavar="DIR", help="write previews of the de-identified pixels: 0001.png, ..."
    )
    one.add_argument(
        "--identified", action="store_true", help="show original names, numbers, dates and descriptions too"
    )
    one.add_argument("--json", action="store_true", help="one JSON object a file, instead of tables")
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: none, and no guard")
    one.set_defaults(run=inspect)


def inspect(arguments: argparse.Namespace) -> None:
    """Show what is in a folder."""
    from radvit.dicom.select import read_rules

    if arguments.png and arguments.quick:
        raise ConfigError("--png needs pixels, which --quick doesn't read; expected one of the two")
    selection = read_rules(arguments.select) if arguments.select else None
    found = list(_shown_as_read(arguments, selection))
    if not arguments.json:
        _show(found, arguments)
    refused = sum(bool(one.refused) for one in found)
    if refused:
        raise SomeInputsFailedError(f"{refused} of {len(found)} files would be refused")


def _shown_as_read(arguments: argparse.Namespace, selection: Any) -> Iterator[Summary]:
    """Summaries without their previews, which are written as they come, as is JSON."""
    from radvit.data.inspect import summaries

    if arguments.png:
        arguments.png.mkdir(parents=True, exist_ok=True)
    flags = {"quick": arguments.quick, "identified": arguments.identified, "previews": arguments.png is not None}
    found = summaries(arguments.path, arguments.workers, selection=selection, **flags)
    for number, one in enumerate(_counted(found, arguments.path), 1):
        if one.preview:
            (arguments.png / f"{number:04d}.png").write_bytes(one.preview)
        lean = replace(one, preview=b"")
        if arguments.json:
            print(json.dumps(_record(number, lean)), flush=True)
        yield lean


def _counted(found: Iterable[Summary], path: Path) -> Iterator[Summary]:
    """Show how many files have been read, on a terminal alone: a log has no use for it."""
    if not sys.stderr.isatty():
        yield from found
        return
    from radvit.dicom.read import find_files
    from radvit.terminal import bar

    files = len(find_files(path))
    with bar("reading", "files") as advance:
        for done, one in enumerate(found, 1):
            advance(done, files)
            yield one


def _show(found: Sequence[Summary], arguments: argparse.Namespace) -> None:
    from radvit.data.inspect import studies

    views = studies(found)
    if not found:
        print(f"no files in {_clean(arguments.path)}")
        return
    if arguments.files:
        last = Column("why it is refused" if arguments.quick else "window, or why it is refused", words=True)
        _table((*FILE_COLUMNS, last), [file_row(number, one) for number, one in enumerate(found, 1)])
    elif views:
        columns = SERIES_COLUMNS if arguments.png else SERIES_COLUMNS[:-1]  # the number leads to the preview
        _table(columns, [row for number, view in enumerate(views, 1) for row in study_rows(number, view)])
    if arguments.identified and views:
        print()
        _table(IDENTITY_COLUMNS, [row for number, view in enumerate(views, 1) for row in identity_rows(number, view)])
    if any(one.refused for one in found):
        print()
        _table(REFUSED_COLUMNS, refused_rows(found))
    print("\n" + total(found, views))
    if arguments.png:
        print(f"previews by the number of their file: {_clean(arguments.png)}")


class Column(NamedTuple):
    """A column of a table. number: goes to the right. words: may go on in the next line on a narrow terminal."""

    name: str
    number: bool = False
    words: bool = False


SERIES_COLUMNS = (
    Column("study"),
    Column("patient", number=True),
    Column("what", words=True),
    Column("images", number=True),
    Column("size px"),
    Column("bits"),
    Column("syntax"),
    Column("spacing mm", words=True),
    Column("file no."),
)
FILE_COLUMNS = (
    Column("no.", number=True),
    Column("file", words=True),
    Column("what", words=True),
    Column("size px"),
    Column("bits"),
    Column("syntax"),
    Column("spacing mm", words=True),
)  # and one for the window or the refusal
IDENTITY_COLUMNS = (
    Column("study"),
    Column("PatientID", words=True),
    Column("PatientName", words=True),
    Column("StudyDate"),
    Column("description", words=True),
)
REFUSED_COLUMNS = (
    Column("refused"),
    Column("files", number=True),
    Column("why, of the first", words=True),
    Column("first", words=True),
)


def study_rows(number: int, study: StudyView) -> Iterator[tuple[str, ...]]:
    """A row for the study, and one for each of its series where it has several."""
    patient = str(study.patient)
    if len(study.series) == 1:
        yield (str(number), patient, *_series_cells(study.series[0]))
        return
    modalities = ", ".join(sorted({one.modality for series in study.series for _, one in series.files}))
    yield (str(number), patient, f"{modalities}: {len(study.series)} series", str(study.images), *[""] * 5)
    for place, series in enumerate(study.series, 1):
        yield (f"  {number}.{place}", "", *_series_cells(series))


def _series_cells(series: SeriesView) -> tuple[str, ...]:
    from radvit.data.inspect import remarks

    files = [one for _, one in series.files]
    first, last = series.files[0][0], series.files[-1][0]
    return (
        ": ".join(filter(None, (_distinct(_what(one) for one in files), "; ".join(remarks(series))))),
        str(series.images),
        _distinct(_size(one) for one in files),
        _distinct(_bits(one) for one in files),
        _distinct(_syntax(one) for one in files),
        _distinct(_spacing(one) for one in files),
        f"{first}-{last}" if last > first else f"{first}",
    )


def file_row(number: int, one: Summary) -> tuple[str, ...]:
    """A file's summary as cells of a table. The file's own name is shown: it is the operator's."""
    if one.refused:
        return (str(number), _clean(one.path), *[""] * 5, f"{one.refused}: {one.message}")
    size = _size(one) + (f" x{one.frames}" if one.frames > 1 else "")
    words = one.window + (f"; {one.blanked} burned-in texts overwritten" if one.blanked else "")
    return (str(number), _clean(one.path), _what(one), size, _bits(one), _syntax(one), _spacing(one), words)


def identity_rows(number: int, study: StudyView) -> Iterator[tuple[str, ...]]:
    """Whose study it is, by its first file, and the descriptions of its series where it has several."""
    firsts = [series.files[0][1].identity for series in study.series]
    for place, one in enumerate(firsts, 1):
        if one is None:
            continue
        words = " / ".join(word for word in (one.study, one.series) if word)
        if place == 1:
            alone = one.study if len(firsts) > 1 else words
            yield (str(number), one.patient_id, one.patient_name, one.study_date, alone)
        if len(firsts) > 1:
            yield (f"  {number}.{place}", "", "", "", one.series)


def refused_rows(found: Sequence[Summary]) -> list[tuple[str, ...]]:
    """A row for each reason."""
    from radvit.data.inspect import refusals

    return [(reason, str(count), one.message, _clean(one.path)) for reason, count, one in refusals(found)]


def total(found: Sequence[Summary], views: Sequence[StudyView]) -> str:
    """All of it in a line."""
    read, series = sum(not one.refused for one in found), sum(len(view.series) for view in views)
    patients = len({view.patient for view in views})
    counts = (counted(patients, "patient"), counted(len(views), "study", "studies"))
    words = ", ".join([*counts, counted(series, "series", "series"), counted(read, "file")])
    images = counted(sum(view.images for view in views), "image")
    refused = f"{len(found) - read} of {counted(len(found), 'file')}" if len(found) > read else "nothing"
    return f"{words}, {images}; {refused} would be refused"


def _what(one: Summary) -> str:
    return " ".join(word for word in (one.modality, one.body_part, one.view) if word)


def _size(one: Summary) -> str:
    return "x".join(map(str, one.size_px or ()))


def _bits(one: Summary) -> str:
    return one.bits.partition("/")[0]


def _syntax(one: Summary) -> str:
    return _SYNTAXES.get(one.syntax, one.syntax)


def _spacing(one: Summary) -> str:
    """Row and column distance, once where they are the same; with the plane in which it was measured, if known."""
    if one.spacing_mm is None:
        return "none"
    rows, columns = (f"{value:.3g}" for value in one.spacing_mm)
    plane = "" if one.plane.value == "unknown" else f" {one.plane.value}"
    return (rows if rows == columns else f"{rows} x {columns}") + plane


def _distinct(words: Iterable[str]) -> str:
    """The most frequent word, and how many others there are."""
    counts = Counter(words)
    first = counts.most_common(1)[0][0] if counts else ""
    return first if len(counts) < 2 else f"{first} +{len(counts) - 1}"


def _clean(path: Path) -> str:
    from radvit.data.inspect import escaped

    return escaped(str(path))


def _record(number: int, one: Summary) -> dict[str, Any]:
    """A file as plain values; without the pseudonyms' key nobody can tell whose they are."""
    fields = asdict(replace(one, slices=()))
    record = {key: value for key, value in fields.items() if key not in ("slices", "preview", "identity")}
    record |= {"path": one.path.as_posix().encode("utf-8", "backslashreplace").decode(), "plane": one.plane.value}
    return {"no": number, **record} | ({"identity": asdict(one.identity)} if one.identity else {})


def _table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows; on a terminal words go on in the next line, on a pipe a row is a line."""
    from rich.console import Console
    from rich.table import Table

    tty = sys.stdout.isatty()
    shown = Table(show_edge=False, pad_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.number else "left"
        shown.add_column(column.name, justify=justify, overflow="fold", no_wrap=not (tty and column.words))
    for row in rows:
        shown.add_row(*row[: len(columns)])
    Console(width=None if tty else _PIPE_WIDTH, markup=False, emoji=False, highlight=False).print(shown)
