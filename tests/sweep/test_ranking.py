"""What `radvit sweep` tells of sweeps, read from a study written by hand."""

import json
import shlex

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from radvit.errors import ConfigError
from radvit.study import open_study
from radvit.sweep.figures import number_scale, parallel_figure, scale, tick_values
from radvit.sweep.ranking import rank
from radvit.sweep.record import SweepRecord, begin, check_name, load_record, stable_name
from radvit.sweep.space import read_space
from radvit.trial import Pruner

AXES = ("experiment=x", "optim.lr=tag(log, interval(1e-5, 1e-2))", "model.depth=range(2,6)", "augment=none,radiograph")


def space(*arguments, grid=False):
    return read_space(OverridesParser.create().parse_overrides(list(arguments)), grid)


def written(folder, *arguments, grid=False, objective="-val/loss"):
    """An empty study in a folder."""
    told = space(*arguments, grid=grid)
    begin(folder, SweepRecord(folder.name, None, "grid" if grid else "tpe", None, told.to_list(), list(arguments)))
    study = open_study(f"sqlite:///{folder / 'study.db'}", folder.name, Pruner())
    return study, told.axes, objective


def add(made, params, values=(), state="COMPLETE", error=None):
    study, axes, objective = made
    attributes = {"objective": objective, "values": list(values), **({"error": error} if error else {})}
    study.add_trial(
        optuna.trial.create_trial(
            params=params, distributions=axes, state=optuna.trial.TrialState[state], user_attrs=attributes,
            value=sum(values) / len(values) if values else None,
        )
    )  # fmt: skip


@pytest.fixture
def searched(tmp_path):
    """Sixteen trials of which the depth alone decides, one pruned and one failed."""
    folder = tmp_path / "outputs" / "sweep" / "found"
    made = written(folder, *AXES)
    for i in range(16):
        depth, lr = 2 + i % 4, 1e-5 * 10 ** (3 * i / 15)
        augment = ("none", "radiograph")[i % 3 == 0]
        add(made, {"optim.lr": lr, "model.depth": depth, "augment": augment}, [-0.1 * depth - i / 1000])
    add(made, {"optim.lr": 1e-3, "model.depth": 2, "augment": "none"}, state="PRUNED")
    add(made, {"optim.lr": 1e-2, "model.depth": 2, "augment": "none"}, state="FAIL", error="out of memory")
    return folder


def test_what_is_told_of_a_search(searched, ran, monkeypatch, tmp_path):
    code, out, _ = ran("sweep", "show", "found")
    assert code == 0
    assert out[0].split()[:5] == ["rank", "┃", "val/loss", "(less", "is"]
    assert out[2].split()[:3] == ["1", "│", "0.2000"]
    assert "failed: out of memory" in "\n".join(out)
    best = "python train.py experiment=x optim.lr=1e-05 model.depth=2 augment=none"
    assert shlex.split(out[-1]) == [*best.split()[:-1], "augment=radiograph"]
    code, out, _ = ran("sweep", "show", "found", "--json")
    told = json.loads("\n".join(out))
    assert [point["state"] for point in told["points"][-2:]] == ["pruned", "failed"]
    assert next(iter(told["importances"])) == "model.depth"
    assert told["importances"]["model.depth"] > 0.8
    for path in told["figures"]:
        with Image.open(tmp_path / path) as picture:
            assert min(picture.size) > 300
    code, out, _ = ran("sweep", "list")
    assert "16 done, 1 pruned, 1 failed" in out[-1]
    assert ran("sweep", "list", "--json")[1][0] == "["


def test_a_sweep_whose_database_cannot_be_reached_hides_no_other(searched, ran):
    elsewhere = SweepRecord("lost", "postgresql://radvit@127.0.0.1:1/sweeps", "grid", None, [], [])
    begin(searched.parent / "lost", elsewhere)
    code, out, told = ran("sweep", "list")
    assert code == 1
    assert "16 done, 1 pruned, 1 failed" in out[-1]
    assert len(told) == 1
    assert told[0].startswith("radvit: hydra.sweeper.storage=postgresql://radvit@127.0.0.1:1/sweeps: can't be opened")


def test_seeds_of_a_grid_are_taken_together(tmp_path):
    made = written(tmp_path / "s", "a='x y','z'", "seed=0,1", grid=True, objective="val/auroc")
    for a, seed, value in (("'x y'", "0", 0.9), ("'x y'", "1", 0.8), ("'z'", "0", 0.95)):
        add(made, {"a": a, "seed": seed}, [value])
    ranking = rank(tmp_path / "s")
    assert [(p.params, p.values, p.seeds) for p in ranking.points] == [
        ({"a": "'z'"}, (0.95,), ("0",)),
        ({"a": "'x y'"}, (0.9, 0.8), ("0", "1")),
    ]
    assert (ranking.points[1].mean, ranking.points[1].sd) == pytest.approx((0.85, 0.1 / 2**0.5))
    assert (ranking.metric, ranking.less_is_better, ranking.importances) == ("val/auroc", False, {})
    assert shlex.split(ranking.command(ranking.points[1])) == ["python", "train.py", "-m", "a='x y'", "seed=0,1"]


def test_a_sweep_of_which_nothing_is_done_has_no_best(tmp_path, ran):
    written(tmp_path / "outputs" / "sweep" / "empty", "a=1,2", grid=True)
    code, out, _ = ran("sweep", "show", "empty")
    assert (code, len(out)) == (0, 2)
    assert ran("sweep", "show", "nosuch")[2] == ["radvit: nosuch: no such sweep in outputs/sweep; there is empty"]
    assert ran("sweep", "list", "--root", "nowhere")[0] == 2
    with pytest.raises(ConfigError, match=r"no sweep\.json there"):
        load_record(tmp_path)


def test_axes_of_figures():
    assert tick_values(1e-5, 1e-2, log=True, whole=False) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2])
    assert tick_values(2, 5, log=False, whole=True) == [2, 3, 4, 5]
    assert tick_values(0, 100, log=False, whole=True) == [0, 25, 50, 75, 100]
    assert tick_values(3, 3, log=True, whole=True) == [3]
    assert number_scale("a", 1e-4, 1e-2, log=True).place(1e-3) == pytest.approx(0.5)
    assert number_scale("a", 2, 2, log=False).place(2) == 0.5
    choices = scale("a", space("a=10,9,1e-1").axes["a"])
    assert [label for _, label in choices.ticks] == ["0.1", "9", "10"]
    assert scale("a", space("a=b,a").axes["a"]).place("a") == 1.0
    assert scale("a", space("a=choice(b)").axes["a"]).place("b") == 0.5


def test_figures_of_one_point(tmp_path):
    made = written(tmp_path / "s", "a=1", "b=range(1,3)")
    add(made, {"b": 1}, [0.5])
    ranking = rank(tmp_path / "s")
    assert ranking.importances == {}
    parallel_figure(ranking).savefig(tmp_path / "one.png")


def test_a_name_must_be_that_of_a_folder():
    for name in ("a/b", "", "a b"):
        with pytest.raises(ConfigError, match=r"hydra\.sweeper\.study=.*; expected letters"):
            check_name(name)
    check_name("lr-2.0_b")


def test_names_follow_from_what_is_asked(tmp_path):
    one, other = space("a=1,2", "b=3", grid=True), space("b=3", "a=1,2", grid=True)
    assert stable_name("n", one, ["tpe"]) == stable_name("n", other, ["tpe"])
    assert stable_name("n", one, ["tpe"]) != stable_name("n", one, ["random"])
    assert stable_name("n", one, []) != stable_name("n", space("a=1,2", "b=4", grid=True), [])
