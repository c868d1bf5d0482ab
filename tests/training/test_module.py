import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from radvit.models.losses import classification_loss
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.training.class_weights import weighted_loss
from radvit.training.mixing import MixSpec, mix
from radvit.training.module import RadiographModule, Recipe
from radvit.training.optim import OptimSpec, make_optimizer

SPEC = OptimSpec(3e-3, weight_decay=0.0, warmup=0.0)
TERMS = {Task.CLASSIFY: (), Task.DETECT: ("score", "box"), Task.SEGMENT: ("dice", "ce")}


def make_batch(task):
    """Eight dark images, half of them with a bright square."""
    torch.manual_seed(3)
    image = 0.1 * torch.randn(8, 1, 32, 32)
    boxes, labels, mask = [], [], torch.zeros(8, 1, 32, 32)
    for i in range(8):
        n = i % 2
        corner = torch.tensor([[4.0 + 2 * i, 8.0, 12.0 + 2 * i, 18.0]])[:n]
        for x1, y1, x2, y2 in corner.int().tolist():
            image[i, 0, y1:y2, x1:x2] += 2
            mask[i, 0, y1:y2, x1:x2] = 1
        boxes.append(corner)
        labels.append(torch.zeros(n, dtype=torch.int64))
    present = torch.tensor([[float(i % 2)] for i in range(8)])
    targets = present if task.localises else torch.cat([1 - present, present], 1)
    truth = {"targets": targets, "boxes": boxes, "labels": labels, "mask": mask}
    return {"image": image, **truth, "index": torch.arange(8)}


@pytest.fixture(params=list(Task), ids=lambda task: task.value)
def module(request, spec):
    torch.manual_seed(0)
    classes = 1 if request.param.localises else 2
    return RadiographModule(RadiographViT(spec(request.param, classes)), SPEC, exclusive=classes == 2)


def test_one_epoch_of_lightning_moves_every_kind_of_weight(module, tmp_path):
    batch = make_batch(module.model.spec.task)
    loader = DataLoader([batch], batch_size=None)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=2, enable_checkpointing=False, default_root_dir=tmp_path, **quiet)
    trainer.fit(module, loader, loader)
    logged = trainer.callback_metrics
    terms = {"loss", *TERMS[module.model.spec.task]}
    assert set(logged) == {f"{stage}/{term}" for stage in ("train", "val") for term in terms} | {module.metric}
    assert all(torch.isfinite(value) for value in logged.values())
    after = module.state_dict()
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert all("num_batches" in name or "bias" in name for name in still), still


def test_the_loss_falls_when_one_batch_is_learned_by_heart(module):
    batch = make_batch(module.model.spec.task)
    optimizer, _ = make_optimizer(module.model, SPEC, 1000)
    module.train()
    losses = []
    for _ in range(30):
        loss = module.losses(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_loss_is_the_weighted_sum_of_its_terms(spec):
    torch.manual_seed(0)
    heavy = OptimSpec(1e-3, box_weight=3.0)
    module = RadiographModule(RadiographViT(spec(Task.DETECT)), heavy, exclusive=False).eval()
    terms = module.losses(make_batch(Task.DETECT))
    torch.testing.assert_close(terms["loss"], terms["score"] + 3 * terms["box"])


@pytest.mark.parametrize("exclusive", [True, False])
def test_classification_is_given_the_specs_smoothing_and_focus(spec, exclusive):
    torch.manual_seed(0)
    optim = OptimSpec(1e-3, label_smoothing=0.1, focal_gamma=0.0 if exclusive else 2.0)
    module = RadiographModule(RadiographViT(spec(Task.CLASSIFY, 2)), optim, exclusive).eval()
    batch = make_batch(Task.CLASSIFY)
    logits = module.model(batch["image"])["logits"]
    expected = classification_loss(logits, batch["targets"], exclusive, 0.1, optim.focal_gamma)
    torch.testing.assert_close(module.losses(batch)["loss"], expected)


def test_a_batch_without_any_lesion_still_teaches(spec):
    torch.manual_seed(0)
    module = RadiographModule(RadiographViT(spec(Task.DETECT)), SPEC, exclusive=False)
    batch = make_batch(Task.DETECT)
    empty = {**batch, "boxes": [torch.zeros(0, 4)] * 8, "labels": [torch.zeros(0, dtype=torch.int64)] * 8}
    terms = module.losses(empty)
    assert terms["box"].item() == 0
    terms["loss"].backward()
    assert module.model.head.score.weight.grad.abs().sum() > 0


def test_a_batch_is_mixed_by_seed_epoch_place_and_process_alone(spec):
    recipe = Recipe(seed=5, mixing=MixSpec(mixup=0.4, cutmix=1.0))
    module = RadiographModule(RadiographViT(spec(Task.CLASSIFY, 2)), SPEC, True, recipe)
    batch = make_batch(Task.CLASSIFY)
    torch.manual_seed(9)
    first, again, other = module.mixed(batch, 3), module.mixed(batch, 3), module.mixed(batch, 4)
    image, targets = mix(batch["image"], batch["targets"], recipe.mixing, np.random.default_rng([5, 0, 3, 0]))
    assert torch.equal(first["image"], image)
    assert torch.equal(first["targets"], targets)
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])


def test_class_weights_reach_the_loss(spec):
    torch.manual_seed(0)
    weights = torch.tensor([1.0, 3.0])
    module = RadiographModule(RadiographViT(spec(Task.CLASSIFY, 2)), SPEC, True, Recipe(class_weights=weights)).eval()
    batch = make_batch(Task.CLASSIFY)
    logits = module.model(batch["image"])["logits"]
    torch.testing.assert_close(
        module.losses(batch)["loss"], weighted_loss(logits, batch["targets"], weights, True, 0.0, 0.0)
    )


def test_the_logged_loss_is_the_mean_over_the_epochs_images(spec, tmp_path):
    torch.manual_seed(0)
    module = RadiographModule(RadiographViT(spec(Task.CLASSIFY, 2)), OptimSpec(0.0), exclusive=True).eval()
    whole = make_batch(Task.CLASSIFY)
    parts = [{name: value[a:b] for name, value in whole.items()} for a, b in ((0, 5), (5, 8))]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=1, enable_checkpointing=False, default_root_dir=tmp_path, **quiet)
    loader = DataLoader(parts, batch_size=None)
    trainer.fit(module, loader, loader)
    expected = sum(len(part["image"]) * module.losses(part)["loss"].item() for part in parts) / 8
    assert trainer.callback_metrics["val/loss"].item() == pytest.approx(expected, rel=1e-3)
