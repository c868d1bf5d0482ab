import numpy as np
import torch

from radvit.models.decode import DecodeSpec, decode, image_scores


def maps(rows: int = 8, columns: int = 8) -> dict[str, torch.Tensor]:
    return {"score_8": torch.full((1, 1, rows, columns), -9.0), "box_8": torch.full((1, 4, rows, columns), 6.0)}


def test_a_peak_becomes_the_box_around_its_cells_centre() -> None:
    outputs = maps()
    outputs["score_8"][0, 0, 3, 5] = 2.0
    outputs["box_8"][0, :, 3, 5] = torch.tensor([4.0, 5.0, 6.0, 7.0])
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
    outputs |= {"score_16": torch.full((1, 1, 4, 4), -9.0), "box_16": torch.full((1, 4, 4, 4), 12.0)}
    outputs["score_8"][0, 0, 0, 0], outputs["score_16"][0, 0, 3, 3] = 1.0, 2.0
    (found,) = decode(outputs, (8, 16), DecodeSpec())
    np.testing.assert_allclose(found.xyxy, [[44, 44, 64, 64], [0, 0, 10, 10]])


def test_image_scores_are_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0], [3.0, -3.0]])
    torch.testing.assert_close(image_scores(logits, exclusive=True).sum(1), torch.ones(2))
    torch.testing.assert_close(image_scores(logits, exclusive=False), logits.sigmoid())
