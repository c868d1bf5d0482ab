import pytest
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

from radvit import study
from radvit.errors import ConfigError
from radvit.study import make_pruner, open_storage, open_study
from radvit.trial import Pruner


def test_a_study_is_found_again_by_its_name(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    open_study(url, "a", Pruner()).ask()
    again = open_study(url, "a", Pruner())
    assert (len(again.get_trials()), again.direction.name) == (1, "MAXIMIZE")
    assert open_study(url, "b", Pruner()).get_trials() == []


@pytest.mark.parametrize(
    ("kind", "made"), [("none", NopPruner), ("median", MedianPruner), ("hyperband", HyperbandPruner)]
)
def test_each_kind_of_pruner(kind, made):
    assert isinstance(make_pruner(Pruner(kind, max_epochs=9)), made)
    assert isinstance(make_pruner(Pruner(kind)), made)


def test_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.pruner=best; expected none, median or hyperband"):
        make_pruner(Pruner("best"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", " is no URL; expected postgresql://"),
        ("sqlite:////nowhere/at/all.db", "=.*: can't be opened: "),
        ("oracle+none://x", "=.*: can't be opened: "),
    ],
)
def test_a_storage_that_can_not_be_used_is_named_in_a_line(url, said):
    with pytest.raises(ConfigError, match=rf"hydra\.sweeper\.storage{said}") as caught:
        open_storage(url)
    assert "\n" not in str(caught.value)


def test_no_password_gets_into_run_folders():
    with pytest.raises(ConfigError, match="expected it in PGPASSWORD") as caught:
        open_storage("postgresql://me:s3cret@host/db")
    assert "s3cret" not in str(caught.value)


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(study.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'radvit\[postgres\]'"):
        open_storage("postgresql://host/db")
