"""What the project promises of its de-identification, on studies made for it."""

import shutil

import pytest

from radvit.bench.deid.answer import Category
from radvit.bench.deid.measure import measure

LEAST_PERCENT = 99.95


def wrong(measured):
    """What of the promises doesn't hold, by name."""
    scores, direct = measured.scores, measured.scores.of(None, Category.DIRECT)
    shown = [(one.row.file, one.row.path, one.row.check.value, one.row.kind) for one in scores.failures[:10]]
    found = {
        "direct": shown if direct.passed < direct.total or not direct.total else (),
        "all": shown if scores.of().percent < LEAST_PERCENT else (),
        "missing": scores.missing,
        "leaks": scores.leaks,
        "dates": (scores.dates,) if scores.dates.passed < scores.dates.total or not scores.dates.total else (),
        "dciodvfy": measured.conforming.broken if measured.conforming else (),
    }
    return {name: faults for name, faults in found.items() if faults}


@pytest.fixture(scope="module")
def small():
    return measure(25, 0, 0)


def test_every_direct_identifier_goes_and_the_rest_stays(small):
    assert wrong(small) == {}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy isn't installed")
def test_every_output_was_judged_by_dciodvfy(small):
    assert small.conforming is not None
    assert small.conforming.broken == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_holds_for_200_studies(seed):
    assert wrong(measure(200, seed, 0)) == {}
