import json
import re
from types import SimpleNamespace

import optuna
import pytest
import torch

from radvit.errors import DataError
from radvit.study import open_study
from radvit.training.pruning import Validations, poor
from radvit.trial import VALIDATION, Pruner, Trial

MEDIAN = Pruner("median", startup_trials=2, min_epochs=2)


def trainer(epoch, loss, first=True, sanity=False):
    """What the callback sees of Lightning's trainer after a validation."""
    return SimpleNamespace(
        current_epoch=epoch,
        callback_metrics={"val/loss": torch.tensor(loss), "train/loss": torch.tensor(9.0)},
        is_global_zero=first,
        sanity_checking=sanity,
        ckpt_path=None,
        strategy=SimpleNamespace(broadcast=lambda told: told),
    )


@pytest.fixture
def study(tmp_path):
    """Two finished trials with losses 1 and 2 after each of three epochs, and a third under way."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    made = open_study(url, "s", MEDIAN)
    for loss in (1.0, 2.0):
        one = made.ask()
        for epoch in (1, 2, 3):
            one.report(-loss, epoch)
        made.tell(one, -loss)
    made.ask()
    return made, Trial("s", url, 2, "-val/loss", MEDIAN)


def test_each_validation_leaves_its_metrics(tmp_path):
    told = Validations(tmp_path)
    (tmp_path / VALIDATION).write_text("of another run")
    told.on_fit_start(trainer(0, 0.0), None)
    assert not (tmp_path / VALIDATION).exists()
    told.on_validation_end(trainer(0, 0.75, sanity=True), None)
    assert not (tmp_path / VALIDATION).exists()
    told.on_validation_end(trainer(4, 0.25), None)
    assert json.loads((tmp_path / VALIDATION).read_text()) == {"epoch": 5, "metrics": {"val/loss": 0.25}}


def test_a_trial_stays_while_it_is_no_worse_than_the_median(study, tmp_path):
    made, trial = study
    assert not poor(trial, 1, -1.2)
    assert not poor(trial, 2, -1.4)
    assert made.get_trials()[2].intermediate_values == {1: -1.2, 2: -1.4}


def test_a_trial_worse_than_the_median_is_stopped_in_every_process(study, tmp_path):
    _, trial = study
    trial.save(tmp_path)
    told = Validations(tmp_path)
    told.on_validation_end(trainer(0, 9.0), None)  # the median rule waits for min_epochs
    with pytest.raises(optuna.TrialPruned, match="pruned after 2 epochs"):
        told.on_validation_end(trainer(1, 9.0), None)
    assert json.loads((tmp_path / VALIDATION).read_text())["epoch"] == 2


def test_only_the_first_process_writes_and_asks(study, tmp_path):
    made, trial = study
    trial.save(tmp_path)
    Validations(tmp_path).on_validation_end(trainer(0, 9.0, first=False), None)
    assert not (tmp_path / VALIDATION).exists()
    assert made.get_trials()[2].intermediate_values == {}


def test_what_was_said_before_a_kill_is_not_said_again(study):
    made, trial = study
    poor(trial, 1, -1.25)
    poor(trial, 1, -1.75)
    assert made.get_trials()[2].intermediate_values == {1: -1.25}


def test_an_objective_that_is_not_measured_is_named(study, tmp_path):
    _, trial = study
    Trial(trial.study, trial.storage, 2, "val/auroc", MEDIAN).save(tmp_path)
    with pytest.raises(DataError, match=r"objective val/auroc: not measured.*there is val/loss"):
        Validations(tmp_path).on_validation_end(trainer(0, 1.0), None)


def test_a_run_goes_on_where_its_study_cannot_be_asked(tmp_path, caplog):
    lost = Trial("s", f"sqlite:///{tmp_path / 'nowhere' / 'study.db'}", 2, "-val/loss", MEDIAN)
    assert not poor(lost, 3, -9.0)
    assert re.search(r"trial 2 isn't compared with others after epoch 3: .*can't be opened", caplog.text)
