"""What becomes of Slurm jobs: real ones of submitit on this machine, and answers of Slurm's queue."""

import os
import signal
import sys

import pytest
import submitit
from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.radvit_launcher._jobs import ended, queue_again
from hydra_plugins.radvit_sweeper.sweeper import failure
from radvit.errors import BusyError, RadvitError, StoppedError


def whole():
    return JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)


def broken():
    raise ValueError("one line\nand the last")


def lost():
    os.kill(os.getpid(), signal.SIGKILL)


def test_each_job_says_how_it_ended_and_a_lost_one_costs_no_other(tmp_path):
    executor = submitit.LocalExecutor(tmp_path)
    jobs = [executor.submit(work) for work in (lost, broken, whole)]
    told = [ended(job) for job in jobs]
    assert [one.status for one in told] == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.COMPLETED]
    assert isinstance(told[0]._return_value, StoppedError)
    assert told[0]._return_value.code == 1
    assert f"Slurm job {jobs[0].job_id} ended before its run did" in str(told[0]._return_value)
    assert str(jobs[0].paths.stderr) in str(told[0]._return_value)
    assert type(told[1]._return_value) is RadvitError
    log = jobs[1].paths.stderr
    assert str(told[1]._return_value) == f"Slurm job {jobs[1].job_id} failed outside of its run; its log: {log}"
    assert "and the last" in log.read_text()
    assert told[2].return_value == 0.5


def test_a_run_that_another_process_is_at_is_no_failure():
    assert failure(JobReturn(status=JobStatus.FAILED, _return_value=BusyError("at work"))) is None
    assert failure(JobReturn(status=JobStatus.FAILED, _return_value=ValueError("no good"))) == "no good"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A job of Slurm's, as its environment says, and a queue that tells a state of it."""

    def say(state):
        script = tmp_path / "squeue"
        script.write_text(f"#!{sys.executable}\nimport sys\nassert '--jobs=7_1' in sys.argv\nprint({state!r})\n")
        script.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    given = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    asked = []
    before = signal.signal(signal.SIGUSR2, lambda *_: asked.append(1))
    yield say, asked
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize(("state", "rank", "times"), [("RUNNING", 0, 1), ("RUNNING", 1, 0), ("COMPLETING", 0, 0)])
def test_a_stopped_job_is_queued_again_once_and_not_where_it_was_cancelled(queue, monkeypatch, state, rank, times):
    say, asked = queue
    say(state)
    monkeypatch.setenv("SLURM_PROCID", str(rank))
    with pytest.raises(SystemExit) as left:
        queue_again()
    assert left.value.code == os.EX_TEMPFAIL
    assert len(asked) == times
