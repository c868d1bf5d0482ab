import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from radvit.deid.scrub import scrub
from radvit.dicom.pixels import to_grey
from radvit.dicom.voi import Rule, Voi, linear, linear_exact, resolve, sigmoid
from radvit.errors import ConfigError, DicomReadError

PIXELS = np.arange(200, dtype=np.uint8).reshape(10, 20)
SEVERAL = {
    "WindowCenter": ["50", "100", "20", "7"],
    "WindowWidth": ["101", "150", "11", "0"],
    "WindowCenterWidthExplanation": ["SOFT", "LUNG wide", "BONE", "broken"],
}


@given(
    st.lists(st.floats(-5000, 5000), min_size=1, max_size=20),
    st.floats(-2000, 2000),
    st.floats(1, 4000),
    st.sampled_from([("LINEAR", linear), ("LINEAR_EXACT", linear_exact), ("SIGMOID", sigmoid)]),
)
def test_windows_follow_the_standards_formulas(slow_window, values, center, width, kind):
    name, function = kind
    expected = [slow_window(value, center, width, name) for value in values]
    np.testing.assert_allclose(function(np.array(values), center, width), expected, atol=1e-6)


def test_linear_window_of_width_one_is_a_step():
    np.testing.assert_array_equal(linear(np.array([9.4, 9.5, 9.6]), 10, 1), [0, 0, 1])


def table(entries, explanation=None, bits=8):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), 0, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    if explanation is not None:
        item.LUTExplanation = explanation
    return item


def words(dataset, voi, pseudonymizer):
    """As the loader goes: chosen, then scrubbed, then applied."""
    before = dataset.to_json()
    safe = scrub(resolve(dataset, voi), pseudonymizer)
    assert "WindowCenterWidthExplanation" not in safe
    assert dataset.to_json() == before
    return to_grey(safe, voi=voi)[0][1]


@pytest.mark.parametrize(
    ("voi", "said"),
    [
        (Voi(), "window LINEAR, center 50, width 101"),
        (Voi(Rule.WIDEST), "window LINEAR, center 100, width 150"),
        (Voi(Rule.NARROWEST), "window LINEAR, center 20, width 11"),
        (Voi(Rule.PERCENTILE), "percentiles 0.5 to 99.5 (0 to 198); as configured"),
        (Voi(explanation="bone"), "window LINEAR, center 20, width 11"),
        (Voi(explanation="^(lung|bone)"), "window LINEAR, center 100, width 150"),
        (Voi(Rule.NARROWEST, "liver"), "window LINEAR, center 20, width 11"),
        (Voi(Rule.PERCENTILE, "bone"), "window LINEAR, center 20, width 11"),
        (Voi(Rule.PERCENTILE, "liver"), "percentiles 0.5 to 99.5 (0 to 198); as configured"),
        (Voi(Rule.WIDEST, "bone", 40, 400), "window LINEAR_EXACT, center 40, width 400, as configured"),
    ],
)
def test_which_of_several_windows(grey_dataset, pseudonymizer, voi, said):
    assert words(grey_dataset(PIXELS, **SEVERAL), voi, pseudonymizer) == said


@pytest.mark.parametrize(
    ("voi", "level"),
    [
        (Voi(), 0.2),
        (Voi(explanation="second"), 0.4),
        (Voi(explanation="nothing"), 0.2),
        (Voi(Rule.WIDEST), 51 / 150),
        (Voi(explanation="bone"), 1.0),
    ],
)
def test_which_of_several_tables_and_windows(grey_dataset, pseudonymizer, voi, level):
    tables = [table([51] * 200, "FIRST"), table([102] * 200, "SECOND one")]
    dataset = grey_dataset(np.full((2, 2), 76, np.uint8), VOILUTSequence=tables, **SEVERAL)
    safe = scrub(resolve(dataset, voi), pseudonymizer)
    ((grey, _),) = to_grey(safe, voi=voi)
    assert grey[0, 0] == pytest.approx(level, abs=0.004)


def group(**attributes):
    holder, item = Dataset(), Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    holder.FrameVOILUTSequence = [item]
    return holder


def test_each_frame_of_an_enhanced_object_has_its_own_choice(grey_dataset, pseudonymizer):
    texts = {"WindowCenterWidthExplanation": ["a", "b"]}
    frames = [group(WindowCenter=[c, c + 1], WindowWidth=[w, 60], **texts) for c, w in ((10, 50), (20, 70), (30, 50))]
    shared = group(WindowCenter=[1, 2], WindowWidth=[3, 4], **texts)
    dataset = grey_dataset(
        np.zeros((3, 2, 2), np.uint8), PerFrameFunctionalGroupsSequence=frames, SharedFunctionalGroupsSequence=[shared]
    )
    before = dataset.to_json()

    def centers(voi):
        safe = scrub(resolve(dataset, voi), pseudonymizer)
        return [said.split(", ")[1] for _, said in to_grey(safe, voi=voi)]

    assert centers(Voi()) == ["center 10", "center 20", "center 30"]
    assert centers(Voi(Rule.WIDEST)) == ["center 11", "center 20", "center 31"]
    assert centers(Voi(explanation="B")) == ["center 11", "center 21", "center 31"]
    assert dataset.to_json() == before


def test_a_frames_own_window_comes_before_a_table_of_the_whole_file(grey_dataset):
    dataset = grey_dataset(
        np.zeros((2, 2, 2), np.uint8),
        VOILUTSequence=[table([0, 255])],
        PerFrameFunctionalGroupsSequence=[group(WindowCenter=10, WindowWidth=5), Dataset()],
    )
    assert [said for _, said in to_grey(dataset)] == ["window LINEAR, center 10, width 5", "VOI look-up table"]


def test_nothing_to_choose_gives_the_same_object(grey_dataset):
    plain = grey_dataset(PIXELS)
    assert all(resolve(plain, Voi(rule, "x")) is plain for rule in Rule)
    several = grey_dataset(PIXELS, **SEVERAL)
    for voi in (Voi(), Voi(Rule.PERCENTILE), Voi(center=1, width=2)):
        assert resolve(several, voi) is several


def test_the_first_valid_window_counts(grey_dataset):
    dataset = grey_dataset(PIXELS, WindowCenter=["1", "2"], WindowWidth=["0", "5"])
    assert to_grey(dataset)[0][1] == "window LINEAR, center 2, width 5"
    assert to_grey(resolve(dataset, Voi(Rule.WIDEST)))[0][1] == "window LINEAR, center 2, width 5"


def test_a_file_read_from_disk_is_resolved_too(grey_file, pseudonymizer):
    path = grey_file(PIXELS, SpecificCharacterSet="ISO_IR 192", PatientID="Zoë", **SEVERAL)
    safe = scrub(resolve(dcmread(path), Voi(explanation="bone")), pseudonymizer)
    assert (safe.WindowCenter, safe.WindowWidth) == (20, 11)
    assert safe.PatientID == scrub(dcmread(path), pseudonymizer).PatientID


def test_malformed_windows_are_refused(grey_dataset):
    dataset = grey_dataset(PIXELS)
    dataset.add_new("WindowCenter", "LO", ["x", "y"])
    dataset.add_new("WindowWidth", "LO", ["x", "y"])
    with pytest.raises(DicomReadError) as caught:
        resolve(dataset, Voi(Rule.WIDEST))
    assert caught.value.reason == "bad-pixels"


@pytest.mark.parametrize(
    "fields",
    [{"center": 1}, {"center": 1, "width": 0}, {"center": float("nan"), "width": 1}, {"explanation": "("}],
)
def test_windowing_that_cannot_be_is_refused(fields):
    with pytest.raises(ConfigError):
        Voi(**fields)


@pytest.mark.parametrize("voi", [Voi(), Voi(Rule.WIDEST, "bo.e"), Voi(center=40, width=400)])
def test_windowing_survives_json(voi):
    assert Voi.from_dict(json.loads(json.dumps(voi.to_dict()))) == voi


@pytest.mark.parametrize("record", [{"rule": "middle"}, {"width": 3, "colour": 1}])
def test_unknown_windowing_is_refused(record):
    with pytest.raises(ConfigError):
        Voi.from_dict(record)
