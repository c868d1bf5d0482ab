import pytest
import torch

from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.training.optim import OptimSpec
from radvit.training.task_losses import task_losses

OPTIM = OptimSpec(1e-3, box_weight=2.0)
WEIGHTS = {Task.DETECT: {"score": 1.0, "box": 2.0}, Task.SEGMENT: {"dice": 1.0, "ce": 1.0}}


@pytest.fixture
def batch():
    """Two images, the first with a lesion of the second class."""
    mask = torch.zeros(2, 2, 32, 32)
    mask[0, 1, 8:20, 4:16] = 1
    boxes = [torch.tensor([[4.0, 8.0, 16.0, 20.0]]), torch.zeros(0, 4)]
    labels = [torch.ones(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)]
    image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return {
        "image": image,
        "targets": torch.tensor([[0.0, 1.0], [0.0, 0.0]]),
        "boxes": boxes,
        "labels": labels,
        "mask": mask,
    }


@pytest.mark.parametrize("task", WEIGHTS, ids=lambda task: task.value)
def test_the_loss_is_the_weighted_sum_of_its_terms(spec, batch, task):
    torch.manual_seed(0)
    model = RadiographViT(spec(task, 2)).eval()
    terms = task_losses(model.spec, model(batch["image"]), batch, OPTIM, exclusive=False)
    assert set(terms) == {"loss", *WEIGHTS[task]}
    torch.testing.assert_close(terms["loss"], sum(weight * terms[name] for name, weight in WEIGHTS[task].items()))
    assert all(value > 0 for value in terms.values())


def test_each_class_learns_from_its_own_layer(spec, batch):
    torch.manual_seed(0)
    model = RadiographViT(spec(Task.SEGMENT, 2)).eval()
    mask = batch["mask"][:, :, 2::4, 2::4]  # as seen at the head's stride of 4
    right, swapped = ({"mask_4": 20 * m - 10} for m in (mask, mask.flip(1)))
    losses = [task_losses(model.spec, out, batch, OPTIM, exclusive=False)["loss"] for out in (right, swapped)]
    assert losses[0] < 0.6  # the first class, of which the batch holds nothing, gives a constant 0.5
    assert losses[1] > 1.5
