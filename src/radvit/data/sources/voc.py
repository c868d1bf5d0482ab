"""Boxes in the XML of Pascal VOC: a file an image, named as the image is.

Corners are pixels, counted from 1, and belong to the box: xmin 1 and xmax 10 are the first ten columns.
Source: Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 Development Kit", section 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from radvit.data.sources.truth import Known, Mark, Truth, TruthFiles, by_name, class_numbers, reading, text_files
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

_MOST_BYTES = 1 << 22
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read a folder of XML files; an object of another name than `labels` is left out.

    A file without objects is a negative; an image without a file is unknown. Raises DataError, also where no object
    has the name of a label.
    """
    folder = files.path
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected a Pascal VOC XML file an image")
    documents = [file for file in text_files(folder) if file.suffix.lower() == ".xml"]
    if not documents:
        raise DataError(f"{folder}: no XML files; expected one an image, in the form of Pascal VOC")
    roots = {file: _parsed(file) for file in documents}
    names = {_name(told) for root in roots.values() for told in root.findall("object")}
    numbers = class_numbers(folder, labels, sorted(names))
    known = {f.relative_to(folder).with_suffix("").as_posix(): _known(f, root, numbers) for f, root in roots.items()}
    return Truth(by_name(known, pseudonymizer), len(labels))


def _name(told: ElementTree.Element) -> str:
    return (told.findtext("name") or "").strip()


def _known(file: Path, root: ElementTree.Element, numbers: dict[str, int]) -> Known:
    with reading(file, "annotation with size and objects of name and bndbox"):
        if root.tag != "annotation":
            raise ValueError("another root")
        objects = root.findall("object")
        marks = tuple(_mark(file, numbers[_name(one)], one) for one in objects if _name(one) in numbers)
        rows, columns = (root.findtext(f"size/{side}") for side in ("height", "width"))
        return Known(marks, size=(int(rows), int(columns)) if rows and columns else None)


def _mark(file: Path, label: int, told: ElementTree.Element) -> Mark:
    x1, y1, x2, y2 = (float(str(told.findtext(f"bndbox/{corner}"))) for corner in _CORNERS)
    if x2 < x1 or y2 < y1:
        raise DataError(f"{file}: a box whose corners are in the wrong order")
    return Mark(label, (max(0.0, x1 - 1), max(0.0, y1 - 1), x2, y2))  # some programs count from 0


def _parsed(file: Path) -> ElementTree.Element:
    """The document, which may not declare a type: that is where entities that grow or read files come from."""
    if file.stat().st_size > _MOST_BYTES:
        raise DataError(f"{file}: more than {_MOST_BYTES >> 20} MB; expected the XML of one image")
    content = file.read_bytes()
    first = expat.ParserCreate()
    first.StartDoctypeDeclHandler = lambda *_: _refuse(file)
    try:
        first.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise DataError(f"{file}: no XML; expected a Pascal VOC annotation") from error


def _refuse(file: Path) -> NoReturn:
    raise DataError(f"{file}: an XML document that declares a type; expected plain elements")
