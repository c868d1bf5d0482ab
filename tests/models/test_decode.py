import numpy as np
import pytest
import torch
from scipy.special import expit

from radvit.models.decode import DecodeSpec, decode, image_scores, mirrored_mean
from radvit.models.detectors import DetectorKind
from radvit.records import FloatArray


def maps(rows: int = 8, columns: int = 8) -> dict[str, FloatArray]:
    return {
        "score_8": np.full((1, 1, rows, columns), -9, np.float32),
        "box_8": np.full((1, 4, rows, columns), 6, np.float32),
    }


def test_a_peak_becomes_the_box_around_its_cells_centre() -> None:
    outputs = maps()
    outputs["score_8"][0, 0, 3, 5] = 2.0
    outputs["box_8"][0, :, 3, 5] = [4, 5, 6, 7]
    (found,) = decode(outputs, (8,), DecodeSpec())
    np.testing.assert_allclose(found.xyxy, [[40, 23, 50, 35]])  # centre (44, 28)
    np.testing.assert_allclose(found.scores, [torch.tensor(2.0).sigmoid()])


def test_neighbours_of_a_peak_and_overlapping_boxes_are_dropped() -> None:
    outputs = maps()
    outputs["score_8"][0, 0, 3, 5] = 2.0
    outputs["score_8"][0, 0, 3, 4] = 1.0  # next to the peak: no local maximum
    outputs["score_8"][0, 0, 3, 7] = 1.0  # a maximum of its own
    outputs["box_8"][0, :, 3, 7] = 30.0
    (found,) = decode(outputs, (8,), DecodeSpec(overlap=0.5))
    assert len(found) == 2
    outputs["box_8"][0, :, 3, 5] = 30.0
    (found,) = decode(outputs, (8,), DecodeSpec(overlap=0.3))
    assert len(found) == 1


def test_an_image_with_no_score_gives_no_box() -> None:
    (found,) = decode(maps(), (8,), DecodeSpec())
    assert found.xyxy.shape == (0, 4)


def test_boxes_stay_inside_the_image_and_are_best_first() -> None:
    outputs = maps(4, 6)
    outputs["score_8"][0, 0, 0, 0], outputs["score_8"][0, 0, 3, 5] = 1.0, 3.0
    outputs["box_8"][:] = 20.0
    (found,) = decode(outputs, (8,), DecodeSpec(overlap=0.9))
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.xyxy.min() >= 0
    assert found.xyxy[:, 2].max() <= 48
    assert found.xyxy[:, 3].max() <= 32


def test_levels_are_joined() -> None:
    outputs = maps()
    outputs |= {"score_16": np.full((1, 1, 4, 4), -9, np.float32), "box_16": np.full((1, 4, 4, 4), 12, np.float32)}
    outputs["score_8"][0, 0, 0, 0], outputs["score_16"][0, 0, 3, 3] = 1.0, 2.0
    (found,) = decode(outputs, (8, 16), DecodeSpec())
    np.testing.assert_allclose(found.xyxy, [[44, 44, 64, 64], [0, 0, 10, 10]])


def test_image_scores_are_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0], [3.0, -3.0]])
    np.testing.assert_allclose(image_scores(logits.numpy(), exclusive=True), logits.softmax(1), rtol=1e-5)
    np.testing.assert_allclose(image_scores(logits.numpy(), exclusive=False), logits.sigmoid(), rtol=1e-6)


def test_with_centreness_a_score_is_the_geometric_mean_and_neighbours_are_suppressed_by_overlap():
    outputs = maps()
    outputs["center_8"] = np.full((1, 1, 8, 8), -9, np.float32)
    outputs["score_8"][0, 0, 3, 4:6] = [1, 2]
    outputs["center_8"][0, 0, 3, 4:6] = [3, 0.5]
    outputs["box_8"][:] = 20.0
    (found,) = decode(outputs, (8,), DecodeSpec(overlap=0.5), DetectorKind.CENTRENESS)
    both = (torch.tensor([1.0, 2.0]).sigmoid() * torch.tensor([3.0, 0.5]).sigmoid()).sqrt()
    np.testing.assert_allclose(found.scores[0], both.max(), rtol=1e-6)
    (apart,) = decode(outputs, (8,), DecodeSpec(overlap=1.0), DetectorKind.CENTRENESS)
    np.testing.assert_allclose(np.sort(apart.scores[:2]), np.sort(both.numpy()), rtol=1e-6)


def test_of_a_set_every_location_stands_for_itself():
    outputs = maps()
    outputs["score_8"][0, 0, 3, 4:6] = [1, 2]
    outputs["box_8"][:] = 20.0
    (found,) = decode(outputs, (8,), DecodeSpec(most=2, overlap=0.0), DetectorKind.SET)
    np.testing.assert_allclose(found.scores, torch.tensor([2.0, 1.0]).sigmoid(), rtol=1e-6)


def test_soft_suppression_lowers_scores_in_place_of_dropping_boxes():
    outputs = maps()
    outputs["score_8"][0, 0, 3, 2], outputs["score_8"][0, 0, 3, 5] = 2.0, 1.0
    outputs["box_8"][:] = 20.0  # 40 px wide, 24 px apart
    (hard,) = decode(outputs, (8,), DecodeSpec(overlap=0.2))
    (soft,) = decode(outputs, (8,), DecodeSpec(soft_sigma=0.5))
    assert (len(hard), len(soft)) == (1, 2)
    overlap = 16 / 64
    expected = float(torch.tensor(1.0).sigmoid()) * np.exp(-(overlap**2) / 0.5)
    np.testing.assert_allclose(soft.scores, [float(torch.tensor(2.0).sigmoid()), expected], rtol=1e-5)


@pytest.mark.parametrize("kind", list(DetectorKind))
def test_a_model_blind_to_sides_says_the_same_of_an_image_and_its_mirror_image(kind):
    """A convolution with a symmetric kernel: joined with its mirror image nothing changes."""
    torch.manual_seed(0)
    own = {name: torch.randn(2, n, 6, 8).numpy() for name, n in (("score_8", 2), ("center_8", 1), ("box_8", 4))}
    own["box_8"] = np.exp(own["box_8"]) * 8
    mirrored = {name: value[..., ::-1] for name, value in own.items()}
    mirrored["box_8"] = mirrored["box_8"][:, [2, 1, 0, 3]]
    joined = mirrored_mean(own, mirrored)
    for one, other in zip(*(decode(o, (8,), DecodeSpec(), kind) for o in (own, joined)), strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=1e-4)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_mirror_images_are_joined_by_the_mean_of_scores_and_of_logits():
    own = {"score_8": np.float32([[[[2, -1]]]]), "logits": np.float32([[1, 0]])}
    mirrored = {"score_8": np.float32([[[[0, 4]]]]), "logits": np.float32([[0, 2]])}
    joined = mirrored_mean(own, mirrored)
    mean = (torch.tensor([2.0, -1.0]).sigmoid() + torch.tensor([4.0, 0.0]).sigmoid()) / 2
    np.testing.assert_allclose(expit(joined["score_8"]).ravel(), mean, rtol=1e-6)
    np.testing.assert_array_equal(joined["logits"], [[0.5, 1]])
