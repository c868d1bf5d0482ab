import pickle

import pytest
import torch
from safetensors.torch import save_file

from radvit.errors import ConfigError
from radvit.models.weight_files import read_weights

STATE = {"blocks.0.norm1.weight": torch.ones(3), "pos_embed": torch.zeros(1, 2, 3)}


@pytest.mark.parametrize(
    "wrapped",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": {"state_dict": STATE}},
        {"state_dict": {f"module.{k}": v for k, v in STATE.items()}},
        {f"backbone.vit.{k}": v for k, v in STATE.items()} | {"head.weight": torch.ones(2)},
        {f"backbone.{k}": v for k, v in STATE.items()} | {"decoder.weight": torch.ones(2)},
    ],
    ids=["plain", "state_dict", "deep", "parallel", "radvit", "encoder"],
)
def test_tensors_are_found_however_they_were_saved(wrapped, tmp_path):
    torch.save(wrapped, tmp_path / "x.pth")
    read = read_weights(tmp_path / "x.pth")
    assert set(read) == set(STATE)
    assert all(torch.equal(read[name], value) for name, value in STATE.items())


def test_safetensors_of_a_run_keep_the_stem(tmp_path):
    state = {f"backbone.vit.{k}": v for k, v in STATE.items()}
    save_file({**state, "backbone.stem.0.weight": torch.ones(2), "head.x": torch.ones(1)}, tmp_path / "m.safetensors")
    assert set(read_weights(tmp_path / "m.safetensors")) == {*STATE, "stem.0.weight"}


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_nothing_but_tensors_is_unpickled(tmp_path, capsys):
    torch.save({"state_dict": STATE, "args": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pth", "bare.pth"):
        with pytest.raises(ConfigError, match="no file of tensors alone"):
            read_weights(tmp_path / name)
    assert "unpickled" not in capsys.readouterr().out


def test_files_of_other_kinds_are_refused_in_a_line(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.safetensors").write_text("x")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, match in (
        ("a.txt", "expected a run, a folder"),
        ("a.safetensors", "no file of"),
        ("list.pth", "no tensors"),
    ):
        with pytest.raises(ConfigError, match=match) as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
