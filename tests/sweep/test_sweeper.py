"""The plugin, through Hydra: how sweeps are named, what fails, what is stopped, and launchers that run side by side."""

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from optuna.trial import TrialState


def test_hydra_finds_the_plugin():
    assert "RadvitSweeper" in {plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)}


def test_a_failed_trial_is_one_line_and_the_sweep_goes_on(toy):
    code, lines = toy.run("x=1,2,3", "fail=2", "hydra.sweeper.study=some")
    assert code == 1
    assert toy.sweep().name == "some"
    last = "radvit: 1 of 3 trials failed (trial 1: x=2 is no good; and more lines); "
    assert lines[-1] == last + "hydra.sweeper.retry_failed=true runs them again"
    assert not any("Traceback" in line for line in lines)
    assert [trial.state.name for trial in toy.trials()] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_stopped_trial_is_no_failed_one_and_the_same_command_in_another_order_goes_on(toy):
    code, lines = toy.run("x=1,2,3", "stop=2", "y=1")
    assert (code, lines[-1]) == (143, "radvit: SIGTERM: saved")
    assert [trial.state.name for trial in toy.trials()] == ["COMPLETE", "RUNNING", "WAITING"]
    assert toy.run("y=1", "stop=2", "x=1,2,3")[0] == 0
    assert [trial.state for trial in toy.trials()] == [TrialState.COMPLETE] * 3
    starts = [(toy.sweep() / name / "starts").read_text().count("\n") for name in "012"]
    assert starts == [1, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("xx=1,2",), "Could not override 'xx'"),
        (("x=1,2", "hydra.sweeper.n_trails=3"), "n_trails"),
        (("x=1,2", "hydra.sweeper.n_trials=0"), "hydra.sweeper.n_trials=0; expected a whole number of at least 1"),
    ],
)
def test_what_makes_no_sweep_is_refused_before_anything_runs(toy, arguments, words):
    code, lines = toy.run(*arguments)
    assert code == 2
    assert lines[-1].startswith("radvit: ")
    assert words in lines[-1]
    assert not list(toy.folder.glob("outputs/sweep/*/study.db"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_trials_side_by_side(toy, launcher):
    jobs = ("hydra.launcher.n_jobs=2",) if launcher == "joblib" else ()
    code, lines = toy.run("x=1,2,3,4", f"hydra/launcher={launcher}", *jobs, "fail=3")
    assert code == 1, lines
    assert [trial.state.name for trial in toy.trials()] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert "trial 2: x=3 is no good" in lines[-1]
