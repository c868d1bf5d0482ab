import logging
import re
import sys

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from torch.utils.data import DataLoader

from radvit.training.callbacks import AveragedWeights, LineProgress, progress, ramp


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def training_step(self, batch, _):
        self.log("train/loss", self.weight**2, on_epoch=True, on_step=False)
        self.log("train/other", self.weight, on_epoch=True, on_step=False)
        return self.weight**2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(tmp_path, epochs, **given):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=epochs, callbacks=[LineProgress()], default_root_dir=tmp_path, **quiet)
    module = Line()
    trainer.fit(module, DataLoader(torch.zeros(2, 1)), **given)
    trainer.save_checkpoint(tmp_path / "last.ckpt")


def test_one_line_an_epoch_with_its_loss_and_the_time_left(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "radvit"):
        fit(tmp_path, 3)
    lines = [r.getMessage() for r in caplog.records if r.name == "radvit.training.callbacks"]
    assert len(lines) == 3
    # the mean of the squares before the two steps of the epoch: 4 and (2 * 0.8) ** 2
    assert re.fullmatch(r"epoch 1/3: train/loss 3\.2800; [\d.]+ s an epoch, \d+ s left", lines[0])
    assert lines[-1].startswith("epoch 3/3: ")
    assert lines[-1].endswith(" 0 s left")


def test_the_lines_tell_the_tasks_own_metric_and_no_other(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(Line, "metric", "train/other", raising=False)
    with caplog.at_level(logging.INFO, "radvit"):
        fit(tmp_path, 1)
    (line,) = [r.getMessage() for r in caplog.records if r.name == "radvit.training.callbacks"]
    assert line.startswith("epoch 1/1: train/loss 3.2800, train/other 1.8000; ")


def test_a_resumed_run_counts_its_pace_from_where_it_went_on(tmp_path, caplog):
    fit(tmp_path, 2)
    caplog.clear()
    with caplog.at_level(logging.INFO, "radvit"):
        fit(tmp_path, 3, ckpt_path=str(tmp_path / "last.ckpt"))
    lines = [r.getMessage() for r in caplog.records if r.name == "radvit.training.callbacks"]
    assert len(lines) == 1
    assert lines[0].startswith("epoch 3/3: ")


def test_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(progress(), TQDMProgressBar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert isinstance(progress(), LineProgress)


def test_decay_ramps_up_to_its_value():
    assert [ramp(0.9, n) for n in (0, 8, 10**6)] == [0.1, 0.5, 0.9]


def test_averaged_weights_equal_a_slow_loop_and_are_kept_at_the_end(tmp_path):
    class Noted(Line):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_before_zero_grad(self, _):
            self.seen.append(self.weight.item())

    model = Noted()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=3, callbacks=[AveragedWeights(0.9)], default_root_dir=tmp_path, **quiet)
    trainer.fit(model, DataLoader(torch.zeros(4, 1), batch_size=1))
    steps = [2.0]
    for _ in range(12):
        steps.append(steps[-1] * 0.8)  # the gradient of w**2 is 2w, the rate 0.1
    average = steps[1]
    for count, now in enumerate(steps[2:], start=1):
        decay = min(0.9, (1 + count) / (10 + count))
        average += (1 - decay) * (now - average)
    torch.testing.assert_close(model.weight.item(), average)
    assert trainer.callbacks[0].weights(model).keys() == model.state_dict().keys()
