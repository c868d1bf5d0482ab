"""From a file's values to the array a model sees, and back for boxes; the same for training and inference."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from radvit.data.field import Field, find_field
from radvit.data.masks import Mask, bits, occupied
from radvit.dicom.voi import Voi
from radvit.errors import ConfigError, DataError
from radvit.records import FloatArray

F = TypeVar("F", np.float32, np.float64)

_LANES = 16  # OpenCV rounds otherwise in what is left of a row after so many pixels: strips begin at a multiple


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the model's square: model = image * scale + (left, top), in pixels of each.

    left and top need not be whole: the image is centred on the reduced grid, and the map stays exact.
    """

    scale: float
    left: float
    top: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.scale, self.left, self.top]).all() and self.scale > 0):
            raise DataError(f"placement {self.scale, self.left, self.top}; expected finite numbers and scale > 0")

    def to_model(self, xyxy: npt.NDArray[F]) -> npt.NDArray[F]:
        """Boxes in pixels of the stored image to model pixels. xyxy: (N, 4). Returns a new array of its dtype."""
        return (xyxy.astype(np.float64) * self.scale + self._offset()).astype(xyxy.dtype)

    def to_image(self, xyxy: npt.NDArray[F]) -> npt.NDArray[F]:
        """Boxes in model pixels to pixels of the stored image. xyxy: (N, 4). Returns a new array of its dtype."""
        return ((xyxy.astype(np.float64) - self._offset()) / self.scale).astype(xyxy.dtype)

    def to_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(record: dict[str, Any]) -> Placement:
        """The inverse of to_dict."""
        return Placement(**{name: float(record[name]) for name in ("scale", "left", "top")})

    def _offset(self) -> npt.NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], np.float64)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Letterbox into a square of size x size pixels, and the grey values a model expects.

    size: side of the square in pixels. mean, std: subtracted and divided by in `normalise`, after cache and
    augmentation. voi: how the loader windows a file's values, before all else. crop_border: leave out empty borders
    first, so that the field of a collimated image fills the square; see radvit.data.field.
    """

    size: int
    mean: float = 0.5
    std: float = 0.25
    voi: Voi = dataclasses.field(default_factory=Voi)
    crop_border: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"image size {self.size} px; expected at least 1")
        if not (np.isfinite([self.mean, self.std]).all() and self.std > 0):
            raise ConfigError(f"normalisation with mean {self.mean} and std {self.std}; expected finite and std > 0")

    def field_of(self, pixels: FloatArray) -> Field:
        """What of an image is fitted into the square. pixels: (rows, columns) float32 in [0, 1]."""
        return find_field(pixels) if self.crop_border else Field.whole(pixels.shape)

    def apply(self, pixels: FloatArray) -> tuple[npt.NDArray[np.float16], Placement]:
        """Fit an image, or its field, into the square, centred, with zeros around it.

        pixels: (rows, columns) float32 in [0, 1]. Returns (size, size) float16 in [0, 1] and where the image lies in
        it. Large images are halved exactly while they stay at least the target's size, then averaged over areas.
        """
        field = self.field_of(pixels)
        square = np.clip(self._square(np.asarray(field.cut(pixels), np.float32)), 0, 1).astype(np.float16)
        return square, self.placement(pixels.shape, field)

    def apply_mask(self, mask: Mask, field: Field | None = None) -> Mask:
        """Fit a mask into the square with the geometry of `apply`; nothing is set around it.

        mask: (rows, columns) uint8, bit k set where class k lies. field: of the image, None for all of it. Returns
        (size, size) uint8. Where the image shrinks, a bit is set in the cells of which at least half has it, and each
        lesion keeps at least one (masks.occupied); where it grows, each cell takes the bits of the pixel its centre
        lies in. No bit comes up that the mask lacks.
        """
        mask = mask if field is None else field.cut(mask)
        placement = self.placement(mask.shape)
        if placement.scale >= 1:
            return _grown(mask, placement, self.size)
        rows, columns = (_cells(n, placement.scale, start, self.size) for n, start in _axes(mask.shape, placement))
        square = np.zeros((self.size, self.size), np.uint8)
        for k in bits(mask):
            plane = (mask >> k & 1).astype(bool)
            square |= occupied(plane, self._square(plane.astype(np.float32)), rows, columns).astype(np.uint8) << k
        return square

    def placement(self, shape: tuple[int, ...], field: Field | None = None) -> Placement:
        """Where an image of (rows, columns) lies in the square that its field is fitted into; None for all of it."""
        field = Field.whole(shape) if field is None else field
        whole = self._fitted(field.shape)
        return Placement(whole.scale, whole.left - field.left * whole.scale, whole.top - field.top * whole.scale)

    def _fitted(self, shape: tuple[int, ...]) -> Placement:
        block = 2 ** _halvings(max(shape), self.size)
        rows, columns = (-(-n // block) for n in shape)
        side = max(rows, columns)
        scale = self.size / side
        return Placement(scale / block, (side - columns) // 2 * scale, (side - rows) // 2 * scale)

    def _square(self, pixels: FloatArray) -> FloatArray:
        """Pixels fitted into the square, not yet rounded."""
        reduced = _halved(pixels, _halvings(max(pixels.shape), self.size))
        side = max(reduced.shape)  # of a square canvas on the reduced grid
        top, left = ((side - n) // 2 for n in reduced.shape)
        canvas = np.zeros((side, side), np.float32)
        canvas[top : top + reduced.shape[0], left : left + reduced.shape[1]] = reduced
        return _resized(canvas, self.size)

    def normalise(self, x: FloatArray | npt.NDArray[np.float16]) -> FloatArray:
        """Grey values in [0, 1], of any shape, to what a model expects: (x - mean) / std, float32."""
        return (np.asarray(x, np.float32) - np.float32(self.mean)) / np.float32(self.std)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        numbers = {"size": self.size, "mean": self.mean, "std": self.std}
        return {**numbers, "voi": self.voi.to_dict(), "crop_border": self.crop_border}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> Preprocess:
        """The inverse of to_dict; without voi, the default one, without crop_border, none.

        Raises DataError where a field is missing or odd.
        """
        try:
            voi, crop = Voi.from_dict(record.get("voi", {})), record.get("crop_border", False)
            if not isinstance(crop, bool):
                raise TypeError
            return Preprocess(int(record["size"]), float(record["mean"]), float(record["std"]), voi, crop)
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise DataError(f"preprocessing {record!r}; expected the numbers size, mean and std") from error


def _halvings(longest: int, size: int) -> int:
    """How often an image can be halved with its longest side staying >= size."""
    return max(0, (longest // size).bit_length() - 1)


def _halved(pixels: FloatArray, times: int) -> FloatArray:
    """Mean over 2**times x 2**times blocks; a last incomplete block is filled up with its edge pixels.

    Only strips at the ends of rows and columns are filled up: to copy the whole image takes longer than all the rest.
    """
    block = 2**times
    rows, columns = pixels.shape
    if not (rows % block or columns % block):
        return _halved_whole(pixels, times)
    reduced = np.empty((-(-rows // block), -(-columns // block)), np.float32)
    inner = (rows // block, columns // block // _LANES * _LANES)
    for below, beside in ((False, False), (False, True), (True, False), (True, True)):
        part = _strip(inner[0], below, 1), _strip(inner[1], beside, 1)
        cut = pixels[_strip(inner[0], below, block), _strip(inner[1], beside, block)]
        if cut.size:
            filling = [(0, -n % block) for n in cut.shape]
            whole = np.pad(cut, filling, mode="edge") if below or beside else cut
            reduced[part] = _halved_whole(whole, times)
    return reduced


def _strip(count: int, last: bool, block: int) -> slice:
    """The first `count` blocks of an axis, or what comes after them."""
    return slice(count * block, None) if last else slice(count * block)


def _halved_whole(pixels: FloatArray, times: int) -> FloatArray:
    """pixels: of sides that are multiples of 2**times."""
    for _ in range(times):  # one by two again and again is several times faster than once by 2**times
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    return pixels


def _resized(canvas: FloatArray, size: int) -> FloatArray:
    """A square canvas at size x size: averaged over areas when it shrinks, bilinear when it grows."""
    if len(canvas) == size:
        return canvas
    how = cv2.INTER_AREA if len(canvas) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(canvas, (size, size), interpolation=how), np.float32)


def _axes(shape: tuple[int, ...], placement: Placement) -> tuple[tuple[int, float], tuple[int, float]]:
    """How long each axis of an image is, rows first, and where it starts in the square."""
    return (shape[0], placement.top), (shape[1], placement.left)


def _cells(count: int, scale: float, start: float, size: int) -> npt.NDArray[np.intp]:
    """The cell that the centre of each of `count` pixels of an axis falls into."""
    return np.clip(((np.arange(count) + 0.5) * scale + start).astype(np.intp), 0, size - 1)


def _grown(mask: Mask, placement: Placement, size: int) -> Mask:
    """A mask on a grid that is at least as fine: each cell is of the pixel that its centre lies in."""
    square = np.zeros((size, size), np.uint8)
    axes = _axes(mask.shape, placement)
    source = [np.floor((np.arange(size) + 0.5 - start) / placement.scale).astype(np.intp) for _, start in axes]
    inside = [np.flatnonzero((x >= 0) & (x < n)) for x, (n, _) in zip(source, axes, strict=True)]
    square[np.ix_(*inside)] = mask[np.ix_(source[0][inside[0]], source[1][inside[1]])]
    return square
