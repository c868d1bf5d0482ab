import pytest
import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from radvit.models.mask_loss import dice_loss, segmentation_loss
from radvit.models.share import Share

from .shared import shares


def test_terms_equal_their_definitions() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 8, 8, generator=generator)
    mask = (torch.rand(3, 2, 8, 8, generator=generator) < 0.3).float()
    terms = segmentation_loss(logits, mask)
    p, total = logits.sigmoid(), 0.0
    for k in range(2):
        both = sum((p[b, k] * mask[b, k]).sum().item() for b in range(3))
        size = sum((p[b, k] + mask[b, k]).sum().item() for b in range(3))
        total += 1 - 2 * both / size
    assert terms["dice"].item() == pytest.approx(total / 2, rel=1e-4)
    torch.testing.assert_close(terms["ce"], F.binary_cross_entropy_with_logits(logits, mask))


def test_a_coarse_map_is_grown_to_the_mask() -> None:
    logits = torch.full((1, 1, 4, 4), -8.0)
    logits[0, 0, 1:3, 1:3] = 8.0
    mask = torch.zeros(1, 1, 16, 16)
    mask[0, 0, 4:12, 4:12] = 1
    right, wrong = segmentation_loss(logits, mask), segmentation_loss(logits, mask.roll(6, 3))
    assert right["dice"] < 0.1
    assert wrong["dice"] > 0.5
    assert wrong["ce"] > 10 * right["ce"]


def test_images_without_a_lesion_teach_silence() -> None:
    logits = torch.zeros(2, 1, 4, 4, requires_grad=True)
    terms = segmentation_loss(logits, torch.zeros(2, 1, 8, 8))
    (terms["dice"] + terms["ce"]).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad > 0).all()


def test_dice_is_what_monai_makes_of_it() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 8, 8, generator=generator, requires_grad=True)
    mask = (torch.rand(3, 2, 8, 8, generator=generator) < 0.3).float()
    mine, theirs = dice_loss(logits, mask), DiceLoss(sigmoid=True, batch=True)(logits, mask)
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(torch.autograd.grad(mine, logits), torch.autograd.grad(theirs, logits))


def test_shared_between_processes_every_one_has_the_dice_of_the_whole_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 8, 8, generator=generator, requires_grad=True)
    mask = (torch.rand(4, 2, 8, 8, generator=generator) < 0.3).float()
    mask[:2] = 0  # all lesions are the second process's

    def part(place: int, share: Share) -> Tensor:
        mine = slice(2 * place, 2 * place + 2)
        return segmentation_loss(logits[mine], mask[mine], share)["dice"]

    whole = segmentation_loss(logits, mask)["dice"]
    parts = [part(place, share) for place, share in enumerate(shares(part, 2))]
    torch.testing.assert_close(torch.stack(parts), whole.expand(2))
    expected, found = (torch.autograd.grad(loss, logits) for loss in (whole, (parts[0] + parts[1]) / 2))
    torch.testing.assert_close(found, expected)
