import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from radvit.models.backbone import Backbone, BackboneSpec
from radvit.models.mae import MaeSpec, MaskedAutoencoder
from radvit.training.mae_module import MaeModule, generator_of
from radvit.training.optim import OptimSpec, parameter_groups

SPEC = BackboneSpec("vit_tiny_patch16_224", 28, stem=(8, 16), patch_size=1, embed_dim=32, depth=2, num_heads=2)


def module(seed=0, backbone=SPEC, lr=3e-3):
    torch.manual_seed(0)
    model = MaskedAutoencoder(Backbone(backbone), 28, 1, MaeSpec(0.75, 16, 1, 2))
    return MaeModule(model, OptimSpec(lr, warmup=0.0), seed)


def fitted(made, tmp_path, epochs, *callbacks):
    """Values of val/loss after fitting on two batches whose truth is unknown."""
    generator = torch.Generator().manual_seed(0)
    unknown = torch.full((4, 1), torch.nan)
    batches = [{"image": torch.randn(4, 1, 28, 28, generator=generator), "targets": unknown} for _ in range(2)]
    loader = DataLoader(batches, batch_size=None)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    quiet["callbacks"] = list(callbacks)
    trainer = pl.Trainer(max_epochs=epochs, enable_checkpointing=False, default_root_dir=tmp_path, **quiet)
    trainer.fit(made, loader, loader)
    return trainer.callback_metrics


def test_an_epoch_moves_every_kind_of_weight_and_logs_both_losses(tmp_path):
    made = module()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    logged = fitted(made, tmp_path, 2)
    assert set(logged) == {"train/loss", "val/loss"}
    assert all(torch.isfinite(value) for value in logged.values())
    still = [name for name, value in made.state_dict().items() if torch.equal(before[name], value)]
    assert all("num_batches" in name or "bias" in name for name in still), still


def test_the_seed_gives_the_same_run_and_another_one_another(tmp_path):
    first, again, other = (fitted(module(seed), tmp_path, 1)["train/loss"] for seed in (0, 0, 1))
    assert first == again != other


class Kept(pl.Callback):
    """Keeps each epoch's losses."""

    def __init__(self):
        self.losses = {"train/loss": [], "val/loss": []}

    def on_train_epoch_end(self, trainer, _):
        for name, values in self.losses.items():
            values.append(trainer.callback_metrics[name].item())


def test_validation_hides_the_same_in_every_epoch_and_training_does_not(tmp_path):
    still = BackboneSpec("vit_tiny_patch16_224", 28, patch_size=4, embed_dim=32, depth=1, num_heads=2)
    made, kept = module(backbone=still, lr=0.0), Kept()
    fitted(made, tmp_path, 3, kept)
    assert len(set(kept.losses["val/loss"])) == 1
    assert len(set(kept.losses["train/loss"])) == 3


def test_a_generator_depends_on_each_of_its_numbers():
    draws = {
        torch.rand(1, generator=generator_of(seeds)).item() for seeds in ([0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0])
    }
    assert len(draws) == 4


def test_the_hidden_token_is_not_decayed():
    groups = parameter_groups(module().model, OptimSpec(1e-3, weight_decay=0.1))
    token = module().model.hidden_token.shape
    decayed = [p.shape for group in groups if group["weight_decay"] for p in group["params"]]
    assert token not in decayed
