"""Train a model: python train.py experiment=phantom_nodule [key=value ...]."""

import hydra
from omegaconf import DictConfig

from radvit import entry

entry.prepare()


@hydra.main(config_path="conf", config_name="train", version_base="1.3")
def main(config: DictConfig) -> float | None:
    """Compose, validate, run."""
    return entry.job("train", config)


if __name__ == "__main__":
    entry.guarded(main)
