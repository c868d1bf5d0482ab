"""How far the outlines of masks lie apart: the 95th percentile Hausdorff distance.

Sources: Huttenlocher, Klanderman and Rucklidge 1993 (quantiles in place of the maximum); Maier-Hein et al. 2024
(Metrics reloaded). Computed as MONAI's `compute_hausdorff_distance(percentile=95)` does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt

from radvit.errors import DataError
from radvit.metrics.classification import ratio

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def hd95(found: Bools, true: Bools) -> Array:
    """HD95 of each image and class, in pixels. found, true: (N, K, rows, columns). Returns (N, K).

    nan where either mask is empty: there is no distance to nothing. Raises DataError where shapes differ.
    """
    if found.shape != true.shape or found.ndim != 4:
        raise DataError(f"found masks {found.shape} and true masks {true.shape}; expected equal (N, K, rows, columns)")
    n, k = found.shape[:2]
    return np.array([_one(found[i, j], true[i, j]) for i in range(n) for j in range(k)], np.float64).reshape(n, k)


def mean_hd95(distances: Array, k: int, weights: Array) -> Array:
    """Mean HD95 of class k over the images that have one. distances: (N, K); weights: (B, N). Returns (B,)."""
    known = np.isfinite(distances[:, k])
    return ratio(weights @ np.where(known, distances[:, k], 0.0), weights @ known.astype(np.float64))


def _one(found: Bools, true: Bools) -> float:
    """The larger of the two directed 95th percentiles, of distances between border pixels inside the masks."""
    if not found.any() or not true.any():
        return float("nan")
    a, b = _border(found), _border(true)
    to_b, to_a = distance_transform_edt(~b)[a], distance_transform_edt(~a)[b]
    return float(max(np.quantile(to_b, 0.95), np.quantile(to_a, 0.95)))


def _border(mask: Bools) -> Bools:
    """Pixels with one of their four neighbours outside; beyond the image is outside."""
    return np.asarray(mask & ~binary_erosion(mask))
