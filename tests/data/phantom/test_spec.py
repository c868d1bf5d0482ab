import pytest

from radvit.data.phantom import CohortSpec
from radvit.errors import DataError


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        ({"patients": 0}, "0 patients"),
        ({"seed": -1}, "seed -1"),
        ({"nodule_mm": (12.0, 6.0)}, "nodule_mm from 12"),
        ({"size_px": (0, 100)}, "size_px from 0"),
        ({"positive": 1.2}, "positive 1.2"),
        ({"noise": -1.0}, "noise -1"),
        ({"collimated": 1.5}, "collimated 1.5"),
    ],
)
def test_contradictions_are_refused(knobs, match):
    with pytest.raises(DataError, match=match):
        CohortSpec(**{"patients": 1, "seed": 0, **knobs})


def test_presets_change_what_they_say():
    plain, small, hard = (CohortSpec.preset(5, 0, **flags) for flags in ({}, {"small": True}, {"hard": True}))
    assert plain == CohortSpec(5, 0)
    assert small.size_px[1] < plain.size_px[1]
    assert small.contrast == plain.contrast
    assert hard.nodule_mm == (6.0, 12.0)
    assert hard.contrast[1] < plain.contrast[1]
    both = CohortSpec.preset(5, 0, small=True, hard=True)
    assert (both.size_px, both.contrast) == (small.size_px, hard.contrast)


def test_dictionary_is_plain():
    assert CohortSpec(5, 0).to_dict()["size_px"] == [1024, 2500]
    assert "collimated" not in CohortSpec(5, 0).to_dict()  # cohorts from before it are what they were
    assert CohortSpec.preset(5, 0, collimated=0.5).to_dict()["collimated"] == 0.5
