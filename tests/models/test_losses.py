import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from radvit.models import losses
from radvit.models.share import ALONE, Share

from .shared import shares


def test_gaussian_focal_loss_equals_the_papers_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, 3, generator=generator)
    heat = torch.rand(2, 1, 3, 3, generator=generator) * 0.9
    heat[0, 0, 1, 1] = heat[1, 0, 2, 0] = 1.0
    total = 0.0
    for x, y in zip(logits.flatten().tolist(), heat.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        total -= (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
    assert float(losses.gaussian_focal_loss(logits, heat)) == pytest.approx(total, rel=1e-5)


def test_gaussian_focal_loss_without_any_lesion_is_finite_and_teaches_silence() -> None:
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    losses.gaussian_focal_loss(logits, torch.zeros(1, 1, 4, 4)).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_heat_peaks_at_the_cell_of_the_centre_only() -> None:
    heat, target, weight = losses.heat_targets(
        torch.tensor([[18.0, 34.0, 30.0, 44.0]]), torch.tensor([0]), (1, 8, 8), 8
    )
    assert heat.max() == 1
    assert (heat == 1).nonzero().tolist() == [[0, 4, 3]]  # centre (24, 39): column 3, row 4
    assert target[:, 4, 3].tolist() == [18.0, 34.0, 30.0, 44.0]
    assert weight[4, 3] == 1
    assert weight[0, 0] == 0


def test_no_boxes_give_empty_targets() -> None:
    heat, _, weight = losses.heat_targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), (2, 4, 4), 8)
    assert heat.shape == (2, 4, 4)
    assert not heat.any()
    assert not weight.any()


def test_box_loss_is_zero_for_the_true_box_and_one_minus_giou_elsewhere() -> None:
    _, target, weight = losses.heat_targets(torch.tensor([[18.0, 34.0, 30.0, 44.0]]), torch.tensor([0]), (1, 8, 8), 8)
    x, y = losses.cell_centers(8, 8, 8)
    exact = torch.stack(
        [x.expand(8, 8) - 18, y[:, None].expand(8, 8) - 34, 30 - x.expand(8, 8), 44 - y[:, None].expand(8, 8)]
    )
    loss = losses.box_loss(exact[None], target[None], weight[None], 8)
    assert float(loss) == pytest.approx(0, abs=1e-5)
    assert float(losses.box_loss(exact[None] + 3, target[None], weight[None], 8)) > 0.2
    assert float(losses.box_loss(exact[None], target[None], torch.zeros(1, 8, 8), 8)) == 0


@pytest.mark.parametrize(("side", "stride"), [(8.0, 8), (32.0, 8), (64.0, 16), (200.0, 16)])
def test_a_lesion_belongs_to_the_level_of_its_size(side: float, stride: int) -> None:
    assert losses.level_of(torch.tensor([[0.0, 0.0, side, side / 2]]), (8, 16)).tolist() == [stride]


def test_detection_loss_falls_as_the_score_at_the_lesion_rises() -> None:
    boxes, labels = [torch.tensor([[10.0, 10.0, 26.0, 26.0]])], [torch.zeros(1, dtype=torch.long)]
    maps = {"score_8": torch.full((1, 1, 8, 8), -4.0), "box_8": torch.full((1, 4, 8, 8), 8.0)}
    before = losses.detection_loss(maps, boxes, labels, (8,))["score"]
    maps["score_8"][0, 0, 2, 2] = 4.0
    assert losses.detection_loss(maps, boxes, labels, (8,))["score"] < before


def test_classification_losses_equal_their_definitions() -> None:
    logits, targets = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0], [0.0]])
    plain = losses.classification_loss(logits, targets, exclusive=False)
    torch.testing.assert_close(plain, (F.softplus(torch.tensor(-2.0)) + F.softplus(torch.tensor(-1.0))) / 2)
    smooth = losses.classification_loss(logits, targets, exclusive=False, smoothing=0.2)
    torch.testing.assert_close(smooth, F.binary_cross_entropy_with_logits(logits, torch.tensor([[0.9], [0.1]])))
    several, one_hot = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[0.0, 1.0, 0.0]])
    exclusive = losses.classification_loss(several, one_hot, exclusive=True)
    torch.testing.assert_close(exclusive, -several.log_softmax(1)[0, 1])
    focal = losses.classification_loss(logits, targets, exclusive=False, focal_gamma=2.0)
    assert focal < plain


def detection_of(logits, distances, boxes, share=ALONE):
    labels = [torch.zeros(len(b), dtype=torch.long) for b in boxes]
    maps = {
        f"{name}_{stride}": maps[stride] for name, maps in (("score", logits), ("box", distances)) for stride in maps
    }
    return losses.detection_loss(maps, boxes, labels, (4, 8), share)


def test_detection_loss_is_divided_by_the_lesions_and_weights_of_each_level() -> None:
    box = torch.tensor([[18.0, 34.0, 30.0, 44.0]])
    heat, target, weight = losses.heat_targets(box, torch.tensor([0]), (1, 16, 16), 4)
    logits = {4: torch.zeros(3, 1, 16, 16), 8: torch.zeros(3, 1, 8, 8)}
    distances = {4: torch.ones(3, 4, 16, 16), 8: torch.ones(3, 4, 8, 8)}
    terms = detection_of(logits, distances, [box, box, torch.zeros(0, 4)])
    fine = losses.gaussian_focal_loss(logits[4], torch.stack([heat, heat, torch.zeros_like(heat)]))
    coarse = losses.gaussian_focal_loss(logits[8], torch.zeros(3, 1, 8, 8))  # no lesion: divided by one
    one = losses.box_loss(distances[4][:1], target[None], weight[None], 4)
    torch.testing.assert_close(terms["score"], fine / 2 + coarse)
    torch.testing.assert_close(terms["box"], one / weight.sum())


@pytest.mark.parametrize("counts", [(3, 0), (1, 2), (0, 0), (5, 1)])
def test_shared_between_processes_detection_loss_is_that_of_the_whole_batch(counts: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    corners = [8 + 30 * torch.rand(n, 2, generator=generator) for n in counts]
    boxes = [torch.cat([c, c + 6 + 18 * torch.rand(len(c), 2, generator=generator)], 1) for c in corners]
    logits = {s: torch.randn(2, 1, 64 // s, 64 // s, generator=generator, requires_grad=True) for s in (4, 8)}
    distances = {s: (8 * torch.rand(2, 4, 64 // s, 64 // s, generator=generator)).requires_grad_() for s in (4, 8)}
    leaves = [*logits.values(), *distances.values()]

    def part(place: int, share: Share) -> dict[str, Tensor]:
        mine = slice(place, place + 1)
        cut = ({s: m[mine] for s, m in logits.items()}, {s: m[mine] for s, m in distances.items()})
        return detection_of(*cut, boxes[mine], share)

    whole = detection_of(logits, distances, boxes)
    for name in ("score", "box"):
        mean = sum(part(place, share)[name] for place, share in enumerate(shares(part, 2))) / 2
        torch.testing.assert_close(mean, whole[name])
        expected = torch.autograd.grad(whole[name], leaves, retain_graph=True, allow_unused=True)
        found = torch.autograd.grad(mean, leaves, allow_unused=True)
        torch.testing.assert_close(found, expected)
