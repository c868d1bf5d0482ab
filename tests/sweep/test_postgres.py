"""Sweeps that live in a PostgreSQL database: a server of the tests' own, where its programs are installed."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from radvit.errors import ConfigError
from radvit.study import open_storage
from radvit.sweep.drive import drive
from radvit.sweep.ranking import rank
from radvit.sweep.record import RECORD

from ..medmnist_files import write_medmnist
from .test_drive import Runs, sweep
from .test_kills import TINY, kill_twice, starts

PASSWORD = "quillfeather"
LIKELY = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def program(name):
    """Where a program of PostgreSQL lies; None where it isn't installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, LIKELY[-1:])]))


class Server:
    """A server in a folder of its own, run by another account where the tests are run by root, whom it refuses."""

    def __init__(self, folder):
        self.folder, self.account = folder, "nobody" if os.getuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        for path in (folder, secret):
            shutil.chown(path, self.account) if self.account else None
        self.call("initdb", "--username=radvit", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync")

    def call(self, name, *arguments):
        command = [program(name), "-D", str(self.folder / "data"), *arguments]
        where = {"user": self.account, "cwd": self.folder}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, **where)

    def start(self):
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.call("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self):
        self.call("pg_ctl", "stop", "-w", "-m", "immediate")

    def url(self, database="postgres", user="radvit"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def cut_connections(self):
        """End every other connection, as a firewall does with idle ones. Returns how many there were."""
        with psycopg.connect(self.url()) as connection:
            others = "FROM pg_stat_activity WHERE usename = 'radvit' AND pid <> pg_backend_pid()"
            return len(connection.execute(f"SELECT pg_terminate_backend(pid) {others}").fetchall())


@pytest.fixture(scope="module")
def running():
    if program("initdb") is None:
        pytest.skip("PostgreSQL's server is not installed here")
    patch = pytest.MonkeyPatch()
    patch.setenv("PGPASSWORD", PASSWORD)
    with tempfile.TemporaryDirectory(prefix="radvit-pg-") as folder:  # another account can't enter pytest's folders
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()
    patch.undo()


@pytest.fixture
def database(running):
    """The URL of an empty database."""
    with psycopg.connect(running.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS sweeps WITH (FORCE)")
        connection.execute("CREATE DATABASE sweeps")
    return running.url("sweeps")


def in_database(folder, url, *arguments, **options):
    one = sweep(folder, *arguments, **options)
    return replace(one, record=replace(one.record, storage=url))


def files_with(folder, word):
    return [path for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def test_a_grid_killed_twice_runs_each_of_its_points_once(toy, database):
    arguments = ("x=1,2,3,4", "y=1,2", "seconds=0.1", f"hydra.sweeper.storage={database}")
    done = kill_twice(toy, arguments, 2, 5, Waits())
    assert len(done) == 8
    assert 8 <= sum(starts(toy)) <= 8 + 2
    ranking = rank(toy.sweep())
    assert [point.state for point in ranking.points] == ["done"] * 8
    assert ranking.best.params["x"] == "3"
    assert not (toy.sweep() / "study.db").exists()
    assert files_with(toy.folder, PASSWORD) == []


class Waits:
    """Kills come 0.05 s after a trial's end, in the middle of the next."""

    def uniform(self, low, high):
        return 0.05


def test_two_processes_share_a_search(toy, database):
    arguments = ("hydra/sweeper=optuna", "x=interval(0,6)", "hydra.sweeper.n_trials=8", "seconds=0.4")
    both = [toy.start(*arguments, f"hydra.sweeper.storage={database}") for _ in range(2)]
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    pids = [path.read_text().split() for path in toy.sweep().glob("*/starts")]
    assert [len(one) for one in pids] == [1] * 8
    assert len({pid for (pid,) in pids}) == 2


@pytest.mark.slow
def test_trainings_killed_twice_and_pruned_end_once_each(trainer, database):
    write_medmnist(trainer.folder / "pneumoniamnist.npz")
    swept = ("hydra/sweeper=optuna", "optim.lr=tag(log, interval(1e-5, 1e-2))", "hydra.sweeper.n_trials=6")
    pruned = ("hydra.sweeper.pruner=median", "hydra.sweeper.startup_trials=1")
    done = kill_twice(trainer, (*TINY, *swept, *pruned, f"hydra.sweeper.storage={database}"), 1, 3, Waits())
    assert len(done) == 6
    states = [state for point in rank(trainer.sweep()).points for state in point.states]
    assert set(states) <= {"done", "pruned"}
    assert len(states) == 6
    assert files_with(trainer.folder, PASSWORD) == []


def test_a_connection_cut_while_a_trial_runs_costs_nothing(tmp_path, running, database):
    class Cut(Runs):
        def one(self, job):
            assert running.cut_connections() >= 1
            return super().one(job)

    runs = Cut()
    drive(in_database(tmp_path, database, "x=1,2,3"), runs)
    assert [job.number for job in runs.jobs] == [0, 1, 2]
    assert [point.state for point in rank(tmp_path).points] == ["done"] * 3


def test_a_server_that_stops_ends_the_sweep_in_a_line_and_it_goes_on_later(tmp_path, running, database):
    class Stop(Runs):
        def one(self, job):
            told = super().one(job)
            if job.number == 1:
                running.stop()
            return told

    first, then = Stop(), Runs()
    try:
        with pytest.raises(ConfigError, match=r"database no longer answers: .*; the same command goes on once it does"):
            drive(in_database(tmp_path, database, "x=1,2,3"), first)
        with pytest.raises(ConfigError, match=r"^hydra.sweeper.storage=postgresql://radvit@.*can't be opened: "):
            rank(tmp_path)
    finally:
        running.start()
    drive(in_database(tmp_path, database, "x=1,2,3"), then)
    assert [job.number for job in first.jobs + then.jobs] == [0, 1, 2]
    assert [point.state for point in rank(tmp_path).points] == ["done"] * 3


def test_a_study_of_that_name_begun_in_another_folder_is_refused(tmp_path, database):
    drive(in_database(tmp_path / "one", database, "x=1,2"), Runs())
    with pytest.raises(ConfigError, match=r"holds a study s already, begun elsewhere than in .*; name a new one"):
        drive(in_database(tmp_path / "other", database, "x=1,2"), Runs())
    assert not (tmp_path / "other" / RECORD).exists()
    assert rank(tmp_path / "one").best.values == (1.0,)
    assert json.loads((tmp_path / "one" / RECORD).read_text())["storage"] == database


@pytest.mark.parametrize(
    ("database", "user", "password", "words"),
    [
        ("none", "radvit", PASSWORD, 'database "none" does not exist'),
        ("postgres", "radvit", "wrong", "password authentication failed"),
        ("postgres", "radvit", None, "no password supplied"),
        ("postgres", "other", PASSWORD, "password authentication failed"),
    ],
)
def test_what_the_server_refuses_is_one_line(tmp_path, running, monkeypatch, database, user, password, words):
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.delenv("PGPASSWORD") if password is None else monkeypatch.setenv("PGPASSWORD", password)
    with pytest.raises(ConfigError, match=words) as refused:
        drive(in_database(tmp_path / "s", running.url(database, user), "x=1,2"), Runs())
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert not (tmp_path / "s" / RECORD).exists()  # so that the right URL may follow


def test_no_server_there_is_one_line_and_leaves_nothing(toy):
    with socket.socket() as nobody:  # bound, but not listening
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://radvit@127.0.0.1:{nobody.getsockname()[1]}/sweeps"
        code, lines = toy.run("x=1,2", f"hydra.sweeper.storage={url}")
    assert code == 2
    assert lines[-1].startswith(f"radvit: hydra.sweeper.storage={url}: can't be opened: ")
    assert "refused" in lines[-1]
    assert not any("Traceback" in line for line in lines)
    assert not (toy.sweep() / RECORD).exists()


def test_without_a_driver_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"no driver here; pip install 'radvit\[postgres\]'"):
        open_storage("postgresql://radvit@127.0.0.1/sweeps")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://radvit:{PASSWORD}@127.0.0.1/sweeps", "holds a password; expected it in PGPASSWORD"),
        (f"postgresql://radvit:{PASSWORD}@a/b@127.0.0.1/sweeps", "holds a password"),
        (f"postgresql://127.0.0.1/sweeps?user=radvit&password={PASSWORD}", "holds a password"),
        (f"postgres:/radvit:{PASSWORD}@127.0.0.1/sweeps", "is no URL; expected postgresql://USER@HOST/DATABASE"),
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(tmp_path, url, words):
    with pytest.raises(ConfigError, match=words) as refused:
        drive(in_database(tmp_path, url, "x=1,2"), Runs())
    assert PASSWORD not in str(refused.value)
    assert files_with(tmp_path, PASSWORD) == []
