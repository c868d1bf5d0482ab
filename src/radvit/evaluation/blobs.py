"""A baseline without learning: bright blobs by the Laplacian of a Gaussian over scales.

Sources: Lindeberg 1998 (scale-normalised Laplacian, extrema in scale-space); Lowe 2004 (rejecting edges by the ratio
of the Hessian's eigenvalues). It gets what a radiologist's eye gets before any training: a nodule is a round bright
spot against its local background. Ribs and vessels are long, so responses along ridges are rejected.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from radvit.boxes import clip, nms
from radvit.errors import ConfigError
from radvit.records import Boxes, FloatArray

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BlobSpec:
    """What counts as a blob, in model pixels (about 1.2 to 1.7 mm on a chest radiograph at 256 px).

    sigmas: scales, a nodule of 6 to 30 mm across is a blob of sigma 1.5 to 8. background: sigma of the Gaussian whose
    result is subtracted. margin: border kept free. elongation: largest ratio of the two curvatures; ridges exceed it.
    half_score: response (about half the blob's contrast, in grey values of [0, 1]) that gets a score of 0.5.
    faintest: response below which there is nothing but quantisation (a step of 8 bits is 0.004).
    overlap: IoU above which the weaker of two blobs goes. most: boxes kept an image.
    """

    sigmas: tuple[float, ...] = (1.5, 1.9, 2.4, 3.0, 3.8, 4.8, 6.0, 7.6)
    background: float = 20.0
    margin: int = 6
    elongation: float = 3.0
    half_score: float = 0.05
    faintest: float = 0.002
    overlap: float = 0.3
    most: int = 60

    def __post_init__(self) -> None:
        if not self.sigmas or min(self.sigmas) <= 0 or list(self.sigmas) != sorted(set(self.sigmas)):
            raise ConfigError(f"blob scales {self.sigmas}; expected rising numbers above 0")
        if self.elongation < 1 or self.half_score <= 0:
            raise ConfigError(
                f"elongation {self.elongation}, half_score {self.half_score}; expected at least 1, and above 0"
            )


RADIOGRAPH = BlobSpec()


def detect_blobs(pixels: FloatArray, spec: BlobSpec = RADIOGRAPH) -> Boxes:
    """Bright round blobs of one image as boxes, best first, label 0.

    pixels: (rows, columns) float in [0, 1]. A box's side is 2 sqrt(2) sigma, the diameter at which a disc answers
    strongest. Scores in (0, 1) rise with contrast but are no probabilities until calibrated.
    """
    grey = np.asarray(pixels, np.float32)
    grey = grey - cv2.GaussianBlur(grey, (0, 0), spec.background)
    stack = [_blobness(grey, sigma, spec.elongation) for sigma in spec.sigmas]
    response = np.stack(stack)  # (scales, rows, columns)
    scale, row, column = np.nonzero(_peaks(response, spec.faintest) & _inside(grey.shape, spec.margin))
    strength = response[scale, row, column]
    half = (np.sqrt(2) * np.array(spec.sigmas))[scale]
    x, y = column + 0.5, row + 0.5  # a pixel's centre
    xyxy = clip(np.stack([x - half, y - half, x + half, y + half], 1).astype(np.float32), *grey.shape)
    scores = (strength / (strength + spec.half_score)).astype(np.float32)
    return nms(Boxes(xyxy, scores, np.zeros(len(scores), np.int64)), spec.overlap, spec.most)


def _blobness(grey: FloatArray, sigma: float, elongation: float) -> FloatArray:
    """Minus the scale-normalised Laplacian where both curvatures are downward and alike, else 0; (rows, columns)."""
    smooth = cv2.GaussianBlur(grey, (0, 0), sigma)
    xx = cv2.filter2D(smooth, cv2.CV_32F, np.array([[1, -2, 1]], np.float32))
    yy = cv2.filter2D(smooth, cv2.CV_32F, np.array([[1], [-2], [1]], np.float32))
    xy = cv2.filter2D(smooth, cv2.CV_32F, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32) / 4)
    trace, determinant = xx + yy, xx * yy - xy * xy
    round_enough = trace**2 * elongation < determinant * (elongation + 1) ** 2  # Lowe 2004, section 4.1
    blob = (trace < 0) & (determinant > 0) & round_enough
    return np.where(blob, -(sigma**2) * trace, 0).astype(np.float32)


def _peaks(response: FloatArray, faintest: float) -> Bools:
    """Where a response above `faintest` is the largest of its 26 neighbours in (scale, row, column); same shape."""
    kernel = np.ones((3, 3), np.uint8)
    near = np.stack([cv2.dilate(level, kernel) for level in response])
    padded = np.pad(near, ((1, 1), (0, 0), (0, 0)))
    highest = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.asarray((response > faintest) & (response >= highest))


def _inside(shape: tuple[int, ...], margin: int) -> Bools:
    mask = np.zeros(shape, bool)
    mask[margin : shape[0] - margin, margin : shape[1] - margin] = True
    return mask
