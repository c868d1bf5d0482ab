import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread

from radvit.errors import ConfigError, DataError, RadvitError
from radvit.records import Basis, Location
from radvit.report.build import Band
from radvit.report.dicom_header import clean, label_code
from radvit.report.sr import read_sr, to_sr
from radvit.report.words_en import ENGLISH
from radvit.report.words_zh import CHINESE

LABELS = (
    "nodule",
    "Effusion",
    "pleural effusion",
    "Mass",
    "Pleural_Thickening",
    "no such type as this one",
    "结节样影",
)
HOSTILE = (
    "<script>alert(1)</script>",
    "x" * 65536,
    "\u202egnp.exe\u202c",
    "a\\b\\c",
    "a\r\nb",
    "\x00\x1b[2J\x7f",
    "\ud800",
    "",
)


def read(data):
    return dcmread(BytesIO(data))


def nodes(node, kind=None):
    """Every content item below one, of one value type where it is named."""
    for child in node.get("ContentSequence", ()):
        if kind in (None, child.ValueType):
            yield child
        yield from nodes(child, kind)


def texts(dataset, name):
    """Texts below a concept's meaning, in order."""
    return [i.TextValue for i in nodes(dataset, "TEXT") if i.ConceptNameCodeSequence[0].CodeMeaning == name]


def codes(dataset, name):
    """(scheme, value, meaning) below a concept's meaning, in order."""
    found = [
        i.ConceptCodeSequence[0] for i in nodes(dataset, "CODE") if i.ConceptNameCodeSequence[0].CodeMeaning == name
    ]
    return [(c.CodingSchemeDesignator, c.get("CodeValue") or c.LongCodeValue, c.CodeMeaning) for c in found]


def same(found, entry, images):
    """Whether a finding that was read is the one that was written."""
    finding, header = entry.finding, images[entry.image - 1].header
    plain = (found.number, found.type, found.band, found.side, found.zone, found.image_uid, found.frame)
    location = finding.location
    wanted = (entry.number, finding.type, entry.band, location.side, location.zone, header.image, header.frame)
    assert plain == wanted
    assert found.score == pytest.approx(finding.score, rel=1e-6)
    assert found.size_mm == (None if finding.size_mm is None else pytest.approx(finding.size_mm, rel=1e-6))
    assert found.box_px == (None if finding.box_px is None else pytest.approx(finding.box_px, rel=1e-6))


def any_report(make, rng):
    """A report drawn at random: up to three images, up to eight findings."""
    groups = []
    for number in range(rng.randint(1, 3)):
        group = []
        for _ in range(rng.randint(0, 4)):
            x, y = rng.uniform(0, 500), rng.uniform(0, 700)
            box = (x, y, x + rng.uniform(1, 100), y + rng.uniform(1, 100))
            place = Location(rng.choice(("left", "right", None)), rng.choice(("upper", "middle", "lower", None)))
            size = rng.choice((None, rng.uniform(0.5, 300)))
            label, score, image = rng.choice(LABELS), rng.uniform(0.3, 1), f"2.25.{12 + number}"
            made = make.finding(score, label, box, size, image, place)
            whole = replace(made, box_px=None, size_mm=None, basis=Basis.IMAGE)
            group.append(rng.choice((made, whole, replace(made, basis=Basis.ATTENTION))))
        groups.append(group)
    return make.report(*groups)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dciodvfy_finds_no_error(make, validated, language):
    for name, report in make.dicom_cases().items():
        assert (name, validated(to_sr(report, language))) == (name, [])


@pytest.mark.parametrize("seed", range(50))
def test_what_was_written_is_read(make, seed):
    report = any_report(make, random.Random(seed))
    found = read_sr(to_sr(report, "en" if seed % 2 else "zh"))
    assert len(found) == len(report.findings)
    for read_one, entry in zip(found, report.findings, strict=True):
        same(read_one, entry, report.images)


def test_every_kind_of_report_is_read(make):
    for report in make.dicom_cases().values():
        for found, entry in zip(read_sr(to_sr(report, "en")), report.findings, strict=True):
            same(found, entry, report.images)


def test_a_number_too_long_for_its_text_comes_back_exactly(make):
    report = make.report([make.finding(1 / 3, size=1e5 / 7)])
    (found,) = read_sr(to_sr(report, "en"))
    assert (found.score, found.size_mm) == (1 / 3, 1e5 / 7)
    values = [i.MeasuredValueSequence[0] for i in nodes(read(to_sr(report, "en")), "NUM")]
    assert all(len(str(value.NumericValue)) <= 16 for value in values)
    exact = read(to_sr(make.report([make.finding(0.75)]), "en"))
    assert not any("FloatingPointValue" in i.MeasuredValueSequence[0] for i in nodes(exact, "NUM"))


def test_highdicom_reads_the_same(make, tmp_path):
    highdicom = pytest.importorskip("highdicom")
    report = make.report([make.finding(0.9, size=14.5)], [make.whole(0.6)])
    path = tmp_path / "sr.dcm"
    path.write_bytes(to_sr(report, "en"))
    content = highdicom.sr.srread(path).content
    (boxed,) = content.get_planar_roi_measurement_groups()
    assert boxed.tracking_identifier == "Finding 1"
    assert boxed.roi.graphic_type.value == "POLYLINE"
    corners = [[100, 50], [150, 50], [150, 120], [100, 120], [100, 50]]
    assert boxed.roi.value.tolist() == corners
    assert [site.laterality.meaning for site in boxed.finding_sites] == ["Right"]
    assert [(m.name.meaning, m.value, m.unit.value) for m in boxed.get_measurements()] == [
        ("Confidence", 0.9, "1"),
        ("Long Axis", 14.5, "mm"),
    ]
    (imaged,) = content.get_image_measurement_groups()
    assert imaged.tracking_identifier == "Finding 2"
    assert imaged.finding_type.value == "233604007"
    assert imaged.source_images[0].referenced_sop_instance_uid == "2.25.13"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dsrdump_prints_the_tree(make, tmp_path, language):
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump, of DCMTK, is not installed")
    for name, report in make.dicom_cases().items():
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(to_sr(report, language))
        done = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False, errors="replace")
        assert done.returncode == 0, done.stderr
        assert "E: " not in done.stderr
        numbers = [int(n) for n in re.findall(r'Tracking Identifier"\)="Finding (\d+)"', done.stdout)]
        assert numbers == [entry.number for entry in report.findings]


def test_no_finding_leaves_measurements_empty_and_says_so(make):
    dataset = read(to_sr(make.report([]), "en"))
    (measurements,) = [
        i for i in dataset.ContentSequence if i.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    ]
    assert "ContentSequence" not in measurements
    said = texts(dataset, "Impression")
    assert said == [ENGLISH["impression.none"].format(threshold="0.50"), ENGLISH["impression.caution"]]


def test_sentences_stand_in_the_language_that_the_file_names(make):
    report = make.report([make.finding(0.9)])
    for language, table in (("en", ENGLISH), ("zh", CHINESE)):
        dataset = read(to_sr(report, language))
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert codes(dataset, "Language of Content Item and Descendants")[0][:2] == ("RFC5646", language)
        assert texts(dataset, "Comment") == [table["subtitle"], table["research"]]
        assert codes(dataset, "Band of confidence") == [("99RADVIT", "band.high", table["band.high"])]
    with pytest.raises(ConfigError, match="language 'fr'"):
        to_sr(report, "fr")


def test_a_known_type_has_a_code_of_snomed_another_one_of_ours(make):
    report = make.report([make.finding(0.9, "Effusion"), make.finding(0.8, "no such type as this one")])
    dataset = read(to_sr(report, "en"))
    assert codes(dataset, "Finding") == [
        ("SCT", "60046008", "Pleural effusion"),
        ("99RADVIT", "no such type as this one", "no such type as this one"),
    ]
    assert [found.type for found in read_sr(to_sr(report, "en"))] == ["Effusion", "no such type as this one"]


def test_a_site_is_the_lung_only_where_it_can_be(make):
    def site(label, **changes):
        return codes(read(to_sr(make.report([make.finding(0.9, label)], **changes), "en")), "Finding Site")[0][1]

    assert site("nodule") == site("nodule", body_part=None) == "39607008"
    assert site("cardiomegaly") == "51185008"
    assert site("nodule", body_part="HAND") == "123037004"


def test_a_box_that_is_only_where_a_classifier_looked_is_called_that(make):
    weak, strong = (read(to_sr(make.report([made]), "en")) for made in (make.weak(0.6), make.finding(0.6)))
    assert codes(weak, "What the finding rests on") == [("99RADVIT", "basis.attention", ENGLISH["basis.attention"])]
    assert codes(strong, "What the finding rests on") == []


def test_a_size_says_its_plane(make):
    dataset = read(to_sr(make.report([make.finding(0.9)]), "en"))
    assert codes(dataset, "Measurement Method") == [("99RADVIT", "plane.detector", ENGLISH["plane.detector"])]
    assert codes(read(to_sr(make.report([make.finding(0.9, size=None)]), "en")), "Measurement Method") == []


def test_each_file_is_evidence_once_and_frames_are_named(make):
    cases = make.dicom_cases()
    dataset = read(to_sr(cases["frames"], "en"))
    (study,) = dataset.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence] == ["2.25.12"]
    assert [found.frame for found in read_sr(to_sr(cases["frames"], "en"))] == [0, 1]
    many = read(to_sr(cases["series"], "en")).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [i.SeriesInstanceUID for i in many] == ["2.25.11", "2.25.99"]
    single = [i.ReferencedSOPSequence[0] for i in nodes(read(to_sr(cases["one"], "en")), "IMAGE")]
    assert not any("ReferencedFrameNumber" in i for i in single)
    assert {i.ReferencedSOPClassUID for i in single} == {"1.2.840.10008.5.1.4.1.1.1.1"}


def test_who_it_is_of_and_how_far_it_is_to_be_trusted(make):
    dataset = read(to_sr(make.report([make.finding(0.9)]), "en"))
    assert dataset.PatientID == dataset.PatientName == "P-ABCDEFGHIJKLMNOP"
    assert (dataset.PatientIdentityRemoved, bool(dataset.DeidentificationMethod)) == ("YES", True)
    assert (dataset.StudyInstanceUID, dataset.StudyDate, dataset.PatientSex) == ("2.25.10", "20200203", "F")
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260102", "030405")
    assert (dataset.Manufacturer, dataset.ManufacturerModelName) == ("radvit", "model-x")
    flags = (dataset.VerificationFlag, dataset.CompletionFlag, dataset.PreliminaryFlag)
    assert flags == ("UNVERIFIED", "COMPLETE", "PRELIMINARY")
    assert read(to_sr(make.dicom_cases()["refused"], "en")).CompletionFlag == "PARTIAL"


def test_uids_follow_from_study_weights_and_moment_alone(make):
    report = make.report([make.finding(0.9)])
    assert to_sr(report, "en") == to_sr(report, "en")
    later = replace(report, provenance=replace(report.provenance, created="2026-01-02T03:04:06Z"))
    other = replace(report, provenance=replace(report.provenance, weights="ef" * 32))
    made = [read(to_sr(one, "en")) for one in (report, later, other)] + [read(to_sr(report, "zh"))]
    assert len({dataset.SOPInstanceUID for dataset in made}) == 4
    assert all(re.fullmatch(r"2\.25\.\d{1,39}", dataset.SOPInstanceUID) for dataset in made)


def test_a_moment_elsewhere_is_told_in_utc(make):
    report = make.report([])
    there = replace(report, provenance=replace(report.provenance, created="2026-01-02T01:04:05.5+02:00"))
    dataset = read(to_sr(there, "en"))
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260101", "230405")
    with pytest.raises(DataError, match="ISO 8601"):
        to_sr(replace(report, provenance=replace(report.provenance, created="yesterday")), "en")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["label", "patient", "body_part", "model"])
def test_hostile_text_leaves_a_valid_file(make, validated, text, where):
    report = make.report([make.finding(0.9, text if where == "label" else "nodule"), make.whole(0.4, "mass")])
    if where == "patient":
        report = replace(report, patient=text)
    if where == "body_part":
        report = make.with_headers(report, {"body_part": text})
    if where == "model":
        report = replace(report, provenance=replace(report.provenance, model=text, version=text, precision=text))
    data = to_sr(report, "zh")
    assert validated(data) == []
    assert len(data) < 100_000
    assert [found.number for found in read_sr(data)] == [1, 2]
    for node in nodes(read(data)):
        meaning = node.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in node else ""
        for said in (str(node.get("TextValue", "")), meaning):
            assert not set(said) & set("\\\u202e\u202c\x00\x1b\r\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_uid_is_refused(make, text):
    report = make.report([make.finding(0.9)])
    for broken in (
        replace(report, study=text),
        make.with_headers(report, {"series": text}),
        make.with_headers(report, {"image": text}),
        *([make.with_headers(report, {"sop_class": text})] if text else []),
    ):
        with pytest.raises(DataError, match="no UID"):
            to_sr(broken, "en")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_a_number_that_is_none_is_refused(make, value):
    with pytest.raises(DataError, match="finite"):
        to_sr(make.report([make.finding(0.9, box=(0.0, 0.0, 1.0, value))]), "en")
    with pytest.raises(DataError, match="finite"):
        to_sr(make.report([make.finding(0.9, size=value)]), "en")


def test_two_labels_that_look_alike_once_cleaned_stay_two():
    assert label_code("nodule") == "nodule"
    assert (
        len({label_code(label) for label in ("a b", "a\nb", "a\tb", "a\\b", "a/b", "x" * 64, "x" * 65, "x" * 99)}) == 8
    )
    assert all(len(label_code(label)) <= 64 for label in (*HOSTILE, "x" * 65))


def test_text_is_cut_to_size():
    assert clean("a  b\n\tc", 64) == "a b c"
    assert clean("x" * 70, 64) == "x" * 61 + "…"
    assert clean("节" * 70, 64) == "节" * 20 + "…"  # bytes count, whatever the script
    assert clean(" " * 999 + "x", 64) == "…"
    assert clean("\u202e\x00", 64) == ""


def test_what_is_no_report_is_refused(make):
    data = to_sr(make.report([make.finding(0.9)]), "en")
    for broken in (b"", b"DICM" * 99, data[:600], data[: len(data) // 2], data.replace(b"Finding 1", b"Finding x")):
        with pytest.raises(RadvitError, match="no report by radvit"):
            read_sr(broken)


def test_bands_come_back(make):
    report = make.report([make.finding(score) for score in (0.9, 0.6, 0.4)])
    assert [found.band for found in read_sr(to_sr(report, "en"))] == [Band.HIGH, Band.MODERATE, Band.LOW]


def test_importing_the_forms_loads_no_dicom_and_writing_one_no_model():
    code = """
import sys
import radvit.report.capture, radvit.report.encapsulated, radvit.report.sr
assert not {"pydicom", "highdicom", "torch"} & set(sys.modules)
from radvit.deid import scrub
assert not {"highdicom", "torch", "onnxruntime", "rapidocr"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_frames_of_a_kind_of_file_that_should_have_none_keep_their_numbers(make):
    frames = make.dicom_cases()["frames"]
    dx = {"image": "2.25.12", "sop_class": "1.2.840.10008.5.1.4.1.1.1.1"}
    odd = make.with_headers(frames, dx, dx | {"frame": 1})
    assert [found.frame for found in read_sr(to_sr(odd, "en"))] == [0, 1]
