import json
import pickle

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file

from radvit.dicom.select import ORIENTATIONS, Selection, orientations, parse_rules, read_rules
from radvit.errors import ConfigError, DicomReadError


def header(**attributes):
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def include(**rule):
    return parse_rules({"include": [rule]})


def takes(selection, dataset):
    """Whether the selection takes it; an error of any other kind than not-selected goes through."""
    try:
        selection.check(dataset)
    except DicomReadError as error:
        if error.reason != "not-selected":
            raise
        return False
    return True


CHEST = {
    "Modality": "DX",
    "BodyPartExamined": "Chest ",
    "ViewPosition": "PA",
    "KVP": "120.0",
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "SeriesDescription": "Thorax p.a.",
    "StudyDate": "20240131",
    "PatientAge": "018M",
    "PatientName": "Doe^Jane",
    "Rows": 2140,
    "StudyID": "",
    "PixelSpacing": [0.14, 0.2],
}


@pytest.mark.parametrize(
    ("keyword", "condition", "met"),
    [
        ("Modality", "dx", True),
        ("Modality", ["CR", "DX"], True),
        ("Modality", ["CR", "MG"], False),
        ("BodyPartExamined", "CHEST", True),
        ("KVP", 120, True),
        ("KVP", "120", False),  # a text is compared as a text
        ("KVP", [110, 120.0], True),
        ("ImageType", "primary", True),
        ("ImageType", "SECONDARY", False),
        ("SeriesDescription", {"regex": "^thorax"}, True),
        ("SeriesDescription", {"regex": "lateral"}, False),
        ("StudyDate", {"min": 20240101, "max": 20240131}, True),
        ("StudyDate", {"min": 20240201}, False),
        ("PatientAge", {"min": 1.4, "max": 1.6}, True),
        ("PatientName", {"regex": "doe"}, True),
        ("Rows", {"max": 2140}, True),
        ("Rows", {"max": 2139.5}, False),
        ("PixelSpacing", {"min": 0.19}, True),
        ("PixelSpacing", {"min": 0.21}, False),
        ("Modality", {"min": 0}, False),
        ("StudyID", {"present": True}, False),
        ("StudyID", {"present": False}, True),
        ("Modality", {"present": True}, True),
        ("SOPClassUID", {"present": False}, True),
        ("SOPClassUID", {"regex": ""}, False),  # an absent attribute meets `present: false` alone
        ("SOPClassUID", {"min": -1e9}, False),
    ],
)
def test_conditions(keyword, condition, met):
    assert takes(include(**{keyword: condition}), header(**CHEST)) is met


def test_all_conditions_of_a_rule_any_include_rule_no_exclude_rule():
    rules = {
        "include": [{"Modality": "CR", "ViewPosition": "PA"}, {"Modality": "DX"}],
        "exclude": [{"ViewPosition": "LL", "Rows": {"min": 100}}],
    }
    selection = parse_rules(rules)
    taken = [
        takes(selection, header(Modality=modality, ViewPosition=view, Rows=rows))
        for modality, view, rows in [
            ("CR", "PA", 9),
            ("CR", "AP", 9),
            ("DX", "AP", 9),
            ("DX", "LL", 9),
            ("DX", "LL", 100),
        ]
    ]
    assert taken == [True, False, True, True, False]


def test_without_include_rules_all_but_the_excluded_are_taken():
    selection = parse_rules({"exclude": [{"Modality": "SR"}]})
    assert takes(selection, header(Modality="CR"))
    assert not takes(selection, header(Modality="SR"))
    assert takes(Selection(), header())


def test_codes_match_by_value_and_meaning():
    view = header(CodeValue="399348003", CodingSchemeDesignator="SCT", CodeMeaning="antero-posterior")
    dataset = header(ViewCodeSequence=[header(CodeValue="R-1", CodeMeaning="other"), view])
    assert takes(include(ViewCodeSequence="399348003"), dataset)
    assert takes(include(ViewCodeSequence={"regex": "postero|antero"}), dataset)
    assert not takes(include(ViewCodeSequence="SCT"), dataset)


@pytest.mark.parametrize(
    ("cosines", "plane"),
    [
        ([1, 0, 0, 0, 1, 0], "axial"),
        ([-1, 0, 0, 0, -1, 0], "axial"),
        ([0, 1, 0, 0, 0, -1], "sagittal"),
        ([1, 0, 0, 0, 0, -1], "coronal"),
        ([1, 0, 0, 0, 0.866, 0.5], "axial"),  # tilted by 30 degrees
        ([1, 0, 0, 0, 0.7071, 0.7071], "oblique"),
        ([1, 0, 0, 1, 0, 0], None),
        ([0] * 6, None),
        ([1, 0, 0], None),
    ],
)
def test_orientation(cosines, plane):
    dataset = header(ImageOrientationPatient=cosines)
    assert orientations(dataset) == ({plane} - {None})
    assert takes(include(orientation=list(ORIENTATIONS)), dataset) is (plane is not None)
    assert takes(include(orientation=plane or "axial"), dataset) is (plane is not None)
    assert takes(include(orientation={"present": False}), dataset) is (plane is None)


def test_functional_groups_tell_what_the_top_level_does_not():
    frames = [
        header(PlaneOrientationSequence=[header(ImageOrientationPatient=cosines)])
        for cosines in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1])
    ]
    shared = header(PixelMeasuresSequence=[header(SliceThickness="2.5")])
    dataset = header(SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames)
    assert orientations(dataset) == {"axial", "coronal"}
    assert takes(include(orientation="coronal", SliceThickness={"max": 3}), dataset)
    dataset.SliceThickness = 5
    assert not takes(include(SliceThickness={"max": 3}), dataset)


def test_a_real_file():
    assert orientations(pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))) == {"axial"}


def test_malformed_values_count_as_absent(tmp_path):
    data = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    path = tmp_path / "1.dcm"
    data.save_as(path)
    content = path.read_bytes().replace(b"1.000000\\0.000000\\0.000000", b"1.0x0000\\0.000000\\0.00zz00")
    path.write_bytes(content)
    dataset = pydicom.dcmread(path)
    assert "0x0000" in str(dataset.get_item("ImageOrientationPatient").value)
    assert orientations(dataset) == set()


def test_messages_name_rules_and_keywords_and_quote_no_value():
    dataset = header(PatientName="Doe^Jane", Modality="ZZTOP")
    rules = {"include": [{"Modality": "CR"}, {"PatientName": "x"}]}
    with pytest.raises(DicomReadError, match=r"my[.]json: not 1 for its Modality, 2 for its PatientName"):
        parse_rules(rules, "my.json").check(dataset)
    with pytest.raises(DicomReadError, match="meets exclude rule 1 of the selection") as error:
        parse_rules({"exclude": [{"PatientName": {"regex": "doe"}}]}).check(dataset)
    assert "Doe" not in str(error.value)


def test_is_read_from_a_file_and_survives_a_pickle(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"include": [{"Modality": {"regex": "^c"}}]}), "utf-8")
    selection = pickle.loads(pickle.dumps(read_rules(path)))  # noqa: S301
    assert selection == read_rules(path)
    assert selection.name == "rules.json"
    assert takes(selection, header(Modality="CR"))
    assert not takes(selection, header(Modality="DX"))


def test_a_check_leaves_the_data_set_as_it_is(grey_dataset):
    import numpy as np

    dataset = grey_dataset(np.zeros((2, 2), np.uint16))
    before = dataset.to_json()
    include(Modality="CR", orientation={"present": False}, ViewCodeSequence={"present": False}).check(dataset)
    assert dataset.to_json() == before


def test_every_problem_is_named():
    rules = {
        "include": [{"Modalty": "CR", "Rows": {"min": 5, "max": 1}}, {}, {"Rows": True, "StudyID": {"regex": "("}}],
        "exclude": {"Modality": "CR"},
    }
    with pytest.raises(ConfigError) as error:
        parse_rules(rules, "rules.json")
    message = str(error.value)
    for part in (
        "include rule 1, Modalty: no keyword of PS3.6; did you mean Modality?",
        "include rule 1, Rows",
        "include rule 2",
        "include rule 3, Rows: true",
        "include rule 3, StudyID",
        "exclude",
    ):
        assert part in message


@pytest.mark.parametrize(
    "rules",
    [
        [],
        {},
        {"include": []},
        {"includes": [{"Modality": "CR"}]},
        {"include": [{"Modality": []}]},
        {"include": [{"Modality": ""}]},
        {"include": [{"Modality": None}]},
        {"include": [{"Modality": {}}]},
        {"include": [{"Modality": {"present": 1}}]},
        {"include": [{"Modality": {"regex": "a", "min": 1}}]},
        {"include": [{"Rows": {"min": "1"}}]},
        {"include": [{"Rows": {"above": 1}}]},
        {"include": [{"orientation": "sideways"}]},
        {"include": [{"orientation": 1}]},
        {"include": [{"PixelData": {"present": True}}]},
    ],
)
def test_malformed_rules(rules):
    with pytest.raises(ConfigError, match="expected"):
        parse_rules(rules)


@pytest.mark.parametrize("text", ["", "{", '{"include": [{"Rows": 1, "Rows": 2}]}', "[" * 100_000, "\xff"])
def test_malformed_files(tmp_path, text):
    path = tmp_path / "rules.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="expected a JSON file of rules"):
        read_rules(path)
    with pytest.raises(ConfigError, match="can't read it"):
        read_rules(tmp_path / "none.json")
