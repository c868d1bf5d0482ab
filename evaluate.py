"""Measure a saved model: python evaluate.py checkpoint=RUN [split=test] [precision=int8] [quantize=int8]."""

import hydra
from omegaconf import DictConfig

from radvit import entry

entry.prepare()


@hydra.main(config_path="conf", config_name="evaluate", version_base="1.3")
def main(config: DictConfig) -> None:
    """Compose, validate, run."""
    entry.job("evaluate", config)


if __name__ == "__main__":
    entry.guarded(main)
