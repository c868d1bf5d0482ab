"""Read studies into reports: python infer.py checkpoint=RUN input=DIR output=DIR [report.language=zh]."""

import hydra
from omegaconf import DictConfig

from radvit import entry

entry.prepare(entry.OF_INFERENCE)


@hydra.main(config_path="conf", config_name="infer", version_base="1.3")
def main(config: DictConfig) -> None:
    """Compose, validate, run."""
    entry.job("infer", config)


if __name__ == "__main__":
    entry.guarded(main)
