import math
from itertools import permutations

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from radvit.models.location_losses import (
    candidates,
    centreness,
    centreness_loss,
    centreness_targets,
    set_loss,
    set_targets,
)
from radvit.models.share import ALONE, Share

from .shared import shares

BOX = torch.tensor([[18.0, 34.0, 30.0, 46.0]])  # centre (24, 40), on a corner of cells of 8 px
NONE = torch.zeros(0, 4)


def test_locations_inside_and_near_the_centre_may_answer():
    allowed = candidates(torch.tensor([[0.0, 0.0, 63.0, 63.0], *BOX.tolist()]), (8, 8), 8)
    assert allowed[0].nonzero().tolist() == [[r, c] for r in (2, 3, 4) for c in (2, 3, 4)]
    assert allowed[1].nonzero().tolist() == [[4, 2], [4, 3], [5, 2], [5, 3]]


def test_a_lesion_smaller_than_a_cell_has_a_location():
    for x in (0.5, 3.9, 7.99, 8.0, 11.0):
        assert candidates(torch.tensor([[x, 20.0, x + 0.5, 21.0]]), (8, 8), 8).any()


def test_centreness_is_the_papers():
    found = centreness(torch.tensor([[8.0, 8.0, 40.0, 32.0]]), (8, 8), 8)[0]
    left, right, top, bottom = 20 - 8, 40 - 20, 12 - 8, 32 - 12  # at the cell with centre (20, 12)
    expected = math.sqrt(min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom))
    assert float(found[1, 2]) == pytest.approx(expected)
    assert float(found[2, 2]) == pytest.approx(math.sqrt(12 / 20))  # in the middle of its height
    assert not found[:, 5:].any()


def test_of_two_lesions_the_smaller_one_has_the_location():
    boxes, labels = torch.tensor([[0.0, 0.0, 40.0, 40.0], [14.0, 14.0, 26.0, 26.0]]), torch.tensor([0, 1])
    made = centreness_targets(boxes, labels, (2, 8, 8), 8)
    assert made.score[:, 2, 2].tolist() == [0, 1]
    assert made.score[:, 1, 1].tolist() == [1, 0]
    assert made.box[:, 2, 2].tolist() == boxes[1].tolist()
    assert made.score.sum(0).max() == 1
    assert ((made.weight > 0) == (made.score.sum(0) > 0)).all()


def slow_match(scores: Tensor, distances: Tensor, boxes: Tensor, labels: Tensor, stride: int) -> float:
    """The best sum of qualities over every way to give each lesion a location of its own."""
    rows, columns = scores.shape[1:]
    quality = []
    for box, label in zip(boxes, labels, strict=True):
        allowed = candidates(box[None], (rows, columns), stride)[0]
        own = []
        for r in range(rows):
            for c in range(columns):
                x, y = (c + 0.5) * stride, (r + 0.5) * stride
                left, top, right, bottom = distances[:, r, c].tolist()
                found = torch.tensor([[x - left, y - top, x + right, y + bottom]])
                overlap = max(float(box_iou(box[None], found)), 1e-6)
                own.append(float(scores[label, r, c].sigmoid()) ** 0.2 * overlap**0.8 if allowed[r, c] else 0.0)
        quality.append(own)
    cells = permutations(range(rows * columns), len(boxes))
    return max(sum(quality[i][cell] for i, cell in enumerate(some)) for some in cells)


def test_a_set_is_matched_as_well_as_any_matching():
    generator = torch.Generator().manual_seed(0)
    boxes, labels = torch.tensor([[3.0, 3.0, 21.0, 21.0], [9.0, 5.0, 27.0, 23.0]]), torch.tensor([0, 1])
    scores = torch.randn(2, 4, 4, generator=generator)
    distances = 4 + 8 * torch.rand(4, 4, 4, generator=generator)
    made = set_targets(scores, distances, boxes, labels, 8)
    assert made.score.sum((1, 2)).tolist() == [1, 1]
    assert int((made.weight > 0).sum()) == 2
    total = 0.0
    for label, row, column in made.score.nonzero().tolist():
        x, y = (column + 0.5) * 8, (row + 0.5) * 8
        left, top, right, bottom = distances[:, row, column].tolist()
        overlap = float(box_iou(boxes[label][None], torch.tensor([[x - left, y - top, x + right, y + bottom]])))
        total += float(scores[label, row, column].sigmoid()) ** 0.2 * overlap**0.8
        assert made.box[:, row, column].tolist() == boxes[label].tolist()
    assert total == pytest.approx(slow_match(scores, distances, boxes, labels, 8), rel=1e-5)


def test_more_lesions_than_locations_leave_some_without():
    boxes = torch.tensor([[1.0, 1.0, 5.0, 5.0]] * 6)
    made = set_targets(torch.zeros(1, 2, 2), torch.ones(4, 2, 2), boxes, torch.zeros(6, dtype=torch.long), 8)
    assert made.score.sum() == 1


def maps(images: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, Tensor] = {}
    for stride in (4, 8):
        shape = (64 // stride, 64 // stride)
        made[f"score_{stride}"] = torch.randn(images, 1, *shape, generator=generator)
        made[f"center_{stride}"] = torch.randn(images, 1, *shape, generator=generator)
        made[f"box_{stride}"] = 1 + 8 * torch.rand(images, 4, *shape, generator=generator)
    return {name: value.requires_grad_() for name, value in made.items()}


def labels_of(boxes: list[Tensor]) -> list[Tensor]:
    return [torch.zeros(len(b), dtype=torch.long) for b in boxes]


@pytest.mark.parametrize("loss", [centreness_loss, set_loss])
def test_without_any_lesion_only_silence_is_taught(loss):
    outputs = maps(2)
    terms = loss(outputs, [NONE, NONE], labels_of([NONE, NONE]), (4, 8))
    assert float(terms["box"].detach()) == 0
    assert "center" not in terms or float(terms["center"].detach()) == 0
    terms["score"].backward()
    assert all((outputs[f"score_{s}"].grad > 0).all() for s in (4, 8))


@pytest.mark.parametrize("loss", [centreness_loss, set_loss])
def test_losses_fall_where_a_model_follows_their_gradient(loss):
    outputs = maps(2)
    boxes = [torch.cat([BOX, torch.tensor([[2.0, 2.0, 14.0, 16.0]])]), NONE]
    optim = torch.optim.Adam(outputs.values(), lr=0.1)
    totals = []
    for _ in range(150):
        terms = loss(outputs, boxes, labels_of(boxes), (4, 8))
        totals.append(float(sum(terms.values()).detach()))
        optim.zero_grad()
        sum(terms.values()).backward()
        optim.step()
    assert totals[-1] < 0.2 * totals[0]


@pytest.mark.parametrize("counts", [(3, 0), (1, 2), (0, 0), (5, 1)])
@pytest.mark.parametrize("loss", [centreness_loss, set_loss])
def test_shared_between_processes_it_is_the_loss_of_the_whole_batch(loss, counts):
    generator = torch.Generator().manual_seed(0)
    corners = [8 + 30 * torch.rand(n, 2, generator=generator) for n in counts]
    boxes = [torch.cat([c, c + 6 + 18 * torch.rand(len(c), 2, generator=generator)], 1) for c in corners]
    outputs = maps(2)

    def part(place: int, share: Share) -> dict[str, Tensor]:
        mine = slice(place, place + 1)
        cut = {name: value[mine] for name, value in outputs.items()}
        return loss(cut, boxes[mine], labels_of(boxes[mine]), (4, 8), share)

    whole = loss(outputs, boxes, labels_of(boxes), (4, 8), ALONE)
    for name, total in whole.items():
        mean = sum(part(place, share)[name] for place, share in enumerate(shares(part, 2))) / 2
        torch.testing.assert_close(mean, total)
        leaves = list(outputs.values())
        expected = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
        found = torch.autograd.grad(mean, leaves, allow_unused=True)
        torch.testing.assert_close(found, expected)
