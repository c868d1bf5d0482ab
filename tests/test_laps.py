from time import perf_counter

import pytest

from radvit.laps import Laps


def test_time_adds_up_by_stage_and_an_error_counts_too():
    laps = Laps()
    laps.add("read", 1.0)
    laps.add("read", 2.0)
    with pytest.raises(ValueError, match="bad"), laps.lap("decode"):
        raise ValueError("bad")
    assert laps.seconds["read"] == 3.0
    assert laps.seconds["decode"] > 0
    assert set(laps.seconds) == {"read", "decode"}


def test_stages_that_are_told_once_they_are_over_add_up_to_the_time_between():
    laps = Laps()
    passed = laps.passing()
    start = perf_counter()
    for stage in ("read", "decode", "read"):
        passed(stage)
    assert set(laps.seconds) == {"read", "decode"}
    assert all(seconds >= 0 for seconds in laps.seconds.values())
    assert sum(laps.seconds.values()) <= perf_counter() - start + 0.01
