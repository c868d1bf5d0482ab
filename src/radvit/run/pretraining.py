"""pretrain(): from images without labels to a run folder with an encoder."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from radvit import assemble
from radvit.bundle import ENCODER, RECORD
from radvit.config import SamplerName, TrainConfig
from radvit.data.checks import check_cohort
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort
from radvit.data.splits import Splits, save_splits
from radvit.encoder import save_encoder
from radvit.errors import ConfigError
from radvit.evaluation.predict import model_input
from radvit.evaluation.reconstruction import reconstruction_figure
from radvit.models.backbone import count_parameters
from radvit.models.mae import MaskedAutoencoder, repainted
from radvit.provenance import learned_from
from radvit.records import FloatArray
from radvit.run.fitting import batches, fit, with_fitting_batch
from radvit.run.folder import CONFIG, SPLITS
from radvit.run.training import as_settled, begin, normalisation
from radvit.run.unseen import remember
from radvit.training import ranks
from radvit.training.mae_module import MaeModule, generator_of

log = logging.getLogger(__name__)

PICTURE = Path("figures") / "reconstruction.png"
PICTURED = 8
NEXT = "Next: python train.py experiment=NAME model.weights=%s"
TRUE_TONE = "; a drawn patch has the brightness and contrast of the true one, which the model does not draw"


def pretrain(config: TrainConfig) -> Path:
    """Pretrain a backbone as a masked autoencoder on the train split; the val split gives the loss curve alone.

    Returns the encoder's folder. Truth may be unknown, and test images are never looked at. Raises ConfigError where
    classes would matter.
    """
    if config.optim.sampler is SamplerName.balanced:
        raise ConfigError("optim.sampler=balanced with model.task=mae, which has no classes; expected shuffled")
    folder = Path(config.run_dir)
    if config.resume and (folder / ENCODER / RECORD).is_file():
        log.info("%s has finished; nothing to do. %s", folder, NEXT % folder)
        return folder / ENCODER
    begin(config)
    settled, cohort, splits, model = ranks.first_then_all(lambda: prepare(config, folder))
    module = learner(settled, model)
    fit(settled, folder, module, batches(settled, cohort, splits))
    if ranks.rank() == 0:
        fitting = assemble.preprocess(config.data)
        save_picture(folder / PICTURE, model, cohort, splits.val, fitting)
        known = remember(folder / ENCODER, cohort, splits, config.model.weights)
        trained = learned_from(config.name, config.seed, cohort, splits) | {"training_images": known}
        save_encoder(folder, model.backbone, model.backbone.spec, fitting, trained)
        log.info("saved %s. %s", folder / ENCODER, NEXT % folder)
    ranks.wait_for_all()
    return folder / ENCODER


def learner(config: TrainConfig, model: MaskedAutoencoder) -> MaeModule:
    """The module that learns to draw what is hidden."""
    return MaeModule(model, assemble.optim(config.optim), config.seed)


def prepare(config: TrainConfig, folder: Path) -> tuple[TrainConfig, Cohort, Splits, MaskedAutoencoder]:
    """What to train with: images, splits and a fresh model; the first process writes into the run folder."""
    cohort = assemble.cohort(config.data, assemble.preprocess(config.data), config.deid, config.read)
    splits = assemble.splits(config.data, cohort, config.deid)
    model = assemble.autoencoder(config.model, config.mae, config.data.image_size, normalisation(config.data))
    if ranks.rank() > 0:
        return as_settled(config, folder), cohort, splits, model
    check_cohort(cohort, splits, config.data.accept_leaks, labelled=False)
    config = with_fitting_batch(config, learner(config, model), cohort, splits)
    save_splits(folder / SPLITS, splits, cohort.samples)
    OmegaConf.save(OmegaConf.structured(config), folder / CONFIG)
    sizes = (len(splits.train), len(splits.val), 100 * (1 - model.shown / model.side**2))
    weights = count_parameters(model.backbone) / 1e6
    log.info(
        "%s, %.2f M weights; %d training, %d validation images, %.0f %% hidden", config.model.name, weights, *sizes
    )
    return config, cohort, splits, model


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
