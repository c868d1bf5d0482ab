"""HD95 against MONAI's, and against distances taken pair by pair."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance
from scipy.ndimage import gaussian_filter

from radvit.errors import DataError
from radvit.metrics.hausdorff import hd95, mean_hd95


def blobs(seed, n=6, side=24):
    """Found and true masks (n, 2, side, side): irregular, several parts, some touching the border."""
    rng = np.random.default_rng(seed)
    fields = gaussian_filter(rng.normal(0, 1, (2, n, 2, side, side)), (0, 0, 0, 2, 2))
    masks = fields > np.quantile(fields, 0.8)
    return masks[0], masks[1]


def slow(found, true):
    """Every border pixel against every border pixel of the other mask."""

    def border(mask):
        rows, columns = mask.shape
        inside = {(r, c) for r in range(rows) for c in range(columns) if mask[r, c]}
        around = ((0, 1), (1, 0), (0, -1), (-1, 0))
        return np.array([p for p in inside if any((p[0] + r, p[1] + c) not in inside for r, c in around)], float)

    a, b = border(found), border(true)
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    return max(np.percentile(apart.min(1), 95), np.percentile(apart.min(0), 95))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_monai_and_with_pairs(seed):
    found, true = blobs(seed)
    both = [torch.from_numpy(m.astype(np.float32)) for m in (found, true)]
    expected = compute_hausdorff_distance(*both, include_background=True, percentile=95).numpy()
    ours = hd95(found, true)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    pairs = [[slow(found[i, k], true[i, k]) for k in range(2)] for i in range(6)]
    np.testing.assert_allclose(ours, pairs, atol=1e-12)
    assert ours.min() > 0.5


def test_single_pixels_whole_images_and_equal_masks():
    one, other = np.zeros((2, 1, 1, 9, 9), bool)
    one[0, 0, 0, 0], other[0, 0, 3, 4] = True, True
    assert hd95(one, other).tolist() == [[5.0]]
    assert hd95(one, one).tolist() == [[0.0]]
    assert hd95(~np.zeros_like(one), one)[0, 0] == slow(np.ones((9, 9), bool), one[0, 0])


def test_empty_masks_have_no_distance():
    full, empty = np.ones((1, 1, 5, 5), bool), np.zeros((1, 1, 5, 5), bool)
    for pair in ((full, empty), (empty, full), (empty, empty)):
        assert np.isnan(hd95(*pair)).all()
    assert hd95(full[:0], full[:0]).shape == (0, 1)


def test_the_mean_is_over_images_that_have_a_distance():
    distances = np.array([[1.0], [np.nan], [4.0]])
    found = mean_hd95(distances, 0, np.array([[1.0, 1, 1], [2, 5, 1], [0, 3, 0]]))
    np.testing.assert_allclose(found, [2.5, 2.0, np.nan])


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match="expected equal"):
        hd95(np.zeros((1, 1, 4, 4), bool), np.zeros((1, 1, 5, 5), bool))
