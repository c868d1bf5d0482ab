"""What the project promises of its de-identification, on studies made for it."""

import pytest

from radvit.bench.deid.answer import Category
from radvit.bench.deid.measure import measure

LEAST_PERCENT = 99.95


def check(measured):
    scores = measured.scores
    shown = [(one.row.file, one.row.path, one.row.check.value, one.row.kind) for one in scores.failures[:10]]
    direct = scores.of(None, Category.DIRECT)
    assert direct.passed == direct.total, shown
    assert scores.of().percent >= LEAST_PERCENT, shown
    assert scores.missing == ()
    assert scores.leaks == ()
    assert scores.dates.passed == scores.dates.total > 0
    if measured.conforming is not None:
        assert measured.conforming.broken == ()


def test_every_direct_identifier_goes_and_the_rest_stays():
    check(measure(25, 0, 0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_holds_for_200_studies(seed):
    check(measure(200, seed, 0))
