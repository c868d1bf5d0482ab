import pytest

from radvit.data.sources.slices import Slices

SEEN = [False, False, True, False, False, False, True]


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        (Slices(), [0, 1, 2, 3, 4, 5, 6]),
        (Slices(every=2), [0, 2, 3, 5, 6]),
        (Slices(every=0), [2, 6]),
        (Slices(central=3), [2, 3, 4]),
        (Slices(central=4), [1, 2, 3, 4]),
        (Slices(central=3, every=0), [2]),
        (Slices(central=99, every=4), [0, 2, 5, 6]),
    ],
)
def test_which_slices_are_taken(slices, expected):
    assert slices.chosen(SEEN) == expected


def test_no_slices():
    assert Slices().chosen([]) == []
