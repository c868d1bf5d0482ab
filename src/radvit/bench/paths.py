"""From a DICOM file to a model tensor, stage by stage: as radvit does it, and with plain pydicom and scikit-image."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.deid.burned_in import BurnedIn, Mode
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import ConfigError
from radvit.records import FloatArray

Resize = Callable[..., FloatArray]

STAGES = ("read", "de-identify", "decode", "burned-in text", "grey", "tensor")


@dataclass(slots=True)
class Clock:
    """Times one pass through the stages. seconds: of each stage, in their order. now: tells the time."""

    seconds: dict[str, float] = field(default_factory=dict)
    now: Callable[[], float] = time.perf_counter
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.now()

    def passed(self, stage: str) -> None:
        """The time since the last call, or since the clock was made, was this stage's."""
        now = self.now()
        self.seconds[stage] = now - self._last
        self._last = now


def make_loader() -> Loader:
    """A loader that searches every image for burned-in text. Its key is no secret: nothing that it makes is kept."""
    return Loader(Pseudonymizer(bytes(32)), burned_in=BurnedIn(Mode.ALWAYS, allow_none=True))


def to_tensor(path: Path, loader: Loader, preprocess: Preprocess) -> FloatArray:
    """The first image of a file as training and inference take it in. Returns (size, size) float32."""
    return prepared(loader.load(path)[0].pixels, preprocess)


def prepared(grey: FloatArray, preprocess: Preprocess) -> FloatArray:
    """grey: (rows, columns) in [0, 1]. Returns (size, size) float32."""
    square, _ = preprocess.apply(grey)
    return preprocess.normalise(square.astype(np.float32))


def radvit_path(path: Path, loader: Loader, preprocess: Preprocess, clock: Clock) -> FloatArray:
    """The same, stage by stage: the clock is told when each is over."""
    image, *_ = loader.load(path, clock.passed)
    tensor = prepared(image.pixels, preprocess)
    clock.passed("tensor")
    return tensor


def plain_path(path: Path, resize: Resize, preprocess: Preprocess, clock: Clock) -> FloatArray:
    """What a script would do: no guard, no de-identification, no letterbox. Returns (size, size) float32."""
    dataset = pydicom.dcmread(path)
    clock.passed("read")
    stored = pixel_array(dataset)
    clock.passed("decode")
    values = np.asarray(apply_voi_lut(apply_modality_lut(stored, dataset), dataset), np.float32)
    grey = (values - values.min()) / max(float(np.ptp(values)), 1e-6)
    grey = 1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey
    clock.passed("grey")
    tensor = plain_tensor(grey, resize, preprocess)
    clock.passed("tensor")
    return tensor


def plain_tensor(grey: FloatArray, resize: Resize, preprocess: Preprocess) -> FloatArray:
    """grey: (rows, columns) in [0, 1]. Returns (size, size) float32."""
    small = resize(grey, (preprocess.size, preprocess.size), anti_aliasing=True)
    return np.asarray((small - preprocess.mean) / preprocess.std, np.float32)


def skimage_resize() -> Resize:
    """scikit-image's resize. Raises ConfigError where it isn't installed."""
    try:
        from skimage.transform import resize
    except ImportError:
        raise ConfigError("comparing needs scikit-image: pip install scikit-image") from None
    chosen: Resize = resize
    return chosen
