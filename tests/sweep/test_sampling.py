import pytest
from optuna.samplers import GPSampler, RandomSampler, TPESampler

from radvit.errors import ConfigError
from radvit.sweep.sampling import make_sampler


@pytest.mark.parametrize(
    ("kind", "made"), [("tpe", TPESampler), ("gp", GPSampler), ("random", RandomSampler), ("grid", RandomSampler)]
)
def test_each_kind_of_sampler(kind, made):
    assert isinstance(make_sampler(kind, 0, 3), made)


def test_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.sampler=best; expected one of grid, random, tpe, gp"):
        make_sampler("best", 0, 0)
