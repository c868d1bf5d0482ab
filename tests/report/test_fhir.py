import json
from dataclasses import replace

import pytest

from radvit.errors import DataError
from radvit.records import Basis, Finding, Location
from radvit.report.fhir import read_fhir, to_fhir


def resources(report, language="en"):
    return [one["resource"] for one in json.loads(to_fhir(report, language))["entry"]]


def test_a_bundle_holds_the_report_and_an_observation_of_each_finding(make):
    report = make.report([make.finding(0.9), make.finding(0.4)])
    diagnosis, patient, study, device, first, second = resources(report)
    assert diagnosis["status"] == first["status"] == second["status"] == "preliminary"
    assert patient["identifier"][0]["value"] == report.patient
    assert patient["gender"] == "female"
    assert study["series"][0]["instance"][0]["uid"] == "2.25.12"
    assert device["version"] == [{"value": "0.1.0"}]
    assert len(diagnosis["result"]) == 2
    assert "suspicious" in diagnosis["conclusion"]


def test_references_lead_to_resources_of_the_bundle(make):
    bundle = json.loads(to_fhir(make.report([make.finding(0.9)]), "en"))
    urls = {one["fullUrl"] for one in bundle["entry"]}

    def references(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from [inner] if key == "reference" else references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = list(references(bundle))
    assert len(found) > 5
    assert set(found) <= urls


def test_numbers_stand_unrounded_and_come_back(make):
    place = Location("left", "lower", "peripheral", "lungs", 0.7, 0.8)
    made = make.finding(0.123456789 + 0.5, box=(1.25, 2.5, 3.75, 9.125), size=7.123456789, place=place)
    (said,) = read_fhir(to_fhir(make.report([made]), "zh"))
    assert (said.score, said.size_mm, said.box_px) == (made.score, made.size_mm, made.box_px)
    assert (said.side, said.zone, said.depth, said.size_plane) == ("left", "lower", "peripheral", "detector")
    assert (said.type, said.band, said.number) == ("nodule", "moderate", 1)


def test_what_is_not_known_is_not_said(make):
    unknown = Finding("odd label", 0.7, "2.25.12", basis=Basis.IMAGE)
    report = make.report([unknown], sex=None, age=None, study_date=None)
    diagnosis, patient, study, _, observation = resources(report)
    assert "gender" not in patient
    assert "started" not in study
    assert "effectiveDateTime" not in diagnosis
    assert "bodySite" not in observation
    codes = {part["code"]["coding"][0]["code"] for part in observation["component"]}
    assert codes == {"confidence", "band", "image", "basis"}
    assert [one["system"] for one in observation["valueCodeableConcept"]["coding"]] == ["urn:radvit:codes"]


def test_the_same_report_gives_the_same_file(make):
    report = make.report([make.finding(0.9)])
    assert to_fhir(report, "en") == to_fhir(report, "en")
    assert to_fhir(report, "en") != to_fhir(replace(report, study="2.25.11"), "en")


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a\x00b\r\n\tc", "\u202eevil", "x" * 65536, '"}]}', "=1+1"]
)
def test_hostile_text_is_a_value_like_any_other(text, make):
    report = make.report([make.finding(0.9, text)], labels=(text,), modality=text[:16], body_part=text)
    report = replace(report, patient=text)
    bundle = to_fhir(report, "en")
    patient = json.loads(bundle)["entry"][1]["resource"]["identifier"][0]["value"]
    assert len(patient) <= 4096
    assert all(c.isprintable() for c in patient)
    assert read_fhir(bundle)[0].score == 0.9


def test_a_date_that_is_none_is_named(make):
    with pytest.raises(DataError, match=r"2\.25\.10: no FHIR bundle can be made"):
        to_fhir(make.report(study_date="not a date"), "en")


def test_other_files_are_refused():
    for text in ("", "{}", '{"entry": [{"resource": {"resourceType": "Observation"}}]}'):
        with pytest.raises(DataError, match="not a report of FHIR"):
            read_fhir(text)
