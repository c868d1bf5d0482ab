"""Which images of a cohort are the same, or look the same, whatever they are called.

A perceptual hash proposes pairs, and their likeness in detail decides: chest radiographs look alike, and hashes alone
take different patients for one. `docs/check.md` has the error rates that the numbers here were chosen by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from radvit.data.checks.likeness import DETAIL_SIDE, Hashes, Ints, Likeness, Thumbs
from radvit.data.samples import Cohort, Sample

SIDE = 32  # pixels of a thumbnail for the hash, which takes the lowest 8 x 8 of its frequencies, as is usual
FREQUENCIES = 8
MOST_BITS = 12  # of 64 that may differ in a pair worth a look
SMALLEST = 4  # cached pixels on a side; the rest of an image that shows less was padding
_BLOCK_BYTES = 1 << 24
_HASHED = 4096  # images at a time


def look_alikes(cohort: Cohort, parts: Ints | None = None) -> tuple[Ints, Ints]:
    """Number the images so that those with one number look the same: equal, and equal or nearly so. (N,) each.

    parts: a number for each image; then near-duplicates are looked for between images of unlike numbers alone, which
    is faster, and those of a negative number are left out.
    """
    equal = same_pixels(cohort.pixels)
    only = np.unique(equal, return_index=True)[1]  # one image of each content stands for all
    if parts is not None:  # where an equal image stands in several parts, each has its own
        only = np.unique(np.stack([equal, parts]), axis=1, return_index=True)[1]
        only = only[parts[only] >= 0]
    first, second = near_pairs(thumbnails(cohort, only.tolist()), None if parts is None else parts[only])
    links = (equal[only[first]], equal[only[second]])
    linked = coo_array((np.ones(len(first), bool), links), shape=(len(cohort), len(cohort)))
    cluster = connected_components(linked, directed=False)[1].astype(np.int64)
    return equal, cluster[equal]


def digest(image: npt.NDArray[np.float16]) -> bytes:
    """8 bytes that tell cached pixels apart."""
    return hashlib.blake2b(np.ascontiguousarray(image, "<f2").tobytes(), digest_size=8).digest()


def same_pixels(pixels: npt.NDArray[np.float16]) -> Ints:
    """Number images (N, S, S) so that those with equal pixels have one number, from 0 and without gaps. (N,)."""
    digests = np.frombuffer(b"".join(digest(image) for image in pixels), np.uint64)
    return np.unique(digests, return_inverse=True)[1].astype(np.int64)


def thumbnails(cohort: Cohort, indices: Sequence[int], side: int = DETAIL_SIDE) -> Thumbs:
    """Some images without the padding around them, each at side x side pixels whatever its aspect. (n, side, side)."""
    small = np.empty((len(indices), side, side), np.float32)
    for place, index in enumerate(indices):
        shown = np.nan_to_num(_without_padding(cohort.pixels[index].astype(np.float32), cohort.samples[index])).clip(
            0, 1
        )
        small[place] = resized(shown, side)
    return small


def resized(image: Thumbs, side: int) -> Thumbs:
    """An image at side x side pixels: averaged over areas where it shrinks, bilinear where it grows."""
    how = cv2.INTER_AREA if min(image.shape) >= side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), np.float32)


def perceptual_hash(thumbs: Thumbs, frequencies: int = FREQUENCIES) -> Hashes:
    """Which low frequencies are stronger than their median, as bits: (N, frequencies**2 / 64) uint64.

    thumbs: (N, S, S). The same bits as `imagehash.phash` gives for 8-bit images of this size, many times as fast.
    """
    low = dctn(thumbs, axes=(1, 2))[:, :frequencies, :frequencies].reshape(len(thumbs), frequencies**2)
    strong = low > np.median(low, axis=1, keepdims=True) if len(low) else low > 0
    return np.packbits(strong, axis=1).view(np.uint64)


def near_pairs(thumbs: Thumbs, parts: Ints | None = None) -> tuple[Ints, Ints]:
    """All pairs that look the same, first < second, of thumbnails (N, S, S); parts: as in `look_alikes`.

    Memory grows with N, not with its square.
    """
    hashes = np.empty(len(thumbs), np.uint64)
    for start in range(0, len(thumbs), _HASHED):
        part = np.stack([resized(thumb, SIDE) for thumb in thumbs[start : start + _HASHED]])
        hashes[start : start + _HASHED] = perceptual_hash(part)[:, 0]
    judge = Likeness(thumbs)
    found = [judge.alike(*pair) for pair in _candidates(hashes, parts)]
    first, second = (np.concatenate([np.zeros(0, np.int64), *(pair[side] for pair in found)]) for side in (0, 1))
    return first, second


def _candidates(hashes: Hashes, parts: Ints | None) -> Iterator[tuple[Ints, Ints]]:
    """Pairs whose hashes (N,) differ in few bits, a block of rows at a time."""
    block = max(1, _BLOCK_BYTES // (8 * max(1, len(hashes))))
    for start in range(0, len(hashes), block):
        rows = hashes[start : start + block]
        near = np.bitwise_count(rows[:, None] ^ hashes[None, start:]) <= MOST_BITS  # (block, N - start)
        if parts is not None:
            near &= parts[start : start + block, None] != parts[None, start:]
        row, column = np.nonzero(near)
        later = column > row
        yield row[later] + start, column[later] + start


def _without_padding(square: Thumbs, sample: Sample) -> Thumbs:
    """The part of a model's square (S, S) that shows the image."""
    whole = np.array([[0, 0, sample.geometry.columns, sample.geometry.rows]], np.float64)
    left, top, right, bottom = sample.placement.to_model(whole)[0].clip(0, len(square)).round().astype(int).tolist()
    return square[top:bottom, left:right] if min(right - left, bottom - top) >= SMALLEST else square
