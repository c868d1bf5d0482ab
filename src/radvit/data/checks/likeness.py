"""Whether two thumbnails show one image, after a change of tone, size or framing.

What all chests share is coarse, so shades are removed and details compared: in three steps, each of which costs more
and leaves fewer pairs: as they lie; where a small affine shift of the first explains the second (the tangent
distance of Simard et al., NIPS 1993, as a multiple correlation); aligned (Evangelidis and Psarakis, TPAMI 2008).
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

Thumbs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

DETAIL_SIDE = 48  # pixels of a thumbnail whose details are compared
COARSE, FINE, ROUGH = 3.0, 2.0, 8.0  # pixels; shades coarser than this aren't details: to sift, to decide, to align
AROUND, FAINT = 6.0, 0.01  # pixels, grey: details are measured by those around them, unless fainter than this
AS_THEY_LIE = 0.6  # least correlation
SHIFTED = 0.87  # least multiple correlation
ALIGNED = 0.94  # least correlation
FARTHEST = 0.12  # of the side: an alignment that moves or stretches more isn't trusted
BORDER = DETAIL_SIDE // 12  # pixels left out where an alignment has nothing to show
_FROM_CENTRE = np.arange(DETAIL_SIDE, dtype=np.float32) / DETAIL_SIDE - 0.5
_STEPS = 15
_CHUNK = 4096
_SHADED = 1e-3  # length of the details of an image that has none


class Likeness:
    """Judges pairs of N thumbnails, (N, DETAIL_SIDE, DETAIL_SIDE) in [0, 1]."""

    def __init__(self, thumbs: Thumbs) -> None:
        self._thumbs = thumbs
        self._few = np.empty((len(thumbs), DETAIL_SIDE**2 // 4), np.float32)
        self._details = np.empty((len(thumbs), DETAIL_SIDE**2), np.float16)
        for begin in range(0, len(thumbs), _CHUNK):  # as what lies between takes several times the thumbnails' memory
            chunk = slice(begin, begin + _CHUNK)
            details = _details(thumbs[chunk], COARSE)
            self._few[chunk] = _unit(details[:, ::2, ::2].reshape(len(details), DETAIL_SIDE**2 // 4))
            self._details[chunk] = _unit(details.reshape(len(details), DETAIL_SIDE**2))

    def alike(self, first: Ints, second: Ints) -> tuple[Ints, Ints]:
        """Those of some pairs that look the same. first, second: (M,) each, sorted by the first."""
        kept = self._correlated(first, second)
        first, second = first[kept], second[kept]
        kept = self._shifted(first, second)
        first, second = first[kept], second[kept]
        kept = np.array([self._aligned(one, other) for one, other in zip(first, second, strict=True)], bool)
        return first[kept], second[kept]

    def _correlated(self, first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
        kept = np.zeros(len(first), bool)
        for begin in range(0, len(first), _CHUNK):
            chunk = slice(begin, begin + _CHUNK)
            kept[chunk] = np.einsum("ij,ij->i", self._few[first[chunk]], self._few[second[chunk]]) >= AS_THEY_LIE
        return kept

    def _shifted(self, first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
        kept = np.zeros(len(first), bool)
        starts = np.flatnonzero(np.diff(first, prepend=-1)).tolist()
        for begin, end in pairwise([*starts, len(first)]):
            others = self._details[second[begin:end]].astype(np.float32)
            kept[begin:end] = _explained(self._details[first[begin]].astype(np.float32), others) >= SHIFTED
        return kept

    def _aligned(self, first: int, second: int) -> bool:
        one, other = self._thumbs[first], self._thumbs[second]
        pair = [_details(thumb[None], FINE)[0, BORDER:-BORDER, BORDER:-BORDER] for thumb in (one, _moved(other, one))]
        flat = _unit(np.stack(pair).reshape(2, -1))
        return bool(flat[0] @ flat[1] >= ALIGNED)


def _details(thumbs: Thumbs, sigma: float) -> Thumbs:
    """Thumbnails (N, S, S) without what is coarser than sigma pixels, each part as strong as its surroundings.

    Otherwise one strong edge, such as a collimator's, would outweigh all that tells patients apart.
    """
    fine = _fine(thumbs, sigma)
    for detail in fine:
        around = cv2.GaussianBlur(detail * detail, (0, 0), AROUND, borderType=cv2.BORDER_REFLECT)
        detail /= np.sqrt(around + FAINT**2)
    return fine


def _fine(thumbs: Thumbs, sigma: float) -> Thumbs:
    fine = np.empty_like(thumbs)
    for place, thumb in enumerate(thumbs):
        fine[place] = thumb - cv2.GaussianBlur(thumb, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return fine


def _unit(flat: Thumbs) -> Thumbs:
    """Rows (N, D) of mean 0 and length 1; 0 where there was nothing but one value."""
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, length, out=np.zeros_like(flat), where=length > _SHADED), np.float32)


def _explained(one: Thumbs, others: Thumbs) -> Thumbs:
    """How well `one` and its first-order affine shifts explain each of `others`: (M,) in [0, 1].

    one: (D,), others: (M, D), details of unit length.
    """
    image = one.reshape(DETAIL_SIDE, DETAIL_SIDE)
    down, right = np.gradient(image)
    across = _FROM_CENTRE * right, _FROM_CENTRE * down  # by the column
    along = _FROM_CENTRE[:, None] * right, _FROM_CENTRE[:, None] * down  # by the row
    tangents = np.stack([image, right, down, *across, *along]).reshape(7, -1)
    tangents = tangents - tangents.mean(1, keepdims=True)
    found = others @ tangents.T  # (M, 7)
    weights = found @ np.linalg.inv(tangents @ tangents.T + 1e-9 * np.eye(7))
    return np.asarray(np.sqrt(np.clip((weights * found).sum(1), 0, 1)), np.float32)


def _moved(other: Thumbs, one: Thumbs) -> Thumbs:
    """`other`, (S, S), affinely moved onto `one`; as it is where no small move fits."""
    move = np.eye(2, 3, dtype=np.float32)
    onto, moving = (_fine(thumb[None], ROUGH)[0] for thumb in (one, other))
    try:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-4)
        _, move = cv2.findTransformECC(onto, moving, move, cv2.MOTION_AFFINE, criteria, None, 5)
    except cv2.error:  # it didn't converge
        return other
    far = np.abs(move - np.eye(2, 3)) > FARTHEST * np.array([1, 1, DETAIL_SIDE])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, move, other.shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
    return other if far.any() else np.asarray(moved, np.float32)
