"""Experiments from end to end: a small model is trained with two seeds, measured, recorded, and made again."""

import json
import re

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from radvit import config, run
from radvit.errors import ConfigError, DataError
from radvit.experiment.record import overrides, record, write_page
from radvit.experiment.reproduce import Moved, placed
from radvit.run import saved_config

from ..conftest import ROOT
from ..medmnist_files import write_medmnist

TINY = (
    "experiment=pneumoniamnist", "data.workers=0", "model.stem=[8]", "model.hidden=16", "model.patch_size=2",
    "model.embed_dim=32", "model.depth=1", "model.num_heads=2", "optim.batch_size=4", "optim.ema_decay=0",
    "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "logger=csv", "data.cache=cache",
)  # fmt: skip


def composed(name, *overrides):
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return OmegaConf.to_object(compose(name, overrides=[str(o) for o in overrides]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run folders of two seeds, each measured, as the command line leaves them."""
    folder = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("RADVIT_DEID_KEY", "ab" * 32)
    patch.chdir(folder)
    write_medmnist(folder / "pneumoniamnist.npz")
    for seed in (0, 1):
        typed = [*TINY, f"data.path={folder / 'pneumoniamnist.npz'}", f"seed={seed}"]
        run.train(composed("train", *typed, f"run_dir={folder / str(seed)}"))
        (folder / str(seed) / ".hydra").mkdir()
        (folder / str(seed) / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(typed))
        run.evaluate(composed("evaluate", f"checkpoint={folder / str(seed)}", "bootstrap=50"))
    yield [folder / "0", folder / "1"]
    patch.undo()


def test_an_experiment_holds_what_another_machine_needs_and_no_place_of_this_one(runs, tmp_path, ran):
    code, out, err = ran("experiment", "record", *runs, "--name", "tiny", "--claim", "Two | seeds.", "--root", "e")
    assert (code, err) == (0, [])
    folder = tmp_path / "e" / "tiny"
    assert out[-1] == "wrote e/tiny"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.yaml", "results.json", "seeds.png"]
    results = json.loads((folder / "results.json").read_text())
    measured = [json.loads((one / "evaluation/test/metrics.json").read_text())["metrics"] for one in runs]
    assert [row["auroc"] for row in results["seeds"]] == [one["auroc"]["value"] for one in measured]
    assert results["intervals"]["auroc"] == [[one["auroc"]["low"], one["auroc"]["high"]] for one in measured]
    assert results["metrics"]["auroc"]["n_seeds"] == 2
    page = (folder / "README.md").read_text()
    assert "radvit experiment reproduce tiny --data PATH" in page
    assert "data.path=pneumoniamnist.npz seed=0" in page
    assert "**Claim.** Two | seeds." in page
    for path in folder.glob("*.*[a-z]"):
        assert str(runs[0].parent).encode() not in path.read_bytes()
        assert b"/tmp" not in path.read_bytes()


def test_a_recorded_experiment_is_made_again_to_the_last_digit(runs, tmp_path, ran):
    record(runs, tmp_path / "e", "tiny", "", "test")
    data = ("--data", runs[0].parent / "pneumoniamnist.npz", "--cache", runs[0].parent / "cache")
    code, out, err = ran("experiment", "reproduce", "tiny", "--root", "e", *data)
    assert code == 0, err
    (auroc,) = [line for line in out if line.startswith("auroc")]
    assert re.search(r"0\.0000 .* yes\s*$", auroc)
    again = tmp_path / "outputs" / "reproduce" / "tiny"
    old, new = (json.loads((p / "results.json").read_text())["metrics"] for p in (tmp_path / "e" / "tiny", again))
    assert old == new
    written = (again / "0" / "bundle" / "model.safetensors").stat().st_mtime_ns
    assert ran("experiment", "reproduce", "tiny", "--root", "e", *data)[0] == 0
    assert (again / "0" / "bundle" / "model.safetensors").stat().st_mtime_ns == written

    results = json.loads((tmp_path / "e" / "tiny" / "results.json").read_text())
    results["metrics"]["auroc"] |= {"mean": results["metrics"]["auroc"]["mean"] - 0.5, "sd": 1e-3}
    (tmp_path / "e" / "tiny" / "results.json").write_text(json.dumps(results))
    code, out, err = ran("experiment", "reproduce", "tiny", "--root", "e", *data)
    assert code == 1
    assert re.search(r"^radvit: 1 of \d+ metrics outside of what was expected: auroc$", err[-1])
    assert next(line for line in out if line.startswith("auroc")).rstrip().endswith("NO")
    assert ran("experiment", "reproduce", "tiny", "--root", "e", *data, "--metrics", "brier")[0] == 0


def test_what_can_not_be_reproduced_is_said_in_a_line(runs, tmp_path, ran):
    record(runs, tmp_path / "e", "tiny", "", "test")
    cases = [
        (("tiny",), r"pneumoniamnist\.npz does not exist; expected --data PATH"),
        (("tiny", "--data", runs[0].parent / "pneumoniamnist.npz", "--seeds", "7"), "--seeds 7; expected some of 0, 1"),
        (("other",), r"other: no results\.json"),
    ]
    for arguments, words in cases:
        code, _, err = ran("experiment", "reproduce", "--root", "e", *arguments)
        assert code == 2
        assert re.search(words, err[-1])


def test_the_key_of_the_recording_machine_is_not_looked_for(runs):
    """A recorded path of a key is none here: a new key would be made in the working folder."""
    recorded = saved_config(runs[0])
    recorded.deid.key = "recorded.key"
    assert placed(recorded, Moved(data=runs[0].parent / "pneumoniamnist.npz")).deid.key is None
    assert recorded.deid.key == "recorded.key"


def test_runs_that_differ_in_more_than_their_seed_are_no_experiment(runs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    text = (runs[1] / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("weight_decay: 0.05", "weight_decay: 0.5"))
    with pytest.raises(DataError, match=r"differs from .* in optim\.weight_decay; expected another seed alone"):
        record([runs[0], other], tmp_path, "x", "", "test")
    with pytest.raises(DataError, match=r"no metrics\.json"):
        record(runs, tmp_path, "x", "", "val")
    with pytest.raises(ConfigError, match=r"--name a/b"):
        record(runs, tmp_path, "a/b", "", "test")
    with pytest.raises(DataError, match="measured seed 0; expected 1, the seed of"):
        record(runs, tmp_path, "x", "", "test", [runs[0] / "evaluation" / "test"] * 2)
    with pytest.raises(ConfigError, match="1 evaluations of 2 runs"):
        record(runs, tmp_path, "x", "", "test", [runs[0]])


def test_absolute_paths_of_a_command_become_names(tmp_path):
    (tmp_path / ".hydra").mkdir()
    typed = ["a=b", "data.path=/x/y/set.npz", "data.truth='/x y/t.json'", "c=d/e", "seed=3", "model.stem=[1,2]"]
    typed += ["deid.key=/x/y/secret.key"]
    (tmp_path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(typed))
    assert overrides(tmp_path) == ["a=b", "data.path=set.npz", "data.truth='t.json'", "c=d/e", "model.stem=[1,2]"]
    assert overrides(tmp_path / "nowhere") == []


def test_a_page_that_a_person_wrote_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("# mine\n")
    assert not write_page(tmp_path / "README.md", "<!-- generated")
    assert (tmp_path / "README.md").read_text() == "# mine\n"
    assert write_page(tmp_path / "new.md", "# x")
