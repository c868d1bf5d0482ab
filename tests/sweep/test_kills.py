"""Sweeps killed with SIGKILL and started again: every trial ends once, none is run again after its end."""

import shutil

import numpy as np
import pytest
from optuna.trial import TrialState

GRID = ("x=1,2,3,4", "y=1,2,3", "seconds=0.05")
SEARCH = ("hydra/sweeper=optuna", "x=interval(0,6)", "y=choice(1,2)", "hydra.sweeper.n_trials=12", "seconds=0.05")


def kill_twice(program, arguments):
    """Kill a sweep of 12 after some trials, twice, at times drawn at random; what was done by then stays as it is."""
    rng = np.random.default_rng(len(arguments))
    kept = {}
    for goal in (rng.integers(2, 5), rng.integers(6, 10)):
        assert program.killed(*arguments, once=lambda goal=goal: len(program.done()) >= goal)
        kept |= program.done()
    code, lines = program.run(*arguments)
    assert code == 0, lines
    assert any("goes on: " in line for line in lines)
    done = program.done()
    assert sorted(done, key=int) == [str(number) for number in range(12)]
    assert {name: done[name] for name in kept} == kept
    assert [trial.state for trial in program.trials()] == [TrialState.COMPLETE] * 12


@pytest.mark.parametrize("arguments", [GRID, SEARCH], ids=["grid", "search"])
def test_twelve_trials_killed_twice_end_as_twelve(toy, arguments):
    kill_twice(toy, arguments)
    starts = [(folder / "starts").read_text().split() for folder in toy.sweep().iterdir() if folder.is_dir()]
    assert len(starts) == 12
    assert sum(map(len, starts)) <= 12 + 2  # a kill costs at most the one trial that was under way
    again, lines = toy.run(*arguments)
    assert again == 0
    assert sum(len((folder / "starts").read_text().split()) for folder in toy.sweep().iterdir() if folder.is_dir()) == (
        sum(map(len, starts))
    )


def test_a_killed_search_tries_the_points_it_would_have_tried(toy):
    kill_twice(toy, SEARCH)
    points = [trial.params for trial in toy.trials()]
    shutil.rmtree(toy.folder / "outputs")
    assert toy.run(*SEARCH)[0] == 0
    assert [trial.params for trial in toy.trials()] == points


def test_two_processes_share_a_sweep(toy):
    arguments = ("x=1,2,3,4", "y=1,2,3", "seconds=0.2")
    both = [toy.start(*arguments) for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    starts = [(folder / "starts").read_text().split() for folder in toy.sweep().iterdir() if folder.is_dir()]
    assert sorted(map(len, starts)) == [1] * 12
    assert len({pid for (pid,) in starts}) == 2
