import itertools

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from radvit.errors import ConfigError
from radvit.sweep.space import Space, choices, read_space


def space(*arguments, grid=False):
    return read_space(OverridesParser.create().parse_overrides(list(arguments)), grid)


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("a=interval(0.5,2)", FloatDistribution(0.5, 2)),
        ("a=tag(log, interval(1e-5, 1e-2))", FloatDistribution(1e-5, 1e-2, log=True)),
        ("a=int(interval(1,9))", IntDistribution(1, 9)),
        ("a=range(2,6)", IntDistribution(2, 5)),
        ("a=range(2,9,3)", IntDistribution(2, 8, step=3)),
        ("a=range(6,2,-1)", IntDistribution(3, 6)),
        ("a=tag(log, range(1,65))", IntDistribution(1, 64, log=True)),
        ("a=range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("a=choice(0,0.5,1)", CategoricalDistribution(("0", "0.5", "1"))),
        ("a=vit,dino", CategoricalDistribution(("vit", "dino"))),
        ("a=[8,16],[32]", CategoricalDistribution(("[8,16]", "[32]"))),
        ("a='x y','z'", CategoricalDistribution(("'x y'", "'z'"))),
    ],
)
def test_hydras_grammar_says_what_is_searched(override, values):
    assert space(override).axes == {"a": values}


def test_a_grid_is_the_product_of_its_values_in_the_order_given():
    made = space("experiment=x", "a=1,2", "b=range(0,3)", "seed=0,1", grid=True)
    points = list(made.points())
    assert [tuple(point.values()) for point in points] == list(itertools.product("12", "012", "01"))
    assert made.overrides(points[1]) == ["experiment=x", "a=1", "b=0", "seed=1"]
    assert list(space("a=1", grid=True).points()) == [{}]


def test_seeds_of_a_search_are_no_axis():
    made = space("a=interval(0,1)", "seed=3,5", "+b=1")
    assert (made.seeds, list(made.axes)) == (("3", "5"), ["a"])
    assert made.overrides({"a": 0.25}) == ["a=0.25", "+b=1"]
    assert space("a=1,2", "seed=7").terms[-1] == "seed=7"


def test_a_space_survives_being_written_down():
    made = space("x=y", "a=tag(log, interval(1e-5, 1e-2))", "b=range(0,4)", "seed=0,1", "c='p q',r")
    again = Space.from_list(made.to_list())
    assert again == made
    assert again.to_list() == made.to_list()


def test_a_corner_is_a_point_of_the_space():
    assert space("a=interval(0.5,1)", "b=4,3").corner() == {"a": 0.5, "b": "4"}


@pytest.mark.parametrize(
    ("override", "grid", "match"),
    [
        ("a=interval(0,1)", True, r"a=interval\(0,1\): a grid needs values; expected hydra/sweeper=optuna"),
        ("a=1,1", True, "at least one value, and each once"),
        ("run_dir=x,y", True, "each trial has a folder of its own"),
        ("resume=x", False, "each trial has a folder of its own"),
        ("a=interval(2,1)", False, r"a=interval\(2,1\): "),
        ("a=tag(log, interval(0,1))", False, r"a=tag\(log, interval\(0,1\)\): "),
        ("a=tag(log, range(1,9,2))", False, r"a=tag\(log, range\(1,9,2\)\): "),
        ("a=range(3,3)", False, "an empty range"),
    ],
)
def test_what_makes_no_space_is_refused(override, grid, match):
    with pytest.raises(ConfigError, match=match):
        space(override, grid=grid)


def test_a_key_comes_once():
    with pytest.raises(ConfigError, match="swept keys a, a; expected each once"):
        space("a=1,2", "a=3,4", grid=True)
    with pytest.raises(TypeError, match="not a distribution of choices"):
        choices(IntDistribution(0, 1))
