"""A program of a few lines under our sweeper: its runs take no time, and write what a training run writes."""

import os
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig

from radvit import entry
from radvit.errors import StoppedError
from radvit.trial import VALIDATION, alone, load_outcome, load_trial, outcome_of, write_json

entry.prepare()


@hydra.main(config_path="conf", config_name="toy", version_base="1.3")
def main(config: DictConfig) -> float:
    """One run: its loss is a known function of the point; each start leaves a trace."""
    folder = Path(config.run_dir)
    trial = load_trial(folder)
    if trial is None:
        raise RuntimeError("no trial.json")
    with alone(folder):
        with (folder / "starts").open("a") as starts:
            starts.write(f"{os.getpid()}\n")
        if load_outcome(folder) is not None:
            raise RuntimeError("run again after its end")
        if config.stop == config.x and not (folder / "stopped").exists():
            (folder / "stopped").touch()
            raise StoppedError("SIGTERM: saved", 143)
        if config.fail == config.x:
            raise ValueError(f"x={config.x} is no good\nand more lines")
        time.sleep(config.seconds)
        write_json(folder / VALIDATION, {"epoch": 1, "metrics": {"val/loss": (config.x - 3) ** 2 + config.seed / 100}})
        outcome = outcome_of(folder, trial.objective)
        outcome.save(folder)
    return outcome.value


if __name__ == "__main__":
    entry.guarded(main)
