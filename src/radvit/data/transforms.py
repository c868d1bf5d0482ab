"""Random changes that a radiograph may plausibly undergo; drawing them is kept apart from applying them.

Here they are applied to one image, by OpenCV: measured several times as fast as MONAI's array transforms (docs/data.md,
"Batches"). radvit.data.batch_transforms applies the same changes to a batch, on any device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from radvit.boxes import clip, hull_after
from radvit.data.masks import Mask
from radvit.errors import ConfigError
from radvit.records import FloatArray

Kept = npt.NDArray[np.bool_]
Changed = tuple[FloatArray, FloatArray, Kept]
KEPT_AREA = 0.5  # a box of which less stays inside the image is dropped
GREYS = np.linspace(0, 1, 4096)  # steps of the tone curve's table, as fine as 12 bits
CUTOUT_SIDE = (0.1, 0.25)  # of the image's side
NOISE_MEAN, NOISE_SCALE = 16, 8**-0.5  # of noise_ones
SHARPEN_SIGMA = 1.0  # pixels


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """How far an image may be changed; all zero changes nothing.

    rotate_deg: degrees either way. scale: 0.1 for 0.9 to 1/0.9 times. shift: part of the side, either way. flip:
    left-right in half of the images (it puts the heart on the right). brightness: added grey, either way. contrast:
    0.1 for 0.9 to 1/0.9 times about mid-grey. gamma: likewise, exponent. noise: largest standard deviation, grey.
    blur: largest standard deviation, pixels. cutout: probability of one grey rectangle. shading: largest standard
    deviation, grey, of what is added at nine places, smoothly between them (uneven exposure). sharpen: largest part
    added of what a blur of 1 px takes away (edge enhancement, as makers' processing does it).
    """

    rotate_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    cutout: float = 0.0
    shading: float = 0.0
    sharpen: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = float(getattr(self, field.name))
            if not (np.isfinite(value) and value >= 0):
                raise ConfigError(f"augment.{field.name} {value}; expected a number of at least 0")
            if field.name in ("scale", "contrast", "gamma", "cutout") and value > 1 - (field.name != "cutout") * 0.01:
                raise ConfigError(f"augment.{field.name} {value}; expected less than 1")


@dataclass(frozen=True, slots=True)
class Augment:
    """One drawn change. scale, contrast, gamma: factors. shift: (x, y), part of the side. cutout: (x, y, w, h) or None.

    noise_seed: seeds the noise field, which is as large as the image and so not drawn here. shading: added grey at the
    corners, the middles of the sides and the centre, row by row; None for none.
    """

    rotate_deg: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    noise: float = 0.0
    noise_seed: int = 0
    blur: float = 0.0
    cutout: tuple[float, float, float, float] | None = None
    shading: tuple[float, ...] | None = None
    sharpen: float = 0.0

    @property
    def still(self) -> bool:
        """Whether it moves nothing."""
        return (self.rotate_deg, self.scale, self.shift, self.flip) == (0.0, 1.0, (0.0, 0.0), False)


def draw(spec: AugmentSpec, rng: np.random.Generator) -> Augment:
    """Draw one change; the same numbers are drawn whatever the spec."""
    u = rng.uniform(-1, 1, 7)
    part = rng.random(8)
    side = CUTOUT_SIDE[0] + (CUTOUT_SIDE[1] - CUTOUT_SIDE[0]) * part[3:5]
    corner = part[5:7] * (1 - side)
    noise_seed = int(rng.integers(2**63))
    uneven, sharp = rng.random(2)
    nodes = rng.standard_normal(9) * uneven * spec.shading
    return Augment(
        rotate_deg=float(u[0] * spec.rotate_deg),
        scale=_factor(u[1], spec.scale),
        shift=(float(u[2] * spec.shift), float(u[3] * spec.shift)),
        flip=bool(spec.flip and part[0] < 0.5),
        brightness=float(u[4] * spec.brightness),
        contrast=_factor(u[5], spec.contrast),
        gamma=_factor(u[6], spec.gamma),
        noise=float(part[1] * spec.noise),
        noise_seed=noise_seed,
        blur=float(part[2] * spec.blur),
        cutout=(*corner.tolist(), *side.tolist()) if part[7] < spec.cutout else None,
        shading=tuple(nodes.tolist()) if spec.shading > 0 else None,
        sharpen=float(sharp * spec.sharpen),
    )


def apply(change: Augment, image: FloatArray, boxes: FloatArray) -> Changed:
    """Change an image and its boxes.

    image: (S, S) float32 in [0, 1]; boxes: (n, 4) xyxy, pixels. Returns a new image in [0, 1], the boxes that stay
    (at least half of their area inside), cut off at the border, and which of the n they are, (n,) bool.
    """
    size = len(image)
    image = _tone(change, _warped(change, image, cv2.INTER_LINEAR))
    if change.shading is not None:
        image = np.clip(image + shading_field(change.shading, size), 0, 1)
    if change.blur > 0:
        image = cv2.GaussianBlur(image, (0, 0), change.blur)
    if change.sharpen > 0:
        image = image + np.float32(change.sharpen) * (image - cv2.GaussianBlur(image, (0, 0), SHARPEN_SIGMA))
        image = np.clip(image, 0, 1)
    if change.noise > 0:
        image = image + np.float32(change.noise) * standard_noise(image.shape, change.noise_seed)
    if change.cutout is not None:
        image = _cut(image, cutout_px(change.cutout, size))
    return np.clip(image, 0, 1), *apply_boxes(change, boxes, size)


def apply_boxes(change: Augment, boxes: FloatArray, size: int) -> tuple[FloatArray, Kept]:
    """Move boxes with an image of side `size`. Returns those that stay, and which they are, as `apply` does."""
    if change.still or not len(boxes):
        return boxes, np.ones(len(boxes), bool)
    hulls = hull_after(boxes, matrix(change, size))
    inside = clip(hulls, size, size)
    kept = _area(inside) >= KEPT_AREA * _area(hulls)
    return inside[kept], kept


def apply_mask(change: Augment, mask: Mask) -> Mask:
    """Move a mask with its image, by the nearest pixel; what lies outside is gone. mask: (S, S) uint8, a bit a class.

    What changes greys alone leaves it as it is: what a rectangle hides is still there, as its box is.
    """
    return np.asarray(_warped(change, mask, cv2.INTER_NEAREST), np.uint8)


def matrix(change: Augment, size: int) -> FloatArray:
    """The affine map of a change, (2, 3) float32: continuous pixel coordinates (x, y, 1) to (x', y').

    It turns and scales about the image's centre, mirrors, then shifts.
    """
    angle = np.deg2rad(change.rotate_deg)
    turn = change.scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if change.flip:
        turn = np.diag([-1.0, 1.0]) @ turn
    centre = np.array([size / 2, size / 2])
    offset = centre - turn @ centre + np.array(change.shift) * size
    return np.column_stack([turn, offset]).astype(np.float32)


def cutout_px(part: tuple[float, float, float, float], size: int) -> tuple[int, int, int, int]:
    """A cutout's (x, y, w, h) in pixels of an image of side `size`."""
    x, y, w, h = (round(one * size) for one in part)
    return x, y, w, h


def shading_field(nodes: tuple[float, ...], size: int) -> FloatArray:
    """The surface through nine values (see Augment.shading), quadratic in x and y. Returns (size, size) float32."""
    basis = shading_basis(size)
    return np.asarray(basis @ np.array(nodes, np.float32).reshape(3, 3) @ basis.T, np.float32)


@cache
def shading_basis(size: int) -> FloatArray:
    """What the values at both ends and in the middle of a side weigh at each pixel of it. Returns (size, 3) float32."""
    x = (2 * np.arange(size) + 1) / size - 1
    return np.column_stack([x * (x - 1) / 2, 1 - x**2, x * (x + 1) / 2]).astype(np.float32)


def standard_noise(shape: tuple[int, ...], seed: int) -> FloatArray:
    """Noise of mean 0 and standard deviation 1, float32."""
    return (noise_ones(shape, seed).astype(np.float32) - np.float32(NOISE_MEAN)) * np.float32(NOISE_SCALE)


def noise_ones(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.uint8]:
    """How many of 32 random bits are ones, a value a pixel: close to normal, with mean 16 and variance 8.

    It is many times as fast as drawing from the normal distribution.
    """
    count = math.prod(shape)
    raw = np.random.SFC64(seed).random_raw((count + 1) // 2)  # 64 bits each, for two values
    return np.bitwise_count(raw.view(np.uint32)[:count].reshape(shape))


def _factor(u: float, spread: float) -> float:
    """A factor between 1 - spread and its inverse, as likely up as down. u: in [-1, 1]."""
    return float((1 - spread) ** u)


def _warped(change: Augment, image: npt.NDArray[Any], how: int) -> npt.NDArray[Any]:
    """The image itself where the change moves nothing."""
    if change.still:
        return image
    size = len(image)
    affine = matrix(change, size)
    at_centres = affine.copy()  # OpenCV counts from pixel centres: (x + 0.5, y + 0.5) is its (x, y)
    at_centres[:, 2] += affine[:, :2] @ np.array([0.5, 0.5], np.float32) - 0.5
    return np.asarray(cv2.warpAffine(image, at_centres, (size, size), flags=how, borderValue=0))


def _area(xyxy: FloatArray) -> FloatArray:
    return np.asarray((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]))


def _tone(change: Augment, image: FloatArray) -> FloatArray:
    """Gamma, then contrast about mid-grey and brightness; from a table where powers of all pixels are slower."""
    if (change.gamma, change.contrast, change.brightness) == (1.0, 1.0, 0.0):
        return image
    if image.size <= len(GREYS):
        return _curve(change, image)
    nearest = (image * np.float32(len(GREYS) - 1) + np.float32(0.5)).astype(np.intp)
    return np.take(_curve(change, GREYS), nearest, mode="clip")


def _curve(change: Augment, greys: npt.NDArray[Any]) -> FloatArray:
    """New values of greys in [0, 1], cut off there."""
    offset = 0.5 - 0.5 * change.contrast + change.brightness
    return np.clip(greys**change.gamma * change.contrast + offset, 0, 1).astype(np.float32)


def _cut(image: FloatArray, xywh: tuple[int, int, int, int]) -> FloatArray:
    """The image with a rectangle of its mean grey over it."""
    x, y, w, h = xywh
    cut = image.copy()
    cut[y : y + h, x : x + w] = image.mean()
    return cut
