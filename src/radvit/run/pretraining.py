"""pretrain(): from images without labels to a run folder with an encoder."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from radvit import __version__, assemble
from radvit.config import TrainConfig
from radvit.data.checks import check_unlabelled
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, save_splits
from radvit.encoder import save_encoder
from radvit.evaluation.predict import model_input
from radvit.evaluation.reconstruction import reconstruction_figure
from radvit.models.backbone import count_parameters
from radvit.models.mae import MaskedAutoencoder, repainted
from radvit.origin import git_commit, now
from radvit.provenance import versions
from radvit.records import FloatArray
from radvit.run.fitting import batches, fit
from radvit.run.folder import CONFIG, SPLITS
from radvit.run.training import begin
from radvit.training.mae_module import MaeModule, generator_of

log = logging.getLogger(__name__)

PICTURE = Path("figures") / "reconstruction.png"
PICTURED = 8
TRUE_TONE = "; a drawn patch has the brightness and contrast of the true one, which the model does not draw"


def pretrain(config: TrainConfig) -> Path:
    """Pretrain a backbone as a masked autoencoder on the train split; the val split gives the loss curve alone.

    Returns the encoder's folder. Truth may be unknown, and test images are never looked at.
    """
    folder = Path(config.run_dir)
    begin(config)
    fitting = assemble.preprocess(config.data)
    cohort = assemble.cohort(config.data, fitting, config.deid, config.read)
    splits = assemble.splits(config.data, cohort)
    check_unlabelled(cohort, splits)
    save_splits(folder / SPLITS, splits, cohort.samples)
    OmegaConf.save(OmegaConf.structured(config), folder / CONFIG)
    model = assemble.autoencoder(config.model, config.mae, config.data.image_size)
    sizes = (len(splits.train), len(splits.val), 100 * (1 - model.shown / model.side**2))
    weights = count_parameters(model.backbone) / 1e6
    log.info(
        "%s, %.2f M weights; %d training, %d validation images, %.0f %% hidden", config.model.name, weights, *sizes
    )
    module = MaeModule(model, assemble.optim(config.optim), config.seed)
    fit(config, folder, module, batches(config, cohort, splits))
    save_picture(folder / PICTURE, model, cohort, splits.val, fitting)
    spec = assemble.backbone_spec(config.model, config.data.image_size)
    saved = save_encoder(folder, model.backbone, spec, fitting, trained(config, cohort, splits))
    log.info("saved %s; next: python train.py experiment=NAME model.weights=%s", saved, folder)
    return saved


def trained(config: TrainConfig, cohort: Cohort, splits: Splits) -> dict[str, object]:
    """How and on what an encoder was pretrained."""
    return {
        "name": config.name,
        "seed": config.seed,
        "n_train": len(splits.train),
        "n_val": len(splits.val),
        "data_fingerprint": cohort.fingerprint,
        "split_hash": splits.hash,
        "version": __version__,
        "versions": versions(),
        "git_commit": git_commit(),
        "created": now(),
    }


def save_picture(
    path: Path, model: MaskedAutoencoder, cohort: Cohort, indices: tuple[int, ...], fitting: Preprocess
) -> None:
    """Draw some validation images: original, shown, redrawn."""
    chosen = [indices[i] for i in np.linspace(0, len(indices) - 1, min(PICTURED, len(indices))).astype(int)]
    images = torch.from_numpy(model_input(cohort, chosen, fitting))
    stride = model.backbone.stride
    with torch.inference_mode():
        drawn = model.eval().cpu()(images, generator_of([0]))
    again = repainted(images, drawn, stride, model.spec.normalise)
    covered = torch.where(drawn.hidden[:, :, None], 0.0, 1.0).view(-1, 1, model.side, model.side)
    shown = images * covered.repeat_interleave(stride, 2).repeat_interleave(stride, 3)

    def grey(batch: torch.Tensor) -> FloatArray:
        return np.clip(batch[:, 0].numpy() * fitting.std + fitting.mean, 0, 1).astype(np.float32)

    caption = "Validation images" + (TRUE_TONE if model.spec.normalise else "")
    figure = reconstruction_figure([grey(batch) for batch in (images, shown, again)], caption)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
