import re

import pytest

from radvit.errors import ConfigError
from radvit.training import ranks

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_NAME", ranks.STARTED)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what a test leaves there is taken away
        monkeypatch.delenv(name)
    ranks.meeting_point.cache_clear()


@pytest.mark.parametrize(
    ("given", "rank", "launched"),
    [
        ({}, 0, False),
        ({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}, 3, True),
        ({"RANK": "0", "WORLD_SIZE": "1"}, 0, False),
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "2"}, 1, False),  # Lightning's child
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}, 2, True),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash"}, 0, False),
    ],
)
def test_the_place_among_processes_is_what_the_launcher_says(monkeypatch, given, rank, launched):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert (ranks.rank(), ranks.launched()) == (rank, launched)


def test_a_job_step_that_lightning_refuses_is_an_error_of_the_command(monkeypatch):
    for name, value in {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"^srun: You set `--ntasks=2` .*Use `--ntasks-per-node=2`"):
        ranks.started()


def test_alone_there_is_nobody_to_meet():
    assert ranks.meeting_point() is None
    assert ranks.shared(lambda: "x") == "x"
    assert ranks.first_then_all(lambda: 7) == 7
    assert ranks.gathered([1]) == [[1]]
    ranks.wait_for_all()


def test_the_start_is_told_once_and_kept_for_child_processes():
    first = ranks.started()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", first)
    assert ranks.started() == first == ranks.os.environ[ranks.STARTED]
