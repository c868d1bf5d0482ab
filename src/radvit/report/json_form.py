"""findings.json: the report as data, versioned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from radvit.report.build import Report, ReportFinding, ReportImage
from radvit.report.fleischner import Fleischner, Stated
from radvit.report.verdicts import Change, Comparison

SCHEMA = "radvit.findings/5"


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
        "comparison": None if report.comparison is None else _comparison(report.comparison),
        "fleischner": None if report.fleischner is None else _fleischner(report.fleischner),
        "impression": report.impression.value,
        "looked_for": list(report.looked_for),
        "thresholds": asdict(report.bands),
        "refused": list(report.refused),
        "unmapped": list(report.unmapped),
        "provenance": asdict(report.provenance),
    }


def _image(image: ReportImage) -> dict[str, Any]:
    lungs = None if image.lungs is None else asdict(image.lungs)
    return {"number": image.number, **asdict(image.header), **_geometry(image), "lungs": lungs}


def _geometry(image: ReportImage) -> dict[str, Any]:
    geometry = image.geometry
    return {
        "rows": geometry.rows,
        "columns": geometry.columns,
        "spacing_mm": geometry.spacing_mm,
        "spacing_plane": geometry.plane.value,
        "spacing_source": geometry.spacing_source,
        "position_mm": geometry.position_mm,
        "axes": geometry.axes,
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


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "status": comparison.status.value,
        "prior": None if comparison.prior is None else asdict(comparison.prior),
        "criteria": None if comparison.criteria is None else asdict(comparison.criteria),
        "changes": [_change(change) for change in comparison.changes],
        "same_day": comparison.same_day,
        "undated": comparison.undated,
    }


def _change(change: Change) -> dict[str, Any]:
    """The millimetres and per cent by which a size changed stand beside both sizes, from which they follow."""
    size = change.size
    return {
        "verdict": change.verdict.value,
        "type": change.type,
        "number": change.number,
        "prior_number": change.prior_number,
        "location": asdict(change.location),
        "shown": change.shown,
        "before_mm": size.before_mm if size else None,
        "now_mm": size.now_mm if size else None,
        "size_plane": size.plane.value if size else None,
        "change_mm": size.change_mm if size else None,
        "change_percent": size.change_percent if size else None,
    }


def stated_form(stated: Stated) -> dict[str, Any]:
    """What a user stated of nodules on CT, in plain values."""
    return {
        "density": stated.density.value if stated.density else None,
        "risk": stated.risk.value if stated.risk else None,
        "incidental": stated.incidental,
    }


def _fleischner(made: Fleischner) -> dict[str, Any]:
    return {
        "applied": not made.reasons,
        "numbers": made.numbers,
        "sizes_mm": made.sizes_mm,
        "several": made.several,
        "age": made.age,
        "stated": stated_form(made.stated),
        "reasons": [reason.value for reason in made.reasons],
        "advice": made.advice.value if made.advice else None,
    }
