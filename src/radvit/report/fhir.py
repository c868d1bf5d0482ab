"""report.fhir.json: the report as a FHIR R4B bundle (DiagnosticReport, an Observation a finding), and back.

The comparison with an earlier study is an Observation of its own, with that study as an ImagingStudy; what became of a
finding stands in the finding's Observation.

Everything is preliminary: nobody has read it. The words are those of the report in its language; numbers stand
unrounded.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from radvit.errors import DataError
from radvit.records import Basis, Finding
from radvit.report import wording, wording_comparison
from radvit.report.build import Report, ReportFinding, ReportImage
from radvit.report.codes import OWN, SIDES, SNOMED, VERDICTS, Code, code_of, site_of
from radvit.report.said import Said
from radvit.report.verdicts import Change, Comparison, Prior, Verdict
from radvit.report.wording import Words

Resource = dict[str, Any]
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SERVICE = "http://terminology.hl7.org/CodeSystem/v2-0074"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
SPACE = uuid.UUID("6b1f6a3e-0f0e-4c58-9d2a-6b0c5c1d7d11")  # for names made of pseudonyms
FINDING, COMPARISON = "59776-5", "18834-2"  # of LOINC: what an Observation is of
DIRECTIONS = {Verdict.GROWN: ("U", "Significant change up"), Verdict.SHRUNK: ("D", "Significant change down")}
GENDERS = {"M": "male", "F": "female", "O": "other"}
LANGUAGE = {"en": "en", "zh": "zh-CN"}
LONGEST = 4096  # characters of any one value that a file's header told


def to_fhir(report: Report, language: str) -> str:
    """The bundle as JSON, validated against FHIR R4B. Raises DataError where the report doesn't fit into it."""
    from fhir.resources.R4B.bundle import Bundle
    from pydantic import ValidationError

    w = wording.words(language)
    findings = [_observation(report, item, w) for item in report.findings]
    compared = [] if report.comparison is None else _compared(report, report.comparison, w)
    resources = [
        *(_diagnosis(report, w, language), _patient(report), _study(report), _device(report)),
        *(*findings, *compared),
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": report.provenance.created,
        "entry": [{"fullUrl": _url(report, one.pop("_name")), "resource": one} for one in resources],
    }
    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        raise DataError(
            f"{report.study}: no FHIR bundle can be made of the report: {error.errors()[0]['msg']}"
        ) from error
    return json.dumps(bundle, indent=2, ensure_ascii=False) + "\n"


def read_fhir(text: str) -> tuple[Said, ...]:
    """What a bundle says of each finding, in the order of their numbers. Raises DataError where it is none of ours."""
    try:
        return tuple(sorted(map(_said, _observations(text, FINDING)), key=lambda one: one.number))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"not a report of FHIR that radvit wrote ({type(error).__name__}: {error})") from error


def read_prior(text: str) -> tuple[str, str | None] | None:
    """Pseudonym and date of the earlier study that a bundle names; None where it names none. Raises as `read_fhir`."""
    try:
        by_url = {one["fullUrl"]: one["resource"] for one in json.loads(text)["entry"]}
        studies = [by_url[one["reference"]] for form in _observations(text, COMPARISON) for one in form["derivedFrom"]]
        for study in studies[1:]:
            return str(study["identifier"][0]["value"]).removeprefix("urn:oid:"), study.get("started")
        return None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"not a report of FHIR that radvit wrote ({type(error).__name__}: {error})") from error


def conclusion(report: Report, w: Words) -> str:
    """The impression, the comparison and the recommendations."""
    compared = [] if report.comparison is None else wording_comparison.told(report.comparison, w)
    said = [*wording.impression(report, w), *compared, *wording.recommendations(report, w)]
    return w["conclusion.join"].join(said)


def comparison_note(comparison: Comparison, w: Words) -> str:
    """All that the comparison says."""
    return w["conclusion.join"].join(wording_comparison.told(comparison, w))


def notes(text: str) -> list[str]:
    """The sentences of a bundle: its conclusion, and the note on each finding and on the comparison.

    Raises DataError where it is none of ours.
    """
    try:
        resources = [one["resource"] for one in json.loads(text)["entry"]]
        found = [one["conclusion"] for one in resources if one["resourceType"] == "DiagnosticReport"]
        return found + [one["note"][0]["text"] for one in resources if one["resourceType"] == "Observation"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"not a report of FHIR that radvit wrote ({type(error).__name__}: {error})") from error


def label_code(label: str) -> str:
    """A label as FHIR can hold it: on one line, of bearable length."""
    return _short(label)


def _diagnosis(report: Report, w: Words, language: str) -> Resource:
    made: Resource = {
        "_name": "report",
        "resourceType": "DiagnosticReport",
        "language": LANGUAGE[language],
        "identifier": [{"system": OWN, "value": report.study}],
        "status": "preliminary",
        "category": [_concept("Radiology", SERVICE, "RAD")],
        "code": _concept(wording.title(report, w), LOINC, "18748-4", "Diagnostic imaging study"),
        "subject": _reference(report, "patient"),
        "issued": report.provenance.created,
        "imagingStudy": [_reference(report, "study")],
        "conclusion": conclusion(report, w),
    }
    if report.study_date:
        made["effectiveDateTime"] = report.study_date
    results = [f"finding-{item.number}" for item in report.findings]
    results += [] if report.comparison is None else ["comparison"]
    if results:
        made["result"] = [_reference(report, name) for name in results]
    return made


def _patient(report: Report) -> Resource:
    made: Resource = {
        "_name": "patient",
        "resourceType": "Patient",
        "identifier": [{"system": OWN, "value": _short(report.patient) or "unknown"}],
    }
    return made | ({"gender": GENDERS[report.sex]} if report.sex in GENDERS else {})


def _study(report: Report) -> Resource:
    series: dict[str, list[ReportImage]] = {}
    for image in report.images:
        series.setdefault(image.header.series, []).append(image)
    made: Resource = {
        "_name": "study",
        "resourceType": "ImagingStudy",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{report.study}"}],
        "status": "available",
        "subject": _reference(report, "patient"),
        "series": [_series(uid, images) for uid, images in series.items()],
    }
    return made | ({"started": report.study_date} if report.study_date else {})


def _series(uid: str, images: Sequence[ReportImage]) -> Resource:
    return {
        "uid": uid,
        "modality": {"system": DICOM, "code": _short(images[0].header.modality)},
        "instance": [
            {
                "uid": header.image,
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{header.sop_class or 'unknown'}"},
            }
            for header in {image.header.image: image.header for image in images}.values()
        ],
    }


def _device(report: Report) -> Resource:
    made = report.provenance
    properties = {"precision": made.precision, "weights SHA-256": made.weights, "code revision": made.git_commit}
    return {
        "_name": "device",
        "resourceType": "Device",
        "deviceName": [{"name": f"radvit: {_short(made.model)}", "type": "model-name"}],
        "version": [{"value": made.version}],
        "property": [
            {"type": {"text": name}, "valueCode": [{"text": value}]} for name, value in properties.items() if value
        ],
    }


def _compared(report: Report, comparison: Comparison, w: Words) -> list[Resource]:
    """The comparison's own Observation, and the earlier study where there is one."""
    prior = comparison.prior
    studies = ["study"] if prior is None else ["study", "prior"]
    made: Resource = {
        "_name": "comparison",
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [_concept("Imaging", CATEGORY, "imaging")],
        "code": _concept(w["head.comparison"], LOINC, COMPARISON, "Radiology Comparison study"),
        "subject": _reference(report, "patient"),
        "issued": report.provenance.created,
        "device": _reference(report, "device"),
        "derivedFrom": [_reference(report, name) for name in studies],
        "note": [{"text": comparison_note(comparison, w)}],
    }
    return [made] if prior is None else [made, _earlier(report, prior)]


def _earlier(report: Report, prior: Prior) -> Resource:
    """The earlier study: nothing but its pseudonym and its date."""
    return {
        "_name": "prior",
        "resourceType": "ImagingStudy",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{_short(prior.study)}"}],
        "status": "available",
        "subject": _reference(report, "patient"),
        "started": prior.date,
    }


def _observation(report: Report, item: ReportFinding, w: Words) -> Resource:
    finding = item.finding
    change = wording_comparison.change_of(report, item.number)
    made: Resource = {
        "_name": f"finding-{item.number}",
        "resourceType": "Observation",
        "identifier": [{"system": OWN, "value": str(item.number)}],
        "status": "preliminary",
        "category": [_concept("Imaging", CATEGORY, "imaging")],
        "code": _concept("Finding", LOINC, FINDING, "Procedure findings"),
        "subject": _reference(report, "patient"),
        "issued": report.provenance.created,
        "device": _reference(report, "device"),
        "valueCodeableConcept": _type(finding, w),
        "derivedFrom": [_reference(report, "study")],
        "note": [{"text": wording.finding_sentence(item, w)}],
        "component": _components(item, w) + ([] if change is None else _changed(change, w)),
    }
    if finding.location.side:
        made["bodySite"] = {
            "coding": [
                _coding(SNOMED, *site_of(finding.type, report.images[item.image - 1].header.body_part)),
                _coding(SNOMED, *SIDES[finding.location.side]),
            ],
            "text": wording.place(finding.location, w),
        }
    return made


def _components(item: ReportFinding, w: Words) -> list[Resource]:
    """Confidence, band, image, and what else is known of a finding."""
    finding, place = item.finding, item.finding.location
    parts: list[Resource] = [
        _component("confidence", valueQuantity=_quantity(finding.score, "1")),
        _component("band", valueCodeableConcept=_concept(w[f"band.{item.band.value}"], OWN, item.band.value)),
        _component("image", valueString=finding.image),
    ]
    if finding.size_mm is not None:
        parts.append(_component("size", valueQuantity=_quantity(finding.size_mm, "mm")))
        plane = finding.size_plane.value
        parts.append(_component("size_plane", valueCodeableConcept=_concept(w[f"plane.{plane}"], OWN, plane)))
    if finding.box_px is not None:
        parts.append(_component("box_px", valueString=json.dumps(finding.box_px)))
    if place.zone:
        parts.append(_component("zone", valueCodeableConcept=_concept(w[f"zone.{place.zone}"], OWN, place.zone)))
    if place.depth:
        parts.append(_component("depth", valueCodeableConcept=_concept(w[f"depth.{place.depth}"], OWN, place.depth)))
    if finding.basis is not Basis.BOX:
        parts.append(_component("basis", valueCodeableConcept=_concept(finding.basis.value, OWN, finding.basis.value)))
    return parts


def _changed(change: Change, w: Words) -> list[Resource]:
    """The verdict and, where both sizes can be compared, by how much it is larger now."""
    key = change.verdict.value
    own = _concept(w[f"verdict.{key}"], OWN, key)
    if change.verdict in VERDICTS:
        own["coding"].insert(0, _coding(SNOMED, *VERDICTS[change.verdict]))
    parts = [_component("verdict", valueCodeableConcept=own)]
    if change.size is not None:
        parts.append(_component("change", valueQuantity=_quantity(change.size.change_mm, "mm")))
        if change.verdict in DIRECTIONS:
            code, display = DIRECTIONS[change.verdict]
            parts[-1]["interpretation"] = [{"coding": [_coding(INTERPRETATION, code, display)]}]
    return parts


def _verdict(parts: Mapping[str, Any]) -> str | None:
    """The verdict that components tell. Raises ValueError where their codes for it contradict each other."""
    if "verdict" not in parts:
        return None
    told = {one["system"]: one["code"] for one in parts["verdict"]["valueCodeableConcept"]["coding"]}
    verdict = Verdict(told[OWN])
    known, up_or_down = VERDICTS.get(verdict), parts.get("change", {}).get("interpretation")
    direction = up_or_down[0]["coding"][0]["code"] if up_or_down else None
    wanted = DIRECTIONS.get(verdict, (None,))[0] if "change" in parts else None
    if told.get(SNOMED) != (known and known.value) or direction != wanted:
        raise ValueError(f"verdict {verdict.value} with codes of another one")
    return verdict.value


def _observations(text: str, code: str) -> list[Resource]:
    """A bundle's Observations of one kind."""
    resources = [one["resource"] for one in json.loads(text)["entry"]]
    found = [one for one in resources if one["resourceType"] == "Observation"]
    return [one for one in found if one["code"]["coding"][0]["code"] == code]


def _said(form: Mapping[str, Any]) -> Said:
    parts = {one["code"]["coding"][0]["code"]: one for one in form["component"]}

    def code(name: str) -> str | None:
        return str(parts[name]["valueCodeableConcept"]["coding"][0]["code"]) if name in parts else None

    sides = {value.value: side for side, value in SIDES.items()}
    codings = form.get("bodySite", {}).get("coding", [])
    own = next(one for one in form["valueCodeableConcept"]["coding"] if one["system"] == OWN)
    box = tuple(map(float, json.loads(parts["box_px"]["valueString"]))) if "box_px" in parts else None
    return Said(
        number=int(form["identifier"][0]["value"]),
        type=str(own["code"]),
        score=float(parts["confidence"]["valueQuantity"]["value"]),
        band=str(code("band")),
        side=next((sides[one["code"]] for one in codings if one["code"] in sides), None),
        zone=code("zone"),
        depth=code("depth"),
        size_mm=float(parts["size"]["valueQuantity"]["value"]) if "size" in parts else None,
        size_plane=code("size_plane"),
        box_px=box,
        verdict=_verdict(parts),
        change_mm=float(parts["change"]["valueQuantity"]["value"]) if "change" in parts else None,
    )


def _type(finding: Finding, w: Words) -> Resource:
    """A type of finding by SNOMED's code, where it has one, and always by the model's own label."""
    code: Code | None = code_of(finding.type)
    own = _coding(OWN, label_code(finding.type), _short(finding.type))
    return {"coding": [*([_coding(SNOMED, *code)] if code else []), own], "text": _short(w.name(finding.type))}


def _component(name: str, **value: Any) -> Resource:
    return {"code": {"coding": [_coding(OWN, name, name)]}, **value}


def _quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def _concept(text: str, system: str, code: str, display: str | None = None) -> Resource:
    return {"coding": [_coding(system, code, display or text)], "text": text}


def _coding(system: str, code: str, display: str) -> Resource:
    return {"system": system, "code": code, "display": display}


def _reference(report: Report, name: str) -> Resource:
    return {"reference": _url(report, name)}


def _url(report: Report, name: str) -> str:
    """The name of a resource: the same for the same report."""
    return uuid.uuid5(SPACE, f"{report.study}/{report.provenance.created}/{name}").urn


def _short(text: str) -> str:
    """A value on one line and of bearable length: FHIR's codes allow single spaces alone."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST]
