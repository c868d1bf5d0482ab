from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.truth import Truth, TruthFiles
from radvit.data.sources.voc import read_voc
from radvit.errors import DataError

OBJECT = """<object><name>{}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def document(*objects: tuple[object, ...], height: int = 24) -> str:
    return f"""<annotation><folder>VOC2012</folder><filename>a.png</filename><size><width>32</width>
<height>{height}</height><depth>1</depth></size><segmented>0</segmented>
{"".join(OBJECT.format(*one) for one in objects)}</annotation>"""


@pytest.fixture
def folder(tmp_path: Path, write_picture: Callable[..., Path], write_lines: Callable[..., Path]) -> Path:
    for number, name in enumerate("abc"):
        write_picture(tmp_path / "JPEGImages" / f"{name}.png", number)
    both = document(("nodule", 1, 1, 10, 5), ("rib", 2, 3, 4, 5), ("mass", 0, 7, 32, 24))
    write_lines(tmp_path / "Annotations" / "a.xml", [both])
    write_lines(tmp_path / "Annotations" / "b.xml", [document()])
    return tmp_path


def open_voc(folder: Path, loader: Loader) -> DicomFolder:
    truth = TruthFiles(folder / "Annotations")
    return DicomFolder(folder / "JPEGImages", loader, truth, ("nodule", "mass"), read_voc)


def test_corners_count_from_one_and_belong_to_the_box(
    folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort], boxes_of: Callable[[Sample], object]
) -> None:
    cohort = cohort_of(open_voc(folder, loader))
    a, b = cohort.samples
    assert boxes_of(a) == [(0, (0.0, 0.0, 10.0, 5.0)), (1, (0.0, 6.0, 32.0, 24.0))]
    assert a.targets == (1.0, 1.0)
    assert (b.targets, boxes_of(b)) == ((0.0, 0.0), [])  # a file without objects is a negative
    assert cohort.failed == 1  # c has no file, and is unknown


def test_another_size_is_refused(folder: Path, loader: Loader, write_lines: Callable[..., Path]) -> None:
    mass = ("mass", 1, 1, 2, 2)
    write_lines(folder / "Annotations" / "b.xml", [document(mass, ("nodule", 1, 1, 2, 2), height=48)])
    with pytest.raises(DataError, match=r"image of \(24, 32\) pixels; the truth says \(48, 32\)"):
        open_voc(folder, loader).read(1)


def read(folder: Path, loader: Loader, content: str, encoding: str = "utf-8") -> Truth:
    (folder / "Annotations" / "a.xml").write_text(content, encoding=encoding)
    return read_voc(TruthFiles(folder / "Annotations"), ("nodule",), loader.pseudonymizer)


BOMB = """<?xml version="1.0"{}?><!DOCTYPE annotation [<!ENTITY a "nodule"><!ENTITY b "&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (BOMB.format(""), "utf-8"),
        (BOMB.format(' encoding="utf-16"'), "utf-16"),
        ('<!DOCTYPE x SYSTEM "file:///etc/hostname"><annotation/>', "utf-8"),
    ],
)
def test_a_document_type_is_refused_whatever_it_holds(
    folder: Path, loader: Loader, content: str, encoding: str
) -> None:
    with pytest.raises(DataError, match=r"a\.xml: an XML document that declares a type"):
        read(folder, loader, content, encoding)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no XML"),
        ("<annotation>", "no XML"),
        ("<html><object><name>nodule</name></object></html>", "can't be read as truth"),
        ("<annotation><object><name>nodule</name></object></annotation>", "can't be read as truth"),
        (document(("nodule", 5, 1, 4, 5)), "corners are in the wrong order"),
        (document(("mass", 1, 1, 4, 5)), "no category nodule; it has mass"),
    ],
)
def test_what_is_no_annotation_is_named(folder: Path, loader: Loader, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(folder, loader, content)


def test_a_folder_without_xml_is_refused(folder: Path, loader: Loader) -> None:
    for where, message in (("nowhere", "no such folder"), ("JPEGImages", "no XML files")):
        with pytest.raises(DataError, match=f"{where}: {message}"):
            read_voc(TruthFiles(folder / where), ("nodule",), loader.pseudonymizer)
