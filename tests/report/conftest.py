import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from radvit.inference.results import ImageResult, StudyResult
from radvit.records import Basis, Boxes, Finding, Geometry, Header, Location, LungExtent, Provenance, SpacingPlane
from radvit.report.build import Bands, build_report
from radvit.report.compare import History, compare
from radvit.report.verdicts import Comparison, Criteria, Status

HEADER = Header(
    patient="P-ABCDEFGHIJKLMNOP",
    study="2.25.10",
    series="2.25.11",
    image="2.25.12",
    modality="DX",
    body_part="CHEST",
    view="PA",
    study_date="2020-02-03",
    sex="F",
    age="063Y",
    patient_orientation=("L", "F"),
)
GEOMETRY = Geometry(800, 600, (0.2, 0.2), SpacingPlane.DETECTOR, "ImagerPixelSpacing")
LUNGS = LungExtent(0.5, (0.1, 0.9), (0.1, 0.15), (0.7, 0.75))
PROVENANCE = Provenance("model-x", "0.1.0", "fp32", "2026-01-02T03:04:05Z", "ab" * 32, "cd" * 20, 0)


def finding(
    score, label="nodule", box=(100.0, 50.0, 150.0, 120.0), size=14.0, image="2.25.12", place=None, contrast=None
):
    plane = SpacingPlane.UNKNOWN if size is None else SpacingPlane.DETECTOR
    return Finding(label, score, image, box, size, plane, place or Location("right", "upper"), contrast)


def study(n_images=1, refused=(), **changes):
    picture = np.full((400, 300), 90, np.uint8)
    images = tuple(
        ImageResult(replace(HEADER, image=f"2.25.{12 + i}", **changes), GEOMETRY, (0.5,), Boxes.empty(), picture)
        for i in range(n_images)
    )
    return StudyResult("2.25.10", images, tuple(refused))


def report(*groups, refused=(), bands=None, labels=("nodule",), lungs=(), **changes):
    """A report; groups: one list of findings for each image, none for one image without findings."""
    groups = groups or ([],)
    result = study(len(groups), refused, **changes)
    return build_report(result, groups, labels, bands or Bands(), PROVENANCE, lungs)


def at(outwards, height, side="right"):
    """A place told by the lungs."""
    zone = ("upper", "middle", "lower")[min(max(int(3 * height), 0), 2)]
    return Location(side, zone, "central" if outwards <= 0.5 else "peripheral", "lungs", outwards, height)


def earlier(*groups, study="2.25.9", study_date="2019-02-03", **changes):
    """A report of the same patient, a year before the others."""
    lungs = changes.pop("lungs", [LUNGS] * max(len(groups), 1))
    return replace(report(*groups, lungs=lungs, study_date=study_date, **changes), study=study)


def compared():
    """A report with a comparison that has every verdict, of known sizes."""
    places = [at(0.2, 0.1), at(0.8, 0.2), at(0.2, 0.5), at(0.8, 0.6), at(0.2, 0.9), at(0.9, 0.9), Location("left")]
    sizes = [20.123456789, 9.0, 12.0, None, 7.0, 30.0, 8.0]
    now = [
        finding(0.9 - i / 20, place=place, size=size) for i, (place, size) in enumerate(zip(places, sizes, strict=True))
    ]
    then = [replace(one, size_mm=size) for one, size in zip(now, [10, 18, 12.5, 12, None, None, None], strict=True)][:4]
    lost = [finding(0.5, "mass", place=at(0.3, 0.4, "left")), finding(0.4, "mass", place=at(0.9, 1.9, "left"))]
    present = report(now, lungs=[LUNGS])
    prior = earlier([*then, *lost])
    return replace(present, comparison=compare(present, History(prior, same_day=1), Criteria()))


def on(group, number=0):
    """The same findings on the image that `study` gives this number, from 0."""
    return [replace(entry, image=f"2.25.{12 + number}") for entry in group]


def whole(score, label="pneumonia"):
    """A finding of the whole image, as a classifier gives it."""
    return replace(finding(score, label, box=None, size=None, place=Location()), basis=Basis.IMAGE)


def weak(score, label="mass"):
    """A finding whose box is only where a classifier looked."""
    return replace(finding(score, label), basis=Basis.ATTENTION)


def with_headers(made, *changes):
    """A report whose images have these headers instead, a dict of changes each."""
    images = [
        replace(image, header=replace(image.header, **change))
        for image, change in zip(made.images, changes, strict=True)
    ]
    return replace(made, images=tuple(images))


def dicom_cases():
    """Reports of every kind that a DICOM form must hold, by name."""
    eight = [
        finding(0.95 - i / 12, label) for i, label in enumerate(("nodule", "mass", "effusion", "长标签样阴影") * 2)
    ]
    frames = with_headers(
        report(on([finding(0.9)]), on([finding(0.4)], 1)), {"image": "2.25.12"}, {"image": "2.25.12", "frame": 1}
    )
    no_place = finding(0.7, size=None, place=Location())
    return {
        "none": report([]),
        "one": report([finding(0.9)]),
        "eight": report(eight),
        "images": report(on([finding(0.9)]), on([whole(0.6)], 1), []),
        "series": with_headers(report([finding(0.9)], []), {}, {"series": "2.25.99", "modality": "CR"}),
        "frames": frames,
        "fluoroscopy": report([finding(0.9)], sop_class="1.2.840.10008.5.1.4.1.1.12.2", modality="RF"),
        "lateral": report([finding(0.8, place=Location(None, "middle"))], view="LL", patient_orientation=("A", "F")),
        "bare": report([no_place], modality="OT", body_part=None, view=None, patient_orientation=None),
        "hand": report([finding(0.8, "fracture", place=Location("left"))], body_part="HAND"),
        "classifier": report([whole(0.9), whole(0.4, "cardiomegaly")]),
        "weak": report([weak(0.66)]),
        "refused": report([finding(0.35)], refused=("pixels",)),
        "unknown": report([], sex=None, age=None, study_date=None),
        "compared": compared(),
        "alone": replace(report([finding(0.9)]), comparison=Comparison(Status.NO_PRIOR, undated=2)),
    }


@pytest.fixture
def validated(tmp_path):
    """A function that writes a DICOM file and gives what dciodvfy calls an error in it."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy, of Debian's dicom3tools, is not installed")

    def errors(data):
        path = tmp_path / "validated.dcm"
        path.write_bytes(data)
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
        told = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
        assert told, "dciodvfy said nothing, not even which kind of object it is"
        return [line for line in told if line.startswith("Error")]

    return errors


@pytest.fixture
def make():
    """The builders above, as one object."""
    return type(
        "Make",
        (),
        {
            "report": staticmethod(report),
            "study": staticmethod(study),
            "finding": staticmethod(finding),
            "at": staticmethod(at),
            "whole": staticmethod(whole),
            "weak": staticmethod(weak),
            "with_headers": staticmethod(with_headers),
            "dicom_cases": staticmethod(dicom_cases),
            "earlier": staticmethod(earlier),
            "compared": staticmethod(compared),
            "lungs": LUNGS,
            "header": HEADER,
            "geometry": GEOMETRY,
            "provenance": PROVENANCE,
        },
    )
