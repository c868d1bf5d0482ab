from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from radvit.bench import flops, loading
from radvit.bench.beside import BareLoop, Beside, twin
from radvit.bench.training import SMALL, Device, made_up, measure
from radvit.bench.transforms import CHANGES, NO_BOXES, monai_change
from radvit.cli import main
from radvit.data.transforms import apply
from radvit.errors import ConfigError
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.training.callbacks import AveragedWeights
from radvit.training.module import RadiographModule
from radvit.training.optim import OptimSpec

CONF = Path(__file__).parents[2] / "conf"
OPTIM = OptimSpec(1e-3)


def small_model() -> RadiographViT:
    torch.manual_seed(0)
    backbone = BackboneSpec("vit_tiny_patch16_224", 16, patch_size=4, embed_dim=24, depth=2, num_heads=2)
    return RadiographViT(ModelSpec(Task.CLASSIFY, 1, backbone, hidden=16, dropout=0.0))


def random_batch(seed: int) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(4, 1, 16, 16, generator=rng),
        "targets": torch.randint(0, 2, (4, 1), generator=rng).float(),
    }


def test_the_bare_loop_does_the_maths_of_the_trainer() -> None:
    """Same weights, same batches: after a few steps both have the same weights, and the same averages."""
    model, other = small_model(), small_model()
    batches = [random_batch(seed) for seed in range(5)]
    loop = BareLoop(other, OPTIM, False, len(batches), 0.9, 1.0, low=False)
    for batch in batches:
        loop.step(batch)
    average = AveragedWeights(0.9)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", gradient_clip_val=1.0, callbacks=[average], enable_model_summary=False, **quiet
    )
    trainer.fit(RadiographModule(model, OPTIM, False), torch.utils.data.DataLoader(batches, batch_size=None))
    assert loop.average is not None
    for trained, bare in zip(model.parameters(), loop.average.module.parameters(), strict=True):
        torch.testing.assert_close(trained, bare)  # Lightning leaves the averages in the model


def test_every_step_after_the_first_is_timed_and_ends_of_epochs_are_marked() -> None:
    calls: list[int] = []
    beside = Beside(lambda module: [lambda: calls.append(1), lambda: calls.append(2)])
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", callbacks=[beside], enable_model_summary=False, **quiet)
    batches = [random_batch(seed) for seed in range(3)]
    trainer.fit(RadiographModule(small_model(), OPTIM, False), torch.utils.data.DataLoader(batches, batch_size=None))
    assert np.array(beside.times).shape == (5, 3, 2)
    assert (np.array(beside.times)[:, 0] > 0).all()
    assert beside.boundary == [False, False, True, False, False]
    assert calls == [1, 2] * 6


def test_twins_have_the_same_weights_and_share_none() -> None:
    model = small_model()
    for one, other in zip(model.parameters(), twin(model).parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.data_ptr() != other.data_ptr()


def test_operations_of_a_linear_layer_and_of_attention_are_counted() -> None:
    layer, x = torch.nn.Linear(30, 20, bias=False), torch.randn(7, 30)
    assert flops.count(lambda: layer(x)) == 2 * 7 * 30 * 20
    assert flops.count(lambda: layer(x).sum().backward()) == 2 * 2 * 7 * 30 * 20  # the input needs no gradient
    q, k, v = torch.randn(3, 1, 2, 5, 8)
    attention = torch.nn.functional.scaled_dot_product_attention
    assert flops.count(lambda: attention(q, k, v)) == 2 * (2 * 2 * 5 * 5 * 8)


def test_peaks_are_those_of_the_very_card() -> None:
    assert flops.published("NVIDIA H100 80GB HBM3") == 989.4e12
    assert flops.published("NVIDIA H100 PCIe") == 756e12
    assert flops.published("NVIDIA A100-SXM4-40GB") == 312e12
    assert flops.published("NVIDIA A10") == 125e12
    assert flops.published("something else") is None


@pytest.mark.parametrize("low", [False, True])
def test_what_measures_the_peak_has_the_operations_that_are_told(low: bool) -> None:
    for words, work, operations in flops.largest(torch.device("cpu"), low):
        assert words.startswith("a bfloat16" if low else "a float32")
        assert flops.count(work) == operations


def test_a_case_is_trained_by_train_pys_own_path() -> None:
    row = measure(SMALL, Device(), steps=2, batch=2, conf=CONF)
    assert (row.batch, row.steps) == (2, 3)  # of six, the first isn't timed and two end an epoch
    assert min(row.step_ms, row.bare_ms, row.random_ms, row.gflops, row.peak_gflops) > 0
    assert row.images_per_s == pytest.approx(2 / row.step_ms * 1e3)
    assert row.mfu == pytest.approx(row.gflops / row.step_ms * 1e3 / row.peak_gflops)
    for spread in (row.overhead, row.fed, row.overhead_cpu, row.fed_cpu):
        assert spread is not None
        assert spread.low <= spread.median <= spread.high
    assert row.epoch_overhead == pytest.approx(row.epoch_end_ms / 73 / row.bare_ms)
    assert row.peak.startswith("measured: a float32 ")


def test_without_a_configuration_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.yaml does not exist; expected to be run where train\.py is"):
        measure(SMALL, Device(), 2, 2, tmp_path)


def test_made_up_cohorts_fit_their_splits() -> None:
    cohort, splits = made_up(10, 8, 3, 0)
    assert cohort.pixels.shape[1:] == (8, 8)
    assert cohort.targets().shape[1] == 3
    assert len(splits.train) == 10
    assert len(cohort) == len(splits.train) + len(splits.val)


def test_the_cache_is_faster_than_decoding() -> None:
    rows = loading.measure(64, 1, patients=1)
    assert [row.how for row in rows] == ["decoded", "cached, in memory", "cached, mapped from disk"]
    assert rows[0].ratio == 1
    for row in rows[1:]:
        assert row.ratio == pytest.approx(row.images_per_s / rows[0].images_per_s)
        assert row.ratio > 10


@pytest.mark.parametrize("name", ["move", "gamma"])
def test_monai_makes_the_change_it_is_compared_with(name: str) -> None:
    image = torch.nn.functional.avg_pool2d(torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)), 5, 1, 2)
    image = (image - image.min()) / (image.max() - image.min())
    ours = apply(CHANGES[name], image[0].numpy(), NO_BOXES)[0]
    np.testing.assert_allclose(np.asarray(monai_change(name, 64)(image))[0], ours, atol=5e-4)


def test_tables_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["bench", "transforms", "--sizes", "28", "--repeats", "1", "--json", str(tmp_path / "r")])
    written = json.loads((tmp_path / "r").read_text())
    assert [row["change"] for row in written["rows"]] == list(CHANGES)
    assert {"cores", "cpu", "torch", "monai", "threads"} <= set(written["machine"])
    assert "MONAI array us" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--steps", "1"], "at least 2"),
        (["train", "--json", "no/such/r.json"], "is no folder"),
        (["transforms", "--sizes", "0"], "at least 1"),
        (["transforms", "--json", "no/such/r.json"], "is no folder"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
