"""What is timed where no trained model and no file is named: models with random weights, phantom radiographs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import cv2
import numpy as np
import pydicom
import torch
from pydicom.uid import RLELossless
from torch import Tensor

from radvit.bench.paths import make_loader
from radvit.bundle import Bundle, Scope, save_bundle
from radvit.data.phantom import CohortSpec
from radvit.data.phantom.patient import write_patient
from radvit.data.preprocess import Preprocess
from radvit.inference.torch_engine import TorchEngine
from radvit.models.backbone import BackboneSpec
from radvit.models.decode import location_scores
from radvit.models.heads import DetectHead
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import FloatArray, Task
from radvit.report.build import Bands

LABELS = ("nodule",)
FOUND = 5  # boxes that a detector with random weights finds worth mentioning


def classifier(name: str, size: int) -> ModelSpec:
    """A ViT of timm or transformers, one channel, with radvit's head for image scores."""
    return ModelSpec(Task.CLASSIFY, len(LABELS), BackboneSpec(name, size))


def detector(name: str, size: int) -> ModelSpec:
    """The same with radvit's dense head, scores and boxes at stride 8."""
    return ModelSpec(Task.DETECT, len(LABELS), BackboneSpec(name, size))


def check(spec: ModelSpec) -> None:
    """Raise ConfigError where a model can't be built, without filling a single weight."""
    with torch.device("meta"):
        RadiographViT(spec)


def made_bundle(folder: Path, spec: ModelSpec, seed: int = 0) -> Bundle:
    """Save a model with random weights. Raises ConfigError where it can't be built."""
    torch.manual_seed(seed)
    model = RadiographViT(spec)
    return _saved(folder, model)


def speaking_bundle(folder: Path, spec: ModelSpec, image: FloatArray, seed: int = 0) -> Bundle:
    """Save a dense detector with random weights that finds about FOUND things in an image worth mentioning.

    image: (1, 1, S, S) normalised. An untrained head finds nothing at all, and a report of nothing is quickly written.
    """
    torch.manual_seed(seed)
    model = RadiographViT(spec)
    score = cast(DetectHead, model.head).score
    torch.nn.init.normal_(score.weight, std=0.2)
    outputs = TorchEngine(model)(image)
    found = [location_scores(outputs, s, spec.detector).ravel() for s in spec.strides]
    chances = torch.from_numpy(np.concatenate(found))
    weakest = torch.logit(chances.topk(FOUND).values.min(), 1e-6)
    wanted = torch.logit(torch.tensor(Bands().mention + 0.01))
    with torch.no_grad():
        cast(Tensor, score.bias).add_(wanted - weakest)
    return _saved(folder, model)


def _saved(folder: Path, model: RadiographViT) -> Bundle:
    size, name = model.spec.backbone.image_size, model.spec.backbone.name
    bundle = Bundle(folder, model.spec, LABELS, False, Preprocess(size), Scope(), trained={"name": name})
    return save_bundle(bundle, model, f"# {name} with random weights, for timing\n")


def radiographs(count: int) -> list[FloatArray]:
    """Grey pixels of phantom radiographs of about 1000 px, each (rows, columns) float32 in [0, 1]."""
    loader = make_loader()
    with TemporaryDirectory(prefix="radvit-bench-") as made:
        files = phantom_files(Path(made), CohortSpec.preset(1, 0, small=True))
        return list(itertools.islice((image.pixels for file in files for image in loader.load(file)), count))


def phantom_files(folder: Path, spec: CohortSpec) -> Iterator[Path]:
    """Files of one phantom patient after the other, written as they are asked for, without end."""
    for patient in itertools.count():
        yield from (folder / image.file_name for image in write_patient(folder, spec, patient).images)


def batch_of(pictures: Sequence[FloatArray], preprocess: Preprocess, count: int) -> FloatArray:
    """Pictures as a model's input, again from the first where there are too few. Returns (count, 1, S, S) float32."""
    ready = [preprocess.normalise(preprocess.apply(pixels)[0]) for pixels in pictures[:count]]
    return np.stack(list(itertools.islice(itertools.cycle(ready), count)))[:, None]


def chest_file(folder: Path, rows: int, columns: int) -> Path:
    """Write a phantom's CR of the given size without burned-in lines of text, compressed as RLE Lossless."""
    read = (pydicom.dcmread(file) for file in phantom_files(folder, CohortSpec.preset(1, 0)))
    dataset = next(one for one in read if one.Modality == "CR" and one.BurnedInAnnotation == "NO")
    _resize(dataset, rows, columns)
    dataset.compress(RLELossless, generate_instance_uid=False)
    path = folder / "chest.dcm"
    dataset.save_as(path)
    return path


def _resize(dataset: pydicom.Dataset, rows: int, columns: int) -> None:
    """Resample a data set's pixels in place, and say how large they are now."""
    stored = dataset.pixel_array
    across, down = stored.shape[1] / columns, stored.shape[0] / rows
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        if keyword in dataset:
            old = getattr(dataset, keyword)
            setattr(dataset, keyword, [round(float(old[0]) * down, 6), round(float(old[1]) * across, 6)])
    pixels = cv2.resize(stored, (columns, rows), interpolation=cv2.INTER_LINEAR)
    dataset.set_pixel_data(pixels, dataset.PhotometricInterpretation, dataset.BitsStored, generate_instance_uid=False)
