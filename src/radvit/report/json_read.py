"""findings.json back to the report that it was written from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radvit.errors import DataError
from radvit.records import Basis, Finding, Geometry, Header, Location, LungExtent, Provenance, SpacingPlane
from radvit.report.build import Band, Bands, Report, ReportFinding, ReportImage, guideline
from radvit.report.fleischner import Advice, Density, Fleischner, Reason, Risk, Stated
from radvit.report.json_form import SCHEMA
from radvit.report.merge import StudyFinding
from radvit.report.verdicts import Change, Comparison, Criteria, Prior, Size, Status, Verdict

Form = Mapping[str, Any]
HEADER = tuple(Header.__dataclass_fields__)


def read_report(path: Path) -> Report:
    """Read a findings.json. Raises DataError where it can't be read or isn't one of this schema."""
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a report of {SCHEMA} ({type(error).__name__}: {error})") from error


def from_dict(form: Form) -> Report:
    """The report of a form that `to_dict` gave.

    Raises ValueError where the schema is another one, or where the guideline for nodules doesn't follow from the rest.
    """
    if form.get("schema") != SCHEMA:
        raise ValueError(f"schema {form.get('schema')}; expected {SCHEMA}")
    patient = form["patient"]
    report = Report(
        study=form["study"],
        patient=patient["pseudonym"],
        sex=patient["sex"],
        age=patient["age"],
        study_date=form["study_date"],
        images=tuple(map(_image, form["images"])),
        findings=tuple(map(_numbered, form["findings"])),
        merged=tuple(map(_merged, form["study_findings"])),
        impression=Band(form["impression"]),
        looked_for=tuple(form["looked_for"]),
        refused=tuple(form["refused"]),
        bands=Bands(**form["thresholds"]),
        provenance=Provenance(**form["provenance"]),
        unmapped=tuple(form["unmapped"]),
        comparison=None if form["comparison"] is None else _comparison(form["comparison"]),
        fleischner=None if form["fleischner"] is None else _fleischner(form["fleischner"]),
    )
    stated = Stated() if report.fleischner is None else report.fleischner.stated
    wanted = guideline(report.images, report.findings, report.age, stated)
    if report.fleischner != wanted:
        raise ValueError(f"fleischner {report.fleischner}; from its findings follows {wanted}")
    return report


def _image(form: Form) -> ReportImage:
    values = {name: form[name] for name in HEADER}
    orientation, lungs = values.pop("patient_orientation"), form["lungs"]
    header = Header(**values, patient_orientation=_tuple(orientation))
    return ReportImage(
        form["number"],
        header,
        Geometry(
            rows=form["rows"],
            columns=form["columns"],
            spacing_mm=_tuple(form["spacing_mm"]),
            plane=SpacingPlane(form["spacing_plane"]),
            spacing_source=form["spacing_source"],
            position_mm=_tuple(form["position_mm"]),
            axes=_tuple(form["axes"]),
        ),
        None if lungs is None else LungExtent(**{k: _tuple(v) if isinstance(v, list) else v for k, v in lungs.items()}),
    )


def _numbered(form: Form) -> ReportFinding:
    finding = Finding(
        type=form["type"],
        score=form["score"],
        image=form["image"],
        box_px=_tuple(form["box_px"]),
        size_mm=form["size_mm"],
        size_plane=SpacingPlane(form["size_plane"]),
        location=Location(**form["location"]),
        contrast=form["contrast"],
        basis=Basis(form["basis"]),
    )
    return ReportFinding(form["number"], form["image_number"], Band(form["band"]), finding)


def _merged(form: Form) -> StudyFinding:
    numbers = {name: tuple(form[name]) for name in ("numbers", "supported_by")}
    return StudyFinding(form["type"], form["score"], form["side"], form["zone"], **numbers)


def _comparison(form: Form) -> Comparison:
    return Comparison(
        status=Status(form["status"]),
        prior=None if form["prior"] is None else Prior(**form["prior"]),
        criteria=None if form["criteria"] is None else Criteria(**form["criteria"]),
        changes=tuple(map(_change, form["changes"])),
        same_day=form["same_day"],
        undated=form["undated"],
    )


def _fleischner(form: Form) -> Fleischner:
    stated, advice = form["stated"], form["advice"]
    made = Fleischner(
        numbers=_tuple(form["numbers"]),
        sizes_mm=_tuple(form["sizes_mm"]),
        several=form["several"],
        age=form["age"],
        stated=Stated(
            density=None if stated["density"] is None else Density(stated["density"]),
            risk=None if stated["risk"] is None else Risk(stated["risk"]),
            incidental=stated["incidental"],
        ),
        reasons=tuple(map(Reason, form["reasons"])),
        advice=None if advice is None else Advice(advice),
    )
    if form["applied"] is bool(made.reasons):
        raise ValueError(f"fleischner applied {form['applied']} with {len(made.reasons)} reasons against it")
    return made


def _change(form: Form) -> Change:
    size = None
    if form["before_mm"] is not None:
        size = Size(form["before_mm"], form["now_mm"], SpacingPlane(form["size_plane"]))
    return Change(
        verdict=Verdict(form["verdict"]),
        type=form["type"],
        number=form["number"],
        prior_number=form["prior_number"],
        location=Location(**form["location"]),
        shown=form["shown"],
        size=size,
    )


def _tuple(values: Any) -> Any:
    return None if values is None else tuple(values)
