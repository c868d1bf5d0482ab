"""findings.json: the report as data, versioned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from radvit.records import Basis, Finding, Location, SpacingPlane
from radvit.report.build import Report, ReportFinding, ReportImage

SCHEMA = "radvit.findings/3"


def to_dict(report: Report) -> dict[str, Any]:
    """The report in plain values. Scores, pixels, millimetres and contrasts stand unrounded, as they were given."""
    return {
        "schema": SCHEMA,
        "research_use_only": True,
        "study": report.study,
        "patient": {"pseudonym": report.patient, "sex": report.sex, "age": report.age},
        "study_date": report.study_date,
        "images": [_image(image) for image in report.images],
        "findings": [_finding(item) for item in report.findings],
        "study_findings": [asdict(entry) for entry in report.merged],
        "impression": report.impression.value,
        "looked_for": list(report.looked_for),
        "thresholds": asdict(report.bands),
        "refused": list(report.refused),
        "provenance": asdict(report.provenance),
    }


def read_findings(form: dict[str, Any]) -> tuple[Finding, ...]:
    """The findings of a findings.json, as they were. Raises ValueError where the schema is another one."""
    if form.get("schema") != SCHEMA:
        raise ValueError(f"schema {form.get('schema')}; expected {SCHEMA}")
    return tuple(
        Finding(
            type=item["type"],
            score=item["score"],
            image=item["image"],
            box_px=None if item["box_px"] is None else tuple(item["box_px"]),
            size_mm=item["size_mm"],
            size_plane=SpacingPlane(item["size_plane"]),
            location=Location(**item["location"]),
            contrast=item["contrast"],
            basis=Basis(item["basis"]),
        )
        for item in form["findings"]
    )


def _image(image: ReportImage) -> dict[str, Any]:
    return {"number": image.number, **asdict(image.header), **_geometry(image)}


def _geometry(image: ReportImage) -> dict[str, Any]:
    geometry = image.geometry
    return {
        "rows": geometry.rows,
        "columns": geometry.columns,
        "spacing_mm": geometry.spacing_mm,
        "spacing_plane": geometry.plane.value,
        "spacing_source": geometry.spacing_source,
    }


def _finding(item: ReportFinding) -> dict[str, Any]:
    finding = item.finding
    return {
        "number": item.number,
        "type": finding.type,
        "score": finding.score,
        "band": item.band.value,
        "image": finding.image,
        "image_number": item.image,
        "box_px": finding.box_px,
        "size_mm": finding.size_mm,
        "size_plane": finding.size_plane.value,
        "location": asdict(finding.location),
        "contrast": finding.contrast,
        "basis": finding.basis.value,
    }
