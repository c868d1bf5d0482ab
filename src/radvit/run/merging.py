"""A trained run once more, as one whose model merges tokens: the same weights, judged anew."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from radvit import terminal
from radvit.bundle import Bundle, load_bundle, save_bundle
from radvit.config import DataConfig, EvaluateConfig, SourceKind, TrainConfig
from radvit.errors import ConfigError
from radvit.evaluation.card import model_card
from radvit.inference.torch_engine import TorchEngine
from radvit.run.evaluation import measured_data
from radvit.run.folder import CONFIG, SPLITS, run_folder, saved_config
from radvit.run.judging import judged
from radvit.run.unseen import RECORD

log = logging.getLogger(__name__)


def save_merging(checkpoint: Path, out: Path, share: float) -> Bundle:
    """Write a run folder whose model merges a share of its tokens after each block.

    checkpoint: a run folder, or a bundle in one, whose data lie where they lay. Weights, splits and what the model has
    seen are copied; calibration and thresholds are chosen anew on the validation split, for scores move a little.
    Raises ConfigError where `out` holds something, or where this model can't merge.
    """
    terminal.quiet_libraries()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there and not empty; expected a new folder")
    bundle = load_bundle(checkpoint)
    folder = run_folder(bundle)
    config = merging_config(saved_config(folder), out, share)
    trained = {**bundle.trained, "merge_tokens": share}
    merging = replace(bundle, folder=out / "bundle", spec=bundle.spec.merging(share), trained=trained)
    model = replace(merging, folder=bundle.folder).model()
    own = EvaluateConfig(checkpoint=str(checkpoint), data=DataConfig(kind=SourceKind.run))
    cohort, splits = measured_data(own, bundle)
    if splits.val:
        merging = judged(config, merging, TorchEngine(model), cohort, splits)
    merging = save_bundle(merging, model, model_card(merging))
    if (bundle.folder / RECORD).is_file():
        shutil.copy2(bundle.folder / RECORD, merging.folder / RECORD)
    shutil.copy2(folder / SPLITS, out / SPLITS)
    OmegaConf.save(OmegaConf.structured(config), out / CONFIG)
    log.info("saved %s; next: python evaluate.py checkpoint=%s", merging.folder, out)
    return merging


def merging_config(saved: TrainConfig, out: Path, share: float) -> TrainConfig:
    """The configuration of a run with another share; activations are no longer computed twice, as nothing is trained.

    Raises ConfigError where the model can't merge.
    """
    return replace(saved, run_dir=str(out), model=replace(saved.model, merge_tokens=share, checkpointing=False))
