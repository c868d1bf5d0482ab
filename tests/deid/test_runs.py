import cv2
import numpy as np
import pytest

from radvit.deid import runs as runs_module
from radvit.deid.runs import Components, Runs


def runs_of(mask):
    return Runs.of(mask.shape, mask.__getitem__)


def reference(mask):
    """Labels and statistics by OpenCV, without the background."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels, stats[1:]


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("dense", [0, 10**9], ids=["over runs", "over pixels"])
@pytest.mark.parametrize("shape", [(60, 83), (1, 40), (40, 1), (64, 20)])
def test_components_are_those_of_opencv(monkeypatch, share, dense, shape):
    monkeypatch.setattr(runs_module, "_DENSE", dense)
    rng = np.random.default_rng(int(1000 * share))
    mask = rng.random(shape) < share
    mask[0, 0] = mask[-1, -1] = True
    found = Components.of(runs_of(mask))
    labels, stats = reference(mask)
    ours = found.painted(np.arange(len(found.areas)))
    assert {(int(a), int(b)) for a, b in zip(ours[mask], labels[mask], strict=True)} == {
        (int(ours[labels == n][0]), n) for n in range(1, len(stats) + 1)
    }
    assert len(found.areas) == len(stats)
    for number in range(len(stats)):
        theirs = stats[labels[ours == number + 1][0] - 1]
        assert [*found.rects[number], found.areas[number]] == theirs.tolist()
    assert not ours[~mask].any()


def test_areas_of_an_inner_mask():
    mask = np.zeros((6, 12), bool)
    mask[1:4, 1:4] = mask[4, 4] = mask[2, 8:12] = True  # the single pixel touches the square's corner
    inner = mask.copy()
    inner[1], inner[2, 9] = False, False
    found = Components.of(runs_of(mask))
    assert found.rects.tolist() == [[1, 1, 4, 4], [8, 2, 4, 1]]
    assert found.areas.tolist() == [10, 4]
    assert found.areas_of(runs_of(inner)).tolist() == [7, 3]


def test_only_chosen_components_are_painted():
    mask = np.array([[True, False, True, False, True]])
    assert Components.of(runs_of(mask)).painted(np.array([0, 2])).tolist() == [[1, 0, 0, 0, 3]]


def test_an_empty_mask_has_no_components():
    found = Components.of(runs_of(np.zeros((4, 5), bool)))
    assert found.rects.shape == (0, 4)
    assert found.areas_of(runs_of(np.zeros((4, 5), bool))).shape == (0,)
    assert not found.painted(np.zeros(0, np.int64)).any()
