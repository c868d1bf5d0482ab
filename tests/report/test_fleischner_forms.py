"""The guideline in the forms of a report: the same in all of them, and nowhere for a projection image."""

import html
import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError
from radvit.inference.predictor import predict_folder
from radvit.records import Boxes, SpacingPlane
from radvit.report import wording
from radvit.report.build import Bands, build_report
from radvit.report.check import FHIR, PAGE, PDF, SR, differences, pdf_text, sentences
from radvit.report.fhir import to_fhir
from radvit.report.fleischner import Advice, Density, Fleischner, Reason, Risk, Stated
from radvit.report.forms import Form
from radvit.report.html import to_html
from radvit.report.json_form import to_dict
from radvit.report.json_read import from_dict, read_report
from radvit.report.pdf import check_pdf, to_pdf
from radvit.report.priors import compare_reports
from radvit.report.schema import misfits
from radvit.report.sr import to_sr
from radvit.report.verdicts import Criteria
from radvit.report.write import Answers, StudyWriter

from .random_reports import drawn

CT_SLICE = "1.2.840.10008.5.1.4.1.1.2"
SOLID = Stated(Density.SOLID, Risk.LOW, True)
CHANGED = {  # what stands in the sentences of `ct`, and what doesn't follow from it
    "en": [
        ("at 18-24 months", "at 12-24 months"),
        ("at 6-12 months", "at 3-6 months"),
        ("of 7 mm", "of 5 mm"),
        (": 7 mm", ": 8 mm"),
        ("low risk", "high risk"),
        ("solid nodule of", "part-solid nodule of"),
        ("age 63 years", "age 36 years"),
    ],
    "zh": [
        ("在 18-24 个月", "在 12-24 个月"),
        ("6-12 个月", "3-6 个月"),
        ("，7 mm", "，5 mm"),
        ("：7 mm", "：8 mm"),
        ("低风险", "高风险"),
        ("单发实性", "单发磨玻璃"),
        ("年龄 63 岁", "年龄 36 岁"),
    ],
}


def ct(make, stated=SOLID, sides=(40.0, 30.0), **changes):
    """The report of an axial CT slice with one nodule; its pixels are 0.2 mm large."""
    told = {"modality": "CT", "view": None, "sop_class": CT_SLICE, "patient_orientation": ("L", "P")} | changes
    result = make.study(**told)
    axes = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    geometry = replace(make.geometry, plane=SpacingPlane.PATIENT, position_mm=(0.0, 0.0, 0.0), axes=axes)
    result = replace(result, images=(replace(result.images[0], geometry=geometry),))
    found = make.finding(0.9, box=(10.0, 20.0, 10.0 + sides[0], 20.0 + sides[1]), size=0.2 * max(sides))
    return build_report(result, [[found]], ("nodule",), Bands(), make.provenance, stated=stated)


def written(report, language):
    """The page, and every form that is read back, by file name."""
    page = to_html(report, (), language)
    return page, {
        PAGE: page.encode(),
        PDF: to_pdf(page),
        SR: to_sr(report, language),
        FHIR: to_fhir(report, language).encode(),
    }


def with_texts(data, change):
    """A Structured Report whose recommendations are others; change: of the list of their sentences."""
    dataset = dcmread(BytesIO(data))
    (held,) = [one for one in dataset.ContentSequence if _meaning(one) == "Qualitative Evaluations"]
    old = [one for one in held.ContentSequence if _meaning(one) == "Recommendation"]
    new = []
    for text in change([one.TextValue for one in old]):
        node = dcmread(BytesIO(data)).ContentSequence[-1].ContentSequence[0]
        node.ConceptNameCodeSequence, node.TextValue = old[0].ConceptNameCodeSequence, text
        new.append(node)
    others = [one for one in held.ContentSequence if one not in old]
    at = list(held.ContentSequence).index(old[0])
    held.ContentSequence = [*others[:at], *new, *others[at:]]
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _meaning(node):
    return node.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in node else ""


@pytest.fixture(params=["en", "zh"])
def language(request):
    check_pdf(request.param)
    return request.param


def test_the_words():
    w = wording.words("en")
    made = Fleischner((1,), (6.5,), False, "063Y", SOLID, (), Advice.CT_6_12_CONSIDER_18_24)
    assert wording.guideline(made, w) == [
        "Fleischner Society 2017 (MacMahon et al., Radiology 2017;284:228-243) for a single solid nodule of 7 mm at "
        "low risk: CT at 6-12 months, then consider CT at 18-24 months.",
        "Applied to finding 1: 7 mm, the mean of the long and the short side of the model's box on an axial slice, in "
        "whole mm; age 63 years; density, risk, and incidental nodules of a patient without known cancer or "
        "immunosuppression, as stated for the whole run, unchecked.",
        "This cites a guideline and is no advice on the care of a patient.",
    ]
    stated = Stated(Density.GROUND_GLASS, Risk.HIGH, True)
    made = Fleischner((1, 3), (6.5, 4.0), True, "063Y", stated, (), Advice.CT_3_6_MOST_SUSPICIOUS)
    first, inputs, _ = wording.guideline(made, w)
    assert "several subsolid (ground-glass) nodules, the largest of 7 mm: CT at 3-6 months, subsequent" in first
    assert "Applied to findings 1 and 3: 7 and 4 mm" in inputs
    assert "risk" not in first + inputs  # which this part of the table doesn't ask for
    made = Fleischner((2,), (6.5,), False, None, Stated(), (Reason.AGE, Reason.DENSITY))
    assert wording.guideline(made, w) == [
        "Fleischner Society 2017 (MacMahon et al., Radiology 2017;284:228-243) is not applicable to finding 2: the "
        "patient's age is unknown; density was not stated."
    ]


def test_every_form_says_the_same(make, language):
    w = wording.words(language)
    for report in (ct(make), ct(make, Stated()), ct(make, Stated(Density.PART_SOLID, None, True))):
        page, forms = written(report, language)
        assert differences(report, forms, language, page) == []
        same = with_texts(forms[SR], lambda texts: texts)  # what the tests below change other sentences in
        assert differences(report, forms | {SR: same}, language, page) == []
        for sentence in wording.guideline(report.fleischner, w):
            assert html.escape(sentence, quote=False) in page.replace("&#39;", "'")
            assert "".join(sentence.split()) in "".join(pdf_text(forms[PDF]).split())
            assert sentence in forms[FHIR].decode()
            assert sentence.encode() in forms[SR]


@pytest.mark.parametrize("case", range(7))
def test_a_changed_interval_size_or_input_is_caught_in_every_form(case, make, language):
    report = ct(make)
    page, forms = written(report, language)
    old, new = CHANGED[language][case]

    def changed(text):
        assert old in text
        return text.replace(old, new)

    said = wording.recommendations(report, wording.words(language))
    (place,) = [n for n, sentence in enumerate(said) if old in sentence]
    bad = {
        PAGE: changed(page).encode(),
        PDF: to_pdf(changed(page)),
        FHIR: changed(forms[FHIR].decode()).encode(),
        SR: with_texts(forms[SR], lambda texts: [*texts[:place], changed(texts[place]), *texts[place + 1 :]]),
    }
    for name, content in bad.items():
        found = differences(report, forms | {name: content}, language, page)
        assert found, name
        assert all(one.startswith(f"{name}: ") for one in found)


@pytest.mark.parametrize("case", ["none", "not"])
def test_an_interval_that_does_not_follow_is_caught_in_every_form(case, make, language):
    """Of a radiograph, and of a CT slice that the guideline can't be applied to."""
    report = make.report([make.finding(0.9)]) if case == "none" else ct(make, Stated())
    page, forms = written(report, language)
    assert differences(report, forms, language, page) == []
    untrue = wording.guideline(ct(make).fleischner, wording.words(language))[0]
    last = wording.recommendations(report, wording.words(language))[-1]
    shown = html.escape(last, quote=False).replace("'", "&#39;")
    assert shown in page
    worse = page.replace(f"<p>{shown}</p>", f"<p>{shown}</p><p>{untrue}</p>")
    assert worse != page
    bad = {
        PAGE: worse.encode(),
        PDF: to_pdf(worse),
        FHIR: forms[FHIR].decode().replace(last, f"{last} {untrue}").encode(),
        SR: with_texts(forms[SR], lambda texts: [*texts, untrue]),
    }
    for name, content in bad.items():
        assert differences(report, forms | {name: content}, language, page), name


def test_no_projection_image_has_an_interval_in_any_form(language):
    w = wording.words(language)
    for seed in range(40):
        report = drawn(seed)
        assert report.fleischner is None
        assert wording.recommendations(report, w) == [wording.recommendation(report, w)]
        told = " ".join([*sentences(report, w), to_html(report, (), language), to_fhir(report, language)])
        assert "Fleischner" not in told
        assert not [one for one in wording.intervals(report, w) if one in told]


def test_data_survives_the_round_trip_and_fits_the_schema(make):
    for report in (ct(make), ct(make, Stated()), ct(make, age=None), ct(make, Stated(Density.PART_SOLID, None, True))):
        form = json.loads(json.dumps(to_dict(report)))
        assert misfits(form) == []
        assert from_dict(form) == report
    assert to_dict(make.report([make.finding(0.9)]))["fleischner"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("advice", "optional_12"),
        ("advice", None),
        ("sizes_mm", [5.0]),
        ("sizes_mm", [7.001]),
        ("several", True),
        ("age", "036Y"),
        ("numbers", [2]),
        ("applied", False),
        ("reasons", ["age"]),
        ("stated", {"density": "solid", "risk": "high", "incidental": True}),
        ("stated", {"density": None, "risk": None, "incidental": False}),
    ],
)
def test_data_from_which_the_guideline_does_not_follow_is_refused(name, value, make):
    form = to_dict(ct(make))
    form["fleischner"][name] = value
    with pytest.raises(ValueError, match=r"fleischner|guideline's table|density None"):
        from_dict(form)


def test_data_of_a_radiograph_with_an_interval_is_refused(make, tmp_path):
    form = to_dict(make.report([make.finding(0.9)])) | {"fleischner": to_dict(ct(make))["fleischner"]}
    (tmp_path / "findings.json").write_text(json.dumps(form))
    with pytest.raises(DataError, match="from its findings follows None"):
        read_report(tmp_path / "findings.json")
    form = to_dict(ct(make)) | {"fleischner": None}
    with pytest.raises(ValueError, match="fleischner None; from its findings follows"):
        from_dict(form)


def test_a_hostile_age_or_label_reaches_no_sentence(make, language):
    report = ct(make, age="<b>'\n")
    assert report.fleischner.reasons == (Reason.AGE,)
    page, forms = written(report, language)
    assert differences(report, forms, language, page) == []
    assert "<b>'" not in page
    assert not [one for one in wording.guideline(report.fleischner, wording.words(language)) if "<b>" in one]


class Square:
    """A box of 8 x 8 model pixels around the brightest one."""

    def __call__(self, images):
        boxes = []
        for image in images[:, 0]:
            y, x = np.unravel_index(image.argmax(), image.shape)
            boxes.append(np.array([[x, y, x + 8, y + 8]], np.float32))
        score = np.array([0.9], np.float32)
        return np.full((len(images), 1), 0.9, np.float32), [Boxes(box, score, np.zeros(1, np.int64)) for box in boxes]


def ct_file(grey_file, name, number, **attributes):
    """A chest CT slice of 64 x 64 pixels of 0.5 mm in Hounsfield units, with a nodule of 16 x 16 pixels."""
    pixels = np.full((64, 64), -800, np.int16)
    pixels[20:36, 12:28] = 40
    told = {
        "SOPClassUID": CT_SLICE,
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "PatientAge": "063Y",
        "StudyDate": "20240102",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "PixelSpacing": [0.5, 0.5],
        "ImagePositionPatient": [-20, -20, float(number)],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "WindowCenter": -600,
        "WindowWidth": 1500,
    }
    return grey_file(pixels, name, **(told | attributes))


def read_ct(tmp_path, language, stated):
    """The only report of the files below tmp_path/in, with its folder."""
    forms = (Form.PDF, Form.SR, Form.FHIR)
    provenance = drawn(0).provenance
    writer = StudyWriter(
        tmp_path / "out", ("nodule",), Answers.BOXES, provenance, Bands(), language, forms=forms, stated=stated
    )
    loader = Loader(Pseudonymizer(bytes(range(32))))
    totals = predict_folder(
        tmp_path / "in", tmp_path / "out", loader, Preprocess(32), Square(), lambda header: None, writer, 1, 2
    )
    assert (totals.done, totals.files_failed) == (1, 0)
    (path,) = (tmp_path / "out").glob("*/findings.json")
    return read_report(path), path.parent


def test_from_a_ct_slice_to_every_form(grey_file, tmp_path, language):
    ct_file(grey_file, "in/1.dcm", 1)
    report, folder = read_ct(tmp_path, language, SOLID)
    assert report.fleischner == Fleischner((1,), (8.0,), False, "063Y", SOLID, (), Advice.CT_6_12_CONSIDER_18_24)
    first, *_ = wording.guideline(report.fleischner, wording.words(language))
    assert first in (folder / PAGE).read_text()
    assert first in (folder / FHIR).read_text()
    sr = dcmread(folder / SR)
    assert "CT unspecified body region" in str(sr)
    assert "Computed Tomography" in str(sr)
    assert f"<h1>{wording.words(language)['title.images']}</h1>" in (folder / PAGE).read_text()
    compare_reports(tmp_path / "out", Criteria(), language)  # which writes all forms anew
    again = read_report(folder / "findings.json")
    assert again.comparison is not None
    assert again.fleischner == report.fleischner
    assert first in (folder / PAGE).read_text()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "slice"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "slice"),
        ({"BodyPartExamined": ""}, "body"),
        ({"PatientAge": ""}, "age"),
        ({"PixelSpacing": None}, "size"),
    ],
)
def test_ct_files_that_tell_too_little(changes, reason, grey_file, tmp_path):
    ct_file(grey_file, "in/1.dcm", 1, **changes)
    report, folder = read_ct(tmp_path, "en", SOLID)
    assert Reason(reason) in report.fleischner.reasons
    assert report.fleischner.advice is None
    assert "is not applicable to finding 1" in (folder / PAGE).read_text()


def test_two_slices_may_show_one_nodule(grey_file, tmp_path):
    for number in (1, 2):
        ct_file(grey_file, f"in/{number}.dcm", number)
    report, _ = read_ct(tmp_path, "en", SOLID)
    assert (report.fleischner.numbers, report.fleischner.reasons) == ((1, 2), (Reason.SAME,))
