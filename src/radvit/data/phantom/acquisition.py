"""From line integrals to what a detector stores: scatter, quanta, blur, logarithm, and the maker's tone processing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from radvit.data.phantom.anatomy import Anatomy
from radvit.data.phantom.blobs import Blob, add_blob
from radvit.data.phantom.distractors import Lead, add_wires
from radvit.data.phantom.pose import Pose
from radvit.records import FloatArray

_QUANTA_PER_MM2 = 70_000.0  # unattenuated, at the detector; RQA5 gives about 30,000 per mm2 and microgray
_SCATTER_MM, _TONE_MM = 28.0, 20.0
_DETECTOR_MM = 0.11  # spread of the detector's blur
_FLOOR = 2e-4


@dataclass(frozen=True, slots=True)
class Exposure:
    """What differs between exposures.

    scatter: over primary, behind the grid. compression: share of the coarse structure that the tone processing
    removes. noise: multiplies the noise of a dose of 1.
    """

    scatter: float
    compression: float
    noise: float
    dose: float


def draw_exposure(rng: np.random.Generator, bedside: bool, noise: float) -> Exposure:
    """Draw an exposure; bedside ones have more scatter and less dose."""
    scatter = rng.uniform(0.3, 0.5) if bedside else rng.uniform(0.15, 0.35)
    dose = float(np.exp(rng.normal(-0.3 if bedside else 0.0, 0.35)))
    return Exposure(float(scatter), float(rng.uniform(0.42, 0.6)), noise, dose)


def expose(
    rng: np.random.Generator,
    anatomy: Anatomy,
    pose: Pose,
    blobs: tuple[Blob, ...],
    leads: tuple[Lead, ...],
    exposure: Exposure,
) -> FloatArray:
    """A processed radiograph, (rows, columns) float32, bright where attenuation is high, in log units."""
    integral = _resample(anatomy.attenuation, anatomy, pose)
    for blob in (*blobs, *(lead.pad for lead in leads), *(lead.snap for lead in leads)):
        add_blob(integral, blob, pose)
    add_wires(integral, leads, pose)
    scattered, coarse = _haze(anatomy, exposure)
    signal = np.exp(-integral, out=integral)
    signal += _resample(scattered, anatomy, pose, outside=float(scattered[0, 0]))
    _add_quanta(rng, signal, pose.spacing_mm, exposure)
    np.maximum(signal, np.float32(_FLOOR), out=signal)
    log = np.log(signal, out=signal)
    log += _resample(coarse, anatomy, pose, outside=float(coarse[0, 0]))
    return np.negative(log, out=log)


def _resample(layer: FloatArray, anatomy: Anatomy, pose: Pose, outside: float = 0.0) -> FloatArray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (pose.columns, pose.rows)
    mode = cv2.BORDER_REPLICATE if outside == 0.0 else cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.warpAffine(layer, pose.from_grid(anatomy.grid), size, flags=flags, borderMode=mode, borderValue=outside)
    )


def _haze(anatomy: Anatomy, exposure: Exposure) -> tuple[FloatArray, FloatArray]:
    """Scattered radiation, and the coarse structure that tone processing takes away; both on the anatomy's grid."""
    primary = np.exp(-anatomy.attenuation)
    scattered = anatomy.grid.blur(primary, _SCATTER_MM) * np.float32(exposure.scatter)
    coarse = anatomy.grid.blur(-np.log(primary + scattered + np.float32(_FLOOR)), _TONE_MM)
    return scattered, coarse * np.float32(exposure.compression)


def _add_quanta(rng: np.random.Generator, signal: FloatArray, spacing_mm: float, exposure: Exposure) -> None:
    """Add noise whose variance goes with the signal, blurred as the detector blurs; in place."""
    spread = exposure.noise / np.sqrt(_QUANTA_PER_MM2 * exposure.dose * spacing_mm**2)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.sqrt(signal)
    noise *= np.float32(spread)
    sigma = _DETECTOR_MM / spacing_mm
    signal += noise if sigma < 0.25 else cv2.GaussianBlur(noise, (3, 3), sigma)
