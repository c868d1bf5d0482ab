import io
import logging
import re
import sys

import pytest

from radvit import terminal


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock to be set by hand."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_a_table_shows_every_cell_as_it_is(capsys):
    rows = [("metric", "ViT"), ("auroc", "nan [nan, nan]"), ("[left] :smile:", "0.5 [0.1, 0.9]"), ("[/x]", "")]
    terminal.table(rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3
    for line, row in zip([lines[0], *lines[2:]], rows, strict=True):
        cells = [cell.strip() for cell in re.split("[│┃]", line)]
        assert cells == list(row)


def test_a_long_cell_is_not_cut_where_nobody_watches(capsys):
    terminal.table([("file", "why"), ("x" * 300, "y" * 300)])
    out = capsys.readouterr().out
    assert "x" * 300 in out
    assert "y" * 300 in out


def test_off_a_terminal_progress_is_a_line_now_and_then_and_one_at_the_end(caplog, clock):
    with caplog.at_level(logging.INFO, "radvit"), terminal.bar("reading", "files") as advance:
        advance(1, 100)
        clock[0] += 20
        advance(40, 100)
        clock[0] += 5
        advance(60, 100)
        clock[0] += 3
        advance(100, 100)
    assert caplog.messages == [
        "reading: 40/100, 2.0 files/s, 30 s left",
        "reading: 100/100, 3.6 files/s, 0 s left",
    ]


def test_libraries_tell_of_errors_alone():
    """The hub's library warns of a dozen tries to reach what can't be reached, which hides the one line that counts."""
    terminal.quiet_libraries()
    for name in ("pytorch_lightning", "huggingface_hub.utils._http", "timm.models._hub"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.ERROR


def test_progress_of_nothing_is_no_division_by_zero(caplog, clock):
    with caplog.at_level(logging.INFO, "radvit"), terminal.bar("reading") as advance:
        advance(0, 0)
    assert caplog.messages == ["reading: 0/0, 0.0 images/s, 0 s left"]


def test_on_a_terminal_progress_is_a_bar(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal.bar("reading", "files") as advance:
        advance(1, 4)
        advance(4, 4)
    assert "reading: 100%" in screen.getvalue()
    assert "4/4" in screen.getvalue()


def test_libraries_keep_silent_but_for_errors():
    terminal.quiet_libraries()
    for name in ("pytorch_lightning", "lightning_fabric", "torch.onnx"):
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)
        assert logging.getLogger(name).isEnabledFor(logging.ERROR)
    assert logging.getLogger("radvit").getEffectiveLevel() <= logging.WARNING
