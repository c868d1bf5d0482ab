"""Sweeps killed with SIGKILL and started again: every trial ends once, none is run again after its end."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from optuna.trial import TrialState

from radvit.sweep.ranking import rank

from ..medmnist_files import write_medmnist

SMALL = ("hydra/sweeper=optuna", "x=interval(0,6)", "y=choice(1,2)", "hydra.sweeper.n_trials=6", "seconds=0.05")
TINY = (
    "experiment=pneumoniamnist", "data.path=pneumoniamnist.npz", "data.workers=0", "model.stem=[8]", "model.hidden=16",
    "model.patch_size=2", "model.embed_dim=32", "model.depth=2", "model.num_heads=2", "trainer.max_epochs=8",
    "trainer.check_val_every_n_epoch=1", "optim.batch_size=4", "optim.ema_decay=0.5", "logger=csv",
)  # fmt: skip


def written(program, names):
    """When each file of some trials was written."""
    folders = [program.sweep() / name for name in names]
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*") if path.is_file()}


def kill_twice(program, arguments, first, second, rng):
    """Kill a sweep after so many trials, twice, at random moments; what was done by then must stay as it is."""
    kept = {}
    for goal in (first, second):
        wait = rng.uniform(0, 0.3)
        began = []

        def due(goal=goal, wait=wait, began=began):
            if len(program.done()) >= goal:
                began.append(time.monotonic())
            return bool(began) and time.monotonic() - began[0] > wait

        assert program.killed(*arguments, once=due)
        kept |= written(program, program.done())
    code, lines = program.run(*arguments)
    assert code == 0, lines
    assert any("goes on: " in line for line in lines)
    again = {path: path.stat().st_mtime_ns for path in kept if not path.name.endswith(".lock")}
    assert again == {path: when for path, when in kept.items() if path in again}
    return program.done()


def starts(program):
    """How often each trial's run began."""
    return [len(path.read_text().split()) for path in program.sweep().glob("*/starts")]


def test_a_grid_killed_twice_runs_each_of_its_points_once(toy):
    arguments = ("x=1,2,3,4", "y=1,2,3", "seconds=0.05")
    done = kill_twice(toy, arguments, 3, 8, np.random.default_rng(0))
    assert sorted(done, key=int) == [str(number) for number in range(12)]
    trials = toy.trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 12
    assert {(trial.params["x"], trial.params["y"]) for trial in trials} == {(x, y) for x in "1234" for y in "123"}
    assert len(starts(toy)) == 12
    assert sum(starts(toy)) <= 12 + 2  # a kill costs at most the one run that was under way


@pytest.mark.slow
def test_a_search_killed_twice_tries_the_points_it_would_have_tried(toy, tmp_path):
    done = kill_twice(toy, SMALL, 2, 4, np.random.default_rng(1))
    points = [trial.params for trial in toy.trials()]
    assert len(done) == len(points) == len({tuple(point.items()) for point in points}) == 6
    assert sum(starts(toy)) <= 6 + 2
    (tmp_path / "outputs").rename(tmp_path / "killed")
    assert toy.run(*SMALL)[0] == 0
    assert [trial.params for trial in toy.trials()] == points


def test_two_processes_share_a_sweep(toy):
    arguments = ("x=1,2,3,4", "y=1,2", "seconds=0.4")
    both = [toy.start(*arguments) for _ in range(2)]
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    pids = [path.read_text().split() for path in toy.sweep().glob("*/starts")]
    assert [len(one) for one in pids] == [1] * 8
    assert len({pid for (pid,) in pids}) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "swept",
    [
        ("optim.lr=1e-4,1e-3,3e-3,1e-2", "seed=0,1,2"),
        ("hydra/sweeper=optuna", "optim.lr=tag(log, interval(1e-5, 1e-2))", "model.depth=range(1,4)",
         "hydra.sweeper.n_trials=12"),
    ],
    ids=["grid", "search"],
)  # fmt: skip
def test_twelve_trainings_killed_twice_end_as_twelve(trainer, swept):
    write_medmnist(trainer.folder / "pneumoniamnist.npz")
    done = kill_twice(trainer, (*TINY, *swept), 3, 8, np.random.default_rng(2))
    assert sorted(done, key=int) == [str(number) for number in range(12)]
    assert [trial.state for trial in trainer.trials()] == [TrialState.COMPLETE] * 12
    logs = [path.read_text() for path in trainer.sweep().glob("*/train.log")]
    assert [len(re.findall("INFO radvit.run.training: saved ", log)) for log in logs] == [1] * 12
    begun = sum(len(re.findall("INFO radvit.run.training: 24 training", log)) for log in logs)
    assert 12 <= begun <= 12 + 2
    assert len(list(trainer.sweep().glob("*/bundle/model.safetensors"))) == 12
    check_command(trainer)


def check_command(trainer):
    """The command that `radvit sweep show` ends with, typed into a shell, gives the best value again."""
    ranking = rank(trainer.sweep())
    command = ranking.command(ranking.best).replace("python train.py", f"{sys.executable} {trainer.script}")
    run = f"{command} hydra.run.dir=again hydra.sweep.dir=again"
    subprocess.run(run, shell=True, check=True, cwd=trainer.folder, env={**os.environ, "RADVIT_DEID_KEY": "ab" * 32})
    found = [
        json.loads(path.read_text())["metrics"] for path in sorted(trainer.folder.glob("again/**/validation.json"))
    ]
    assert [one[ranking.metric] for one in found] == list(ranking.best.values)
