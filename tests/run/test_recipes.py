"""Every recipe of conf/experiment takes a step on the CPU, with its own data, task, losses and way of adapting."""

import math

import pytest
from omegaconf import OmegaConf

from radvit import run
from radvit.bundle import load_bundle

from ..run_place import CONF, composed, rows

RECIPES = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SMALL = [
    "data.workers=0", "data.labels=[nodule]", "model.pretrained=false", "model.embed_dim=32", "model.depth=2",
    "model.num_heads=2", "model.width=16", "model.hidden=16", "mae.width=16", "mae.depth=1", "mae.num_heads=2",
    "trainer=cpu", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "trainer.limit_train_batches=1",
    "optim.batch_size=4", "logger=csv",
]  # fmt: skip


def overrides(place, outlined, recipe):
    """What makes a recipe small enough to be run here, and nothing else."""
    said = OmegaConf.load(CONF / "experiment" / f"{recipe}.yaml")
    data = next((one["override /data"] for one in said.defaults if "override /data" in one), "dicom")
    if data == "pneumoniamnist":
        return [*SMALL, f"data.path={place.folder / 'pneumoniamnist.npz'}", "data.labels=[pneumonia]"]
    stem = ["model.stem=[8,16]", "model.patch_size=2", "model.strides=[4]"] if recipe.startswith("phantom") else []
    split = ["data.split.train=0.5", "data.split.val=0.25", "data.split.test=0.25"]
    size = 64 if said.get("data", {}).get("image_size", 256) % 16 == 0 else 56  # patches of 16 or of 14 pixels
    window = ["model.window.size=32", "model.window.stride=16"] if "window" in said.get("model", {}) else []
    where = [
        *window,
        f"data.path={place.folder / 'cohort' / 'dicom'}",
        f"data.truth={outlined}",
        f"data.image_size={size}",
    ]
    return [*SMALL, *stem, *split, *where]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_takes_a_step(place, outlined, recipe):
    folder = place.folder / f"recipe-{recipe}"
    places = [f"run_dir={folder}", f"data.cache={place.folder / 'cache'}", f"deid.key={place.key}"]
    config = composed("train", f"experiment={recipe}", *places, *overrides(place, outlined, recipe))
    run.train(config)
    losses = [float(row["train/loss"]) for row in rows(folder / "metrics.csv") if row["train/loss"]]
    assert len(losses) == 1
    assert math.isfinite(losses[0])
    if config.model.task.value == "mae":
        assert (folder / "encoder" / "model.safetensors").is_file()
    else:
        bundle = load_bundle(folder)
        assert (bundle.spec.task.value, bundle.trained["name"]) == (config.model.task.value, recipe)
