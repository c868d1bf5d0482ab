from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.transform import resize
from torch import Tensor, nn

from radvit.bench.article import FILE_STAGES, INPUT, WINDOW_STAGES, Article, windows
from radvit.errors import ConfigError


class Mean(nn.Module):
    """A model whose logit is its input's mean."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        assert images.shape == (1, 1, INPUT, INPUT)
        assert images.dtype == torch.float32
        return {"logits": images.mean((1, 2, 3))[:, None]}


def ticking() -> Callable[[], float]:
    """A clock that is a second later each time it is looked at."""
    count = itertools.count()
    return lambda: float(next(count))


def test_a_plate_has_as_many_windows_as_the_articles_say() -> None:
    places = windows(1760, 2140)
    assert len(places) == 832
    assert (places[0], places[-1]) == ((0, 0), (1600, 1984))
    assert len(set(places)) == 832


@pytest.mark.parametrize(("rows", "columns", "count"), [(128, 128, 1), (100, 60, 1), (191, 128, 1), (192, 320, 8)])
def test_windows_lie_whole_in_the_image(rows: int, columns: int, count: int) -> None:
    places = windows(rows, columns)
    assert len(places) == count
    assert all(row + 128 <= max(rows, 128) and column + 128 <= max(columns, 128) for row, column in places)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_files_are_opened_bright_where_bone_is(grey_file: Callable[..., Path], photometric: str) -> None:
    stored = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    grey, seconds = Article(Mean(), ticking()).opened(grey_file(stored, PhotometricInterpretation=photometric))
    expected = stored / stored.max()
    np.testing.assert_allclose(grey, expected if photometric == "MONOCHROME2" else 1 - expected, atol=1e-6)
    assert seconds == dict.fromkeys(FILE_STAGES, 1.0)


def test_every_window_goes_through_the_model_and_is_timed() -> None:
    grey = np.random.default_rng(0).random((200, 300), np.float32)
    places = windows(*grey.shape)
    logits, seconds = Article(Mean(), ticking()).look(grey, places)
    cuts = [grey[row : row + 128, column : column + 128] for row, column in places]
    expected = [(resize(cut, (INPUT, INPUT), anti_aliasing=True).mean() - 0.5) / 0.5 for cut in cuts]
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-5)
    assert seconds == dict.fromkeys(WINDOW_STAGES, float(len(places)))


def test_frames_are_refused(grey_file: Callable[..., Path]) -> None:
    path = grey_file(np.zeros((2, 8, 8), np.uint16))
    with pytest.raises(ConfigError, match="expected grey, and one frame"):
        Article(Mean()).opened(path)
