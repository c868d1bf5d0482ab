"""A small program under our sweeper, started as a person would start it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).parent / "toy.py"


class Program:
    """Starts a sweep in a folder of the test's own, waits for it or kills it."""

    def __init__(self, folder, script):
        self.folder, self.script = folder, script

    def start(self, *arguments):
        given = {**os.environ, "OMP_NUM_THREADS": "1", "RADVIT_CONF": str(ROOT / "conf"), "RADVIT_DEID_KEY": "ab" * 32}
        return subprocess.Popen(
            [sys.executable, str(self.script), "-m", *map(str, arguments)],
            cwd=self.folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments):
        """Exit code and lines of a sweep that is left to end."""
        process = self.start(*arguments)
        told, _ = process.communicate(timeout=600)
        return process.returncode, told.splitlines()

    def killed(self, *arguments, once):
        """Kill the whole group as soon as `once()` holds; whether it was still at work."""
        process = self.start(*arguments)
        while process.poll() is None and not once():
            time.sleep(0.02)
        running = process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if running else None
        process.communicate()
        return running

    def sweep(self):
        """The folder of the only sweep."""
        (one,) = (self.folder / "outputs" / "sweep").iterdir()
        return one

    def trials(self):
        folder = self.sweep()
        record = json.loads((folder / "sweep.json").read_text())
        url = f"sqlite:///{folder / 'study.db'}"
        return optuna.load_study(study_name=record["study"], storage=url).get_trials()

    def done(self):
        """The numbers of the trials that have an outcome, and when each was written."""
        found = (self.folder / "outputs").glob("sweep/*/*/outcome.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in found}


@pytest.fixture
def toy(tmp_path):
    return Program(tmp_path, TOY)


@pytest.fixture
def trainer(tmp_path):
    return Program(tmp_path, ROOT / "train.py")
