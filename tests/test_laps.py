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
