import json
from dataclasses import replace

import pytest

from radvit.errors import DataError
from radvit.records import Basis, Finding, Location
from radvit.report.fhir import read_fhir, read_prior, to_fhir
from radvit.report.verdicts import Comparison, Status
from radvit.report.wording import words
from radvit.report.wording_comparison import told


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


def test_a_comparison_stands_in_an_observation_of_its_own_beside_the_earlier_study(make):
    report = make.compared()
    found = resources(report)
    by_url = {one["fullUrl"]: one["resource"] for one in json.loads(to_fhir(report, "en"))["entry"]}
    comparison, prior = found[-2:]
    assert comparison["code"]["coding"][0]["code"] == "18834-2"
    assert by_url[comparison["derivedFrom"][1]["reference"]] == prior
    assert prior["identifier"] == [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.9"}]
    assert prior["started"] == "2019-02-03"
    for sentence in told(report.comparison, words("en")):
        assert sentence in found[0]["conclusion"]
        assert sentence in comparison["note"][0]["text"]
    assert by_url[found[0]["result"][-1]["reference"]] == comparison
    assert read_prior(to_fhir(report, "zh")) == ("2.25.9", "2019-02-03")


def test_what_became_of_a_finding_stands_in_its_observation(make):
    report = make.compared()
    said = read_fhir(to_fhir(report, "zh"))
    assert [one.verdict for one in said] == ["grown", "shrunk", "stable", "seen", "new", "new", "unclear"]
    assert [one.change_mm for one in said[:4]] == [20.123456789 - 10, -9.0, -0.5, None]
    parts = [{part["code"]["coding"][0]["code"]: part for part in one["component"]} for one in resources(report)[4:11]]
    directions = [one.get("change", {}).get("interpretation", [{}])[0] for one in parts]
    assert [one["coding"][0]["code"] for one in directions[:2]] == ["U", "D"]
    assert directions[2:] == [{}] * 5
    assert parts[0]["verdict"]["valueCodeableConcept"]["coding"][0]["code"] == "15454001"
    assert [len(one["verdict"]["valueCodeableConcept"]["coding"]) for one in parts] == [2, 2, 1, 1, 1, 1, 1]


def test_a_study_that_was_not_compared_says_why(make):
    report = replace(make.report([]), comparison=Comparison(Status.NO_PRIOR))
    diagnosis, *_, comparison = resources(report)
    sentence = words("en")["comparison.no_prior"]
    assert comparison["note"] == [{"text": sentence}]
    assert sentence in diagnosis["conclusion"]
    assert read_prior(to_fhir(report, "en")) is None
    assert read_fhir(to_fhir(report, "en")) == ()
    assert read_prior(to_fhir(make.report([]), "en")) is None
    with pytest.raises(DataError, match="not a report of FHIR"):
        read_prior('{"entry": [{"resource": {"resourceType": "Observation"}}]}')


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\x00b\r\n\tc", "\u202eevil", '"}]}'])
def test_a_hostile_earlier_study_is_a_value_or_refused(text, make):
    report = make.compared()
    prior = report.comparison.prior
    named = replace(report, comparison=replace(report.comparison, prior=replace(prior, study=text)))
    value = json.loads(to_fhir(named, "en"))["entry"][-1]["resource"]["identifier"][0]["value"]
    assert all(c.isprintable() for c in value)
    dated = replace(report, comparison=replace(report.comparison, prior=replace(prior, date=text)))
    with pytest.raises(DataError, match="no FHIR bundle can be made"):
        to_fhir(dated, "en")
