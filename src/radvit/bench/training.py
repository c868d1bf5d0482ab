"""How fast train.py learns, next to a bare PyTorch loop: what the trainer costs, and whether batches come in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from radvit import assemble, config
from radvit.bench import flops
from radvit.bench.beside import BareLoop, Beside, endless, twin
from radvit.bench.loading import LoadingRow
from radvit.bench.machine import machine
from radvit.config import TrainConfig
from radvit.data.datamodule import Batch, RadiographData
from radvit.data.preprocess import Preprocess
from radvit.data.samples import Cohort, Sample
from radvit.data.splits import Splits
from radvit.errors import ConfigError
from radvit.models.vit import RadiographViT
from radvit.records import Geometry, Header
from radvit.run.fitting import batches, exclusive, fit, learner

PACKAGES = ("torch", "pytorch-lightning", "timm", "numpy", "opencv-python-headless", "monai")
EPOCHS = 3
VALIDATION = 8  # images; validation isn't timed


@dataclass(frozen=True, slots=True)
class Case:
    """What is trained. overrides: of train.py's configuration. epoch_steps: an epoch's steps in earnest, if known."""

    name: str
    overrides: tuple[str, ...]
    epoch_steps: int | None = None


SMALL = Case("small ViT, 28 px", ("experiment=pneumoniamnist",), 4708 // 64)
BASE = Case("ViT-B/16, 224 px", ("experiment=chest_classify", "model.pretrained=false", "trainer=cpu"))


@dataclass(frozen=True, slots=True)
class Device:
    """Where it is trained. compiled: by torch.compile, both sides."""

    accelerator: str = "cpu"
    precision: str = "32-true"
    compiled: bool = False

    @property
    def low(self) -> bool:
        """Whether products are in bfloat16."""
        return self.precision.startswith("bf16")


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One case. Times are medians over the steps, in ms; ratios are medians over neighbouring steps, with quartiles.

    step_ms: of train.py, all that it does between two steps. bare_ms: of the bare loop on its own loader's batches.
    random_ms: of the bare loop on one batch of random numbers. overhead: step over bare, less 1. fed: images/s of
    train.py over those of the bare loop on random numbers. overhead_cpu, fed_cpu: the same of the time for which this
    process had a processor, which other work on the machine does not lengthen; None on a GPU. epoch_end_ms: what the
    end of an epoch costs beyond a step (checkpoint, loggers); epoch_overhead: that spread over an epoch's steps, as a
    part of a bare step, where the case says how many there are. gflops: operations of a step. peak_gflops: per second,
    measured in the same run or published. mfu: train.py's operations per second over the peak.
    """

    case: str
    batch: int
    steps: int
    step_ms: float
    bare_ms: float
    random_ms: float
    images_per_s: float
    overhead: Spread
    fed: Spread
    overhead_cpu: Spread | None
    fed_cpu: Spread | None
    epoch_end_ms: float
    epoch_overhead: float | None
    gflops: float
    peak_gflops: float
    peak: str
    mfu: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run measured."""

    training: list[TrainingRow]
    loading: list[LoadingRow]
    machine: dict[str, str | int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [*({"part": "training", **asdict(r)} for r in self.training), *(r.to_dict() for r in self.loading)]
        return {"rows": rows, "machine": self.machine}


def measure(case: Case, device: Device, steps: int, batch: int | None, conf: Path = Path("conf")) -> TrainingRow:
    """Train for EPOCHS epochs of `steps` steps on made-up images, with a bare loop's steps in between.

    batch: images a step; None for the configuration's. conf: the configuration's folder. Raises ConfigError where
    there is none, or where the configuration does not fit.
    """
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        settings = settings_of(case, device, steps, batch, conf, Path(made))
        count = settings.optim.batch_size * steps
        cohort, splits = made_up(count, settings.data.image_size, len(settings.data.labels), settings.seed)
        pl.seed_everything(settings.seed, workers=True, verbose=False)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # as train.py has it
        model = assemble.model(settings.model, settings.data.image_size, len(cohort.labels))
        beside = Beside(lambda module: _rivals(settings, device, model, cohort, splits, module))
        other = twin(model)
        operations = flops.count(lambda: _bare(settings, other, cohort, device).step(_random(settings, other)))
        if device.compiled:
            model.compile()
        module = learner(settings, model, cohort, splits)
        fit(settings, Path(made), module, batches(settings, cohort, splits), [beside])
    return _row(case, settings, device, beside, operations)


def settings_of(case: Case, device: Device, steps: int, batch: int | None, conf: Path, folder: Path) -> TrainConfig:
    """train.py's configuration of a case, for a short run. Raises ConfigError where there is no such configuration."""
    if not (conf / "train.yaml").is_file():
        raise ConfigError(f"{conf / 'train.yaml'} does not exist; expected to be run where train.py is")
    overrides = [
        *case.overrides,
        f"run_dir={folder}",
        f"trainer.accelerator={device.accelerator}",
        f"trainer.precision={device.precision}",
        f"trainer.max_epochs={EPOCHS}",
        f"trainer.check_val_every_n_epoch={EPOCHS}",
        *([f"optim.batch_size={batch}"] if batch else []),
    ]
    config.register()
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        settings = OmegaConf.to_object(compose("train", overrides=overrides))
    if not isinstance(settings, TrainConfig):
        raise ConfigError(f"{conf / 'train.yaml'} is no configuration of train.py")
    return replace(settings, logger={name: dict(one) for name, one in settings.logger.items()})


def made_up(train: int, size: int, classes: int, seed: int) -> tuple[Cohort, Splits]:
    """A cohort of random pixels and truth, and its splits: the content changes nothing about the speed."""
    rng = np.random.default_rng(seed)
    count = train + VALIDATION
    pixels = rng.random((count, size, size), np.float32).astype(np.float16)
    _, placement = Preprocess(size).apply(np.zeros((size, size), np.float32))
    samples = tuple(
        Sample(Header(f"P-{i}", f"1.{i}", f"2.{i}", f"3.{i}", "DX"), Geometry(size, size), placement, truth)
        for i, truth in enumerate(tuple(float(x) for x in row) for row in rng.integers(0, 2, (count, classes)))
    )
    cohort = Cohort(pixels, samples, tuple(f"class {k}" for k in range(classes)), "made up")
    parts = tuple(range(train)), tuple(range(train, count)), ()
    return cohort, Splits(*parts, tuple(sample.name for sample in samples))


def _rivals(
    settings: TrainConfig,
    device: Device,
    model: RadiographViT,
    cohort: Cohort,
    splits: Splits,
    module: pl.LightningModule,
) -> list[Any]:
    """The bare loop on a loader's batches, the same loop on random numbers, a large product, and a convolution."""
    other = twin(model)
    if device.compiled:
        other.compile()
    loop, data, random = (
        _bare(settings, other, cohort, device),
        batches(settings, cohort, splits),
        _random(settings, other),
    )
    loader = data.train_dataloader()
    stream = endless(loader, loader.sampler.set_epoch)  # type: ignore[attr-defined]
    most = [work for _, work, _ in flops.largest(module.device, device.low)]
    return [lambda: loop.step(_moved(next(stream), data, module.device)), lambda: loop.step(random), *most]


def _moved(batch: Batch, data: RadiographData, device: torch.device) -> Batch:
    if device.type == "cpu" and "change" not in batch:
        return batch
    return data.on_after_batch_transfer(data.transfer_batch_to_device(batch, device, 0), 0)


def _bare(settings: TrainConfig, model: RadiographViT, cohort: Cohort, device: Device) -> BareLoop:
    optim, steps = settings.optim, EPOCHS * len(cohort)
    clip = float(settings.trainer.get("gradient_clip_val") or 0)
    return BareLoop(model, assemble.optim(optim), exclusive(cohort), steps, optim.ema_decay, clip, device.low)


def _random(settings: TrainConfig, model: RadiographViT) -> Batch:
    """A batch of random numbers on the model's device."""
    where = next(model.parameters()).device
    size, count = settings.data.image_size, settings.optim.batch_size
    targets = torch.randint(0, 2, (count, model.spec.classes), device=where).float()
    return {"image": torch.randn(count, 1, size, size, device=where), "targets": targets}


def _row(case: Case, settings: TrainConfig, device: Device, beside: Beside, operations: int) -> TrainingRow:
    times, boundary = np.array(beside.times), np.array(beside.boundary)  # (steps, 5, wall and processor), (steps,)
    inner = times[~boundary]
    step, bare, random, *most = (float(x) for x in np.median(inner[..., 0], 0))
    ending = max(0.0, float(np.median(times[boundary, 0, 0])) - step) if boundary.any() else 0.0
    batch, (peak, how) = settings.optim.batch_size, _peak(device, most)
    overhead, fed = inner[:, 0] / inner[:, 1] - 1, inner[:, 2] / inner[:, 0]  # each (steps, wall and processor)
    on_cpu = device.accelerator == "cpu"
    return TrainingRow(
        case=case.name,
        batch=batch,
        steps=len(inner),
        step_ms=step * 1e3,
        bare_ms=bare * 1e3,
        random_ms=random * 1e3,
        images_per_s=batch / step,
        overhead=_spread(overhead[:, 0]),
        fed=_spread(fed[:, 0]),
        overhead_cpu=_spread(overhead[:, 1]) if on_cpu else None,
        fed_cpu=_spread(fed[:, 1]) if on_cpu else None,
        epoch_end_ms=ending * 1e3,
        epoch_overhead=ending / case.epoch_steps / bare if case.epoch_steps else None,
        gflops=operations / 1e9,
        peak_gflops=peak / 1e9,
        peak=how,
        mfu=operations / step / peak,
    )


def _spread(values: npt.NDArray[np.float64]) -> Spread:
    low, median, high = (float(x) for x in np.quantile(values, (0.25, 0.5, 0.75)))
    return Spread(median, low, high)


def _peak(device: Device, seconds: Sequence[float]) -> tuple[float, str]:
    """FLOP/s at most, and how that is known. seconds: what each of `flops.largest` took."""
    on_gpu = device.accelerator in ("gpu", "cuda")
    known = flops.published(torch.cuda.get_device_name()) if on_gpu and device.low else None
    if known is not None:
        return known, f"published for {torch.cuda.get_device_name()}, dense bfloat16"
    where = torch.device("cuda" if on_gpu else "cpu")
    rates = [
        (operations / took, words)
        for (words, _, operations), took in zip(flops.largest(where, device.low), seconds, strict=True)
    ]
    peak, words = max(rates)
    return peak, f"measured: {words} in the same run"


def facts() -> dict[str, str | int]:
    """What it was measured on."""
    found = {**machine(PACKAGES), "threads": torch.get_num_threads()}
    return {**found, "gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else found
