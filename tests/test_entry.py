"""What a person meets who makes a mistake: one line, the right exit code, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf.errors import ConfigKeyError, ValidationError

from radvit import config, entry
from radvit.bundle import WEIGHTS
from radvit.errors import BundleError, ConfigError, SomeInputsFailedError
from radvit.records import Task

ROOT = Path(__file__).parents[1]


def left(capsys, call):
    """Exit code and lines on stderr."""
    with pytest.raises(SystemExit) as caught:
        entry.guarded(call)
    return caught.value.code, capsys.readouterr().err.splitlines()


def raising(error):
    def call():
        raise error

    return call


def dispatched(name, *overrides):
    """Compose as Hydra does, and run; what is raised comes out."""
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose(name, overrides=[entry.expand(str(o)) for o in overrides])
    entry.dispatch(name, composed)


@pytest.mark.parametrize(
    ("argument", "expanded"),
    [
        ("input=/data/in", "input.path=/data/in"),
        ("input.any=true", "input.any=true"),
        ("output=out", "output=out"),
        ("optim.lr=1e-3", "optim.lr=1e-3"),
        ("--multirun", "--multirun"),
        ("-m", "-m"),
        ("data.path=/data/a b", "data.path=/data/a b"),
        ("data.path=null", "data.path=null"),
        ("data.path=", "data.path="),
        ("data.path=/data/Study (2)", "data.path='/data/Study (2)'"),
        ("input=/数据/胸片", "input.path='/数据/胸片'"),
        ("checkpoint=runs/lr=1", "checkpoint='runs/lr=1'"),
        ("checkpoint=a,b", "checkpoint=a,b"),
        ("hydra.run.dir=out/${name}", "hydra.run.dir=out/${name}"),
        ("output='/a b (1)'", "output='/a b (1)'"),
        ("output=/O'Neil", r"output='/O\'Neil'"),
        ("optim.lr=a(b)", "optim.lr=a(b)"),
    ],
)
def test_expand(argument, expanded):
    assert entry.expand(argument) == expanded


@pytest.mark.parametrize("path", ["/data/Study (2)", "/数据/胸片", "~/x", "/a=b/[c]/{d}", "/O'Neil", "/d/ä", "C:\\x"])
def test_any_path_reaches_the_configuration_as_it_was_given(path):
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert compose("infer", overrides=[entry.expand(f"input={path}")]).input.path == path


def test_one_line_says_what_is_wrong_and_what_there_is():
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        with pytest.raises(ConfigCompositionException) as key:
            compose("train", overrides=["optim.lrr=1"])
        with pytest.raises(ConfigCompositionException) as kind:
            compose("train", overrides=["optim.lr=abc"])
        with pytest.raises(MissingConfigException) as group:
            compose("train", overrides=["augment=nosuch"])
    assert (
        entry.one_line(key.value) == "Could not override 'optim.lrr'; Key 'lrr' not in 'OptimConfig'; did you mean lr?"
    )
    assert entry.one_line(kind.value) == (
        "Error merging override optim.lr=abc; Value 'abc' of type 'str' could not be converted to Float"
    )
    assert entry.one_line(group.value) == (
        "In 'train': Could not find 'augment/nosuch'; available: none, radiograph, schema"
    )


def test_one_line_of_an_error_without_words_is_its_name():
    assert entry.one_line(ConfigError()) == "ConfigError"
    assert entry.one_line(ConfigError("first\n\n  second")) == "first; second"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BundleError("no bundle"), 2, "radvit: no bundle"),
        (SomeInputsFailedError("2 of 3 failed"), 1, "radvit: 2 of 3 failed"),
        (ConfigKeyError("Key 'x' not in 'Y'\n    full_key: x\n    object_type=Y"), 2, "radvit: Key 'x' not in 'Y'"),
        (ValidationError("bad"), 2, "radvit: bad"),
        (PermissionError(13, "Permission denied", "/root/x"), 2, "radvit: /root/x: Permission denied"),
        (OSError("disk"), 2, "radvit: disk"),
        (KeyboardInterrupt(), 130, "radvit: interrupted"),
    ],
)
def test_guarded_leaves_with_a_line_and_a_code(error, code, line, capsys, monkeypatch):
    monkeypatch.delenv("RADVIT_DEBUG", raising=False)
    assert left(capsys, raising(error)) == (code, [line])


@pytest.mark.parametrize("error", [BundleError("no bundle"), OSError("disk"), ValidationError("bad")])
def test_debugging_lets_errors_through(error, monkeypatch):
    monkeypatch.setenv("RADVIT_DEBUG", "1")
    with pytest.raises(type(error)) as caught:
        entry.guarded(raising(error))
    assert caught.value is error


def test_what_is_our_own_fault_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        entry.guarded(lambda: 1 // 0)


def test_all_went_well():
    assert entry.guarded(lambda: None) is None


def test_missing_arguments_are_named_all_at_once_as_they_are_typed():
    with pytest.raises(ConfigError, match=r"^not given: checkpoint; expected NAME=VALUE for each$"):
        dispatched("evaluate")
    with pytest.raises(ConfigError, match=r"^not given: checkpoint, input, output; expected"):
        dispatched("infer")


def test_a_number_out_of_range_is_refused_before_anything_loads():
    with pytest.raises(ConfigError, match=r"trainer\.max_epochs=abc; expected a whole number of at least 1"):
        dispatched("train", "run_dir=x", "data.path=x", "trainer.max_epochs=abc")


def test_files_that_can_not_be_used(bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RADVIT_DEBUG", raising=False)
    monkeypatch.setenv("RADVIT_DEID_KEY", "ab" * 32)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").write_text("hello")
    saved = bundle(tmp_path / "bundle", Task.CLASSIFY)
    (saved.folder / WEIGHTS).write_bytes(b"damaged")
    run, empty = f"run_dir={tmp_path / 'run'}", tmp_path / "empty"
    cases = [
        (("train", run, f"data.path={tmp_path / 'nowhere'}"), "no file or folder at the given path"),
        (("train", run, f"data.path={empty}"), "the folder is empty; expected DICOM files"),
        (("train", run, "data=pneumoniamnist", f"data.path={tmp_path / 'notes'}"), "can't be read as a MedMNIST npz"),
        (("train", run, f"data.path={empty}", "data.truth=nowhere"), "the folder is empty"),
        (("train", f"resume={empty}", run), r"no config.yaml there"),
        (("evaluate", f"checkpoint={empty}"), "neither a run folder nor a bundle"),
        (("evaluate", f"checkpoint={tmp_path / 'notes'}"), "neither a run folder nor a bundle"),
        (("evaluate", f"checkpoint={saved.folder}"), "not the weights that model.json was written for"),
        (("infer", f"checkpoint={tmp_path / 'nowhere'}", "input=x", "output=y"), "does not exist"),
    ]
    for arguments, words in cases:
        code, lines = left(capsys, lambda arguments=arguments: dispatched(*arguments))
        assert code == 2, arguments
        assert len(lines) == 1, lines
        assert lines[0].startswith("radvit: ")
        assert words in lines[0]
    assert not (tmp_path / "run").exists()


def start(folder, script, *arguments, **environment):
    given = {**os.environ, "OMP_NUM_THREADS": "1", "RADVIT_DEID_KEY": "ab" * 32, **environment}
    return subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, arguments)],
        cwd=folder, env=given, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("train.py", ["optim.lrr=1"], "Key 'lrr' not in 'OptimConfig'; did you mean lr?"),
        ("train.py", ["experiment=nosuch"], "available: chest_classify, chest_detect, chest_finetune"),
        ("train.py", ["trainer.max_epochs=abc"], "trainer.max_epochs=abc; expected a whole number"),
        ("evaluate.py", [], "not given: checkpoint; expected NAME=VALUE"),
        ("infer.py", ["checkpoint", "input=x"], "checkpoint"),
    ],
)
def test_a_wrong_command_ends_in_one_line(tmp_path, script, arguments, words):
    done = start(tmp_path, script, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("radvit: ")
    assert words in done.stderr
    assert done.stdout == ""
    left_over = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert left_over <= {".yaml", ".log"}  # Hydra's own record of the command


@pytest.mark.slow
def test_a_wrong_file_ends_in_one_line(tmp_path):
    quiet = start(tmp_path, "infer.py", f"checkpoint={tmp_path}", "input=/数据 (1)", "output=out")
    assert (quiet.returncode, quiet.stderr.count("\n")) == (2, 1)
    assert "neither a run folder nor a bundle" in quiet.stderr
    assert not list(tmp_path.iterdir())


def test_debugging_shows_where(tmp_path):
    debug = start(tmp_path, "evaluate.py", "bootstrap=-1", "checkpoint=x", RADVIT_DEBUG="1")
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr
    assert "bootstrap=-1; expected a whole number of at least 0" in debug.stderr


def test_a_sweep_says_which_job_failed(tmp_path):
    done = start(tmp_path, "train.py", "-m", "trainer.max_epochs=0", "seed=0,1")
    assert done.returncode == 1  # some inputs of many
    assert "Traceback" not in done.stderr
    assert done.stderr.count("trainer.max_epochs=0; expected a whole number of at least 1") >= 2
    assert "2 of 2 trials failed (trial 0: trainer.max_epochs=0" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("radvit: ")
