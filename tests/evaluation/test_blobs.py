import numpy as np
import pytest

from radvit.errors import ConfigError
from radvit.evaluation.blobs import BlobSpec, detect_blobs


def planted(blobs, size=256, noise=0.01, seed=0):
    """A slope and noise, with Gaussian blobs (x, y, sigma, height) on it."""
    y, x = np.mgrid[:size, :size] + 0.5
    image = 0.3 + 0.2 * x / size + np.random.default_rng(seed).normal(0, noise, (size, size))
    for bx, by, sigma, height in blobs:
        image += height * np.exp(-((x - bx) ** 2 + (y - by) ** 2) / (2 * sigma**2))
    return np.clip(image, 0, 1).astype(np.float32)


BLOBS = [(60.5, 70.5, 2.0, 0.25), (150.5, 90.5, 4.0, 0.3), (200.5, 200.5, 6.0, 0.35)]


def test_planted_blobs_come_first_in_the_right_place_and_size():
    found = detect_blobs(planted(BLOBS))
    centers = (found.xyxy[:3, :2] + found.xyxy[:3, 2:]) / 2
    side = found.xyxy[:3, 2] - found.xyxy[:3, 0]
    for x, y, sigma, _ in BLOBS:
        nearest = np.linalg.norm(centers - (x, y), axis=1)
        assert nearest.min() <= 1.5
        assert side[nearest.argmin()] == pytest.approx(2 * np.sqrt(2) * sigma, rel=0.3)
    assert (found.scores[:3] > 2 * found.scores[3]).all()


def test_more_contrast_is_a_higher_score():
    scores = [detect_blobs(planted([(128.5, 128.5, 4.0, h)])).scores[0] for h in (0.1, 0.2, 0.4)]
    assert scores[0] < scores[1] < scores[2] < 1


def test_a_bright_line_is_no_blob_and_a_dark_spot_is_none():
    line = planted([], noise=0)
    line[120:124, :] += 0.3
    assert len(detect_blobs(line)) == 0 or detect_blobs(line).scores.max() < 0.1
    assert detect_blobs(planted([(128.5, 128.5, 4.0, -0.25)], noise=0)).scores.max(initial=0) < 0.1


def test_limits_border_and_flat_image():
    noisy = planted([], noise=0.1)
    found = detect_blobs(noisy)
    assert 0 < len(found) <= 60
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0) & (found.scores < 1)).all()
    assert ((found.xyxy >= 0) & (found.xyxy <= 256)).all()
    assert len(detect_blobs(planted([(2.5, 128.5, 2.0, 0.4)], noise=0))) == 0
    assert len(detect_blobs(np.zeros((256, 256), np.float32))) == 0


def test_input_unmodified_and_wrong_scales():
    image = planted(BLOBS)
    before = image.copy()
    detect_blobs(image)
    np.testing.assert_array_equal(image, before)
    with pytest.raises(ConfigError, match="expected rising numbers"):
        BlobSpec(sigmas=(2.0, 1.0))
    with pytest.raises(ConfigError, match="at least 1"):
        BlobSpec(elongation=0.5)
