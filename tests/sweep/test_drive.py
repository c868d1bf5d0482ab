"""The loop of a sweep against launchers that do what real ones do: finish, fail, prune, or break off."""

import json
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.trial import TrialState

from radvit.errors import ConfigError, SomeInputsFailedError
from radvit.study import open_study
from radvit.sweep.claims import Plan, claim
from radvit.sweep.drive import Sweep, drive
from radvit.sweep.ranking import rank
from radvit.sweep.record import SweepRecord, begin
from radvit.sweep.space import read_space
from radvit.trial import Outcome, Pruner, load_trial


def sweep(folder, *arguments, sampler="grid", n_trials=None, batch=1, pruner="none", retry=False, objective=None):
    space = read_space(OverridesParser.create().parse_overrides(list(arguments)), sampler == "grid")
    record = SweepRecord("s", None, sampler, objective, space.to_list(), list(arguments))
    return Sweep(folder, record, Plan(space, sampler, 0, n_trials), Pruner(pruner), batch, retry)


class Runs:
    """Launches jobs: a loss of (x - 3)^2 + seed / 100, unless x is among those that fail or are pruned."""

    def __init__(self, fail=(), prune=(), stop_after=None):
        self.fail, self.prune, self.left = fail, prune, stop_after
        self.jobs = []

    def __call__(self, jobs):
        return [self.one(job) for job in jobs]

    def one(self, job):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        self.jobs.append(job)
        given = dict(override.split("=", 1) for override in job.overrides)
        assert load_trial(job.folder).number == job.number
        assert given["hydra.sweep.dir"].strip("'") == str(job.folder.parent)
        x = float(given["x"])
        if given["x"] in self.fail:
            return f"x={given['x']} is no good"
        loss = (x - 3) ** 2 + float(given.get("seed", 0)) / 100
        Outcome("-val/loss", -loss, 1, {"val/loss": loss}, pruned=given["x"] in self.prune).save(job.folder)
        return None


def trials(folder):
    return open_study(f"sqlite:///{folder / 'study.db'}", "s", Pruner()).get_trials()


def test_a_grid_runs_every_point_and_ranks_it_over_the_seeds(tmp_path):
    drive(sweep(tmp_path, "fixed=1", "x=1,2,3", "seed=0,1"), Runs())
    assert len(trials(tmp_path)) == 6
    ranking = rank(tmp_path)
    assert (ranking.metric, ranking.less_is_better) == ("val/loss", True)
    assert [point.params for point in ranking.points] == [{"x": "3"}, {"x": "2"}, {"x": "1"}]
    assert ranking.best.values == (0.0, 0.01)
    assert ranking.best.mean == pytest.approx(0.005)
    assert ranking.best.sd == pytest.approx(0.01 / 2**0.5)
    assert ranking.command(ranking.best) == "python train.py -m fixed=1 x=3 seed=0,1"


def test_a_sweep_that_broke_off_goes_on_with_what_is_missing(tmp_path):
    first, then = Runs(stop_after=2), Runs()
    with pytest.raises(KeyboardInterrupt):
        drive(sweep(tmp_path, "x=1,2,3,4", batch=4), first)
    states = [trial.state for trial in trials(tmp_path)]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.RUNNING] * 2  # the batch's first two are told of
    assert [point.state for point in rank(tmp_path).points] == ["done", "done", "stopped", "stopped"]
    drive(sweep(tmp_path, "x=1,2,3,4", batch=4), then)
    assert [job.number for job in first.jobs + then.jobs] == [0, 1, 2, 3]
    assert all(trial.state is TrialState.COMPLETE for trial in trials(tmp_path))


def test_a_run_that_ended_before_the_study_heard_of_it_is_not_run_again(tmp_path):
    one = sweep(tmp_path, "x=1,2")
    study = open_study(one.record.url(tmp_path), "s", Pruner())
    study.enqueue_trial({"x": "1"})
    (taken,) = claim(study, one.plan, tmp_path, 1)
    taken.held.close()
    Outcome("-val/loss", -4.0, 1, {"val/loss": 4.0}).save(tmp_path / "0")
    runs = Runs()
    drive(one, runs)
    assert [job.number for job in runs.jobs] == [1]
    assert [trial.value for trial in trials(tmp_path)] == [-4.0, -1.0]


def test_a_failed_trial_costs_itself_alone_and_is_named_at_the_end(tmp_path):
    with pytest.raises(SomeInputsFailedError, match=r"1 of 3 trials failed \(trial 1: x=2 is no good\)"):
        drive(sweep(tmp_path, "x=1,2,3"), Runs(fail=["2"]))
    assert [trial.state.name for trial in trials(tmp_path)] == ["COMPLETE", "FAIL", "COMPLETE"]
    runs = Runs()
    with pytest.raises(SomeInputsFailedError, match="retry_failed=true"):
        drive(sweep(tmp_path, "x=1,2,3"), runs)
    assert runs.jobs == []
    drive(sweep(tmp_path, "x=1,2,3", retry=True), runs)
    assert [job.number for job in runs.jobs] == [3]
    assert [(point.params["x"], point.state) for point in rank(tmp_path).points] == [(x, "done") for x in "321"]


def test_a_search_makes_as_many_trials_as_asked_and_more_when_asked_for_more(tmp_path):
    runs = Runs()
    drive(sweep(tmp_path, "x=interval(0,6)", sampler="tpe", n_trials=3), runs)
    drive(sweep(tmp_path, "x=interval(0,6)", sampler="tpe", n_trials=5), runs)
    assert [job.number for job in runs.jobs] == [0, 1, 2, 3, 4]
    assert len({trial.params["x"] for trial in trials(tmp_path)}) == 5


@pytest.mark.parametrize("sampler", ["random", "tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_search_finds_where_the_loss_is_least(tmp_path, sampler):
    drive(sweep(tmp_path, "x=interval(0,6)", sampler=sampler, n_trials=16, batch=2), Runs())
    assert rank(tmp_path).best.mean < 0.3


def test_a_search_scores_a_point_by_the_mean_over_its_seeds(tmp_path):
    runs = Runs()
    drive(sweep(tmp_path, "x=interval(0,6)", "seed=0,1,5", sampler="random", n_trials=2), runs)
    assert [job.folder.relative_to(tmp_path).as_posix() for job in runs.jobs[:3]] == [f"0/seed_{s}" for s in (0, 1, 5)]
    x = trials(tmp_path)[0].params["x"]
    assert trials(tmp_path)[0].value == pytest.approx(-((x - 3) ** 2) - 0.02)
    best = rank(tmp_path).best
    assert len(best.values) == 3
    assert rank(tmp_path).command(best).endswith(f"x={best.params['x']} seed=0,1,5")


def test_the_first_seed_decides_whether_a_trial_is_pruned(tmp_path):
    runs = Runs(prune=["1"])
    drive(sweep(tmp_path, "x=choice(1)", "seed=0,1", sampler="random", n_trials=1, pruner="median"), runs)
    assert [job.folder.name for job in runs.jobs] == ["seed_0"]
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.PRUNED]
    assert [point.state for point in rank(tmp_path).points] == ["pruned"]


def test_another_sweep_of_the_same_name_is_refused(tmp_path):
    drive(sweep(tmp_path, "x=1"), Runs())
    before = json.loads((tmp_path / "sweep.json").read_text())
    with pytest.raises(ConfigError, match=r"holds a sweep with space .*; name a new one with hydra.sweeper.study=NAME"):
        drive(sweep(tmp_path, "x=1,2"), Runs())
    assert json.loads((tmp_path / "sweep.json").read_text()) == before


def test_a_trial_that_another_process_works_on_is_left_to_it(tmp_path):
    one = sweep(tmp_path, "x=1,2")
    study = open_study(one.record.url(tmp_path), "s", Pruner())
    for x in "12":
        study.enqueue_trial({"x": x})
    (first,) = claim(study, one.plan, tmp_path, 1)
    (second,) = claim(study, one.plan, tmp_path, 5)
    assert (first.number, second.number) == (0, 1)
    assert claim(study, one.plan, tmp_path, 5) == []
    begin(tmp_path, one.record)
    assert [point.state for point in rank(tmp_path).points] == ["running", "running"]
    first.held.close()
    (again,) = claim(study, one.plan, tmp_path, 5)
    assert (again.number, again.resumed) == (0, True)


def test_a_trial_that_another_process_ended_just_now_is_not_taken_up(tmp_path, monkeypatch):
    one = sweep(tmp_path, "x=1,2")
    study, other = (open_study(one.record.url(tmp_path), "s", Pruner()) for _ in range(2))
    for x in "12":
        study.enqueue_trial({"x": x})
    (first,) = claim(other, one.plan, tmp_path, 1)
    listed = study.get_trials

    def end_after_listing(**options):
        trials = listed(**options)
        if options.get("states") == (TrialState.RUNNING,):
            assert [trial.number for trial in trials] == [first.number]
            other.tell(first.number, 1.0)
            first.held.close()
        return trials

    monkeypatch.setattr(study, "get_trials", end_after_listing)
    (claimed,) = claim(study, one.plan, tmp_path, 5)
    assert (claimed.number, claimed.resumed) == (1, False)


def test_a_run_that_another_process_is_at_is_neither_failed_nor_tried_for_ever(tmp_path, caplog):
    class Busy(Runs):
        def one(self, job):
            self.jobs.append(job)
            return None if job.number == 0 else super().one(job)

    runs = Busy()
    with caplog.at_level("INFO", "radvit"):
        drive(sweep(tmp_path, "x=1,2", batch=2), runs)
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.RUNNING, TrialState.COMPLETE]
    assert [job.number for job in runs.jobs].count(0) == 2
    assert "1 trial under way elsewhere; the same command takes in what comes of it" in caplog.text


def test_the_next_command_names_a_sweep_that_lies_elsewhere_by_its_folder(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for folder, told in ((Path("outputs/sweep/s"), "s"), (Path("mine"), "mine")):
        caplog.clear()
        with caplog.at_level("INFO"):
            drive(sweep(folder, "x=1"), Runs())
        assert caplog.messages[-1] == f"next: radvit sweep show {told}"
