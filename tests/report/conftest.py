from dataclasses import replace

import numpy as np
import pytest

from radvit.inference.results import ImageResult, StudyResult
from radvit.records import Boxes, Finding, Geometry, Header, Location, LungExtent, Provenance, SpacingPlane
from radvit.report.build import Bands, build_report

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
            "earlier": staticmethod(earlier),
            "lungs": LUNGS,
            "header": HEADER,
            "geometry": GEOMETRY,
            "provenance": PROVENANCE,
        },
    )
