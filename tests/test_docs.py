"""Every command in README, docs/ and --help is one that radvit takes, and every file they point to is there."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from radvit import config
from radvit.cli import parser
from radvit.entry import OF_INFERENCE, SHORTHAND, expand
from radvit.sweep.space import read_space

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "data" / "README.md",
]
PAGES += sorted((ROOT / "experiments").glob("*/README.md"))
PROGRAMS = ("python train.py", "python evaluate.py", "python infer.py", "radvit", "make")


def commands(page: Path) -> list[str]:
    """The commands in a page's code blocks, with continued lines joined and comments cut."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    bare = (re.sub(r"^(\s*\w+=\S+ )+|^\s*\.venv/bin/|\s+#.*$", "", line).strip() for line in lines)
    return [line for line in bare if line.startswith(PROGRAMS)]


def helped(program: str) -> list[str]:
    """The commands that a program's --help shows, without the words behind them."""
    text = OmegaConf.load(ROOT / "conf" / f"{program}.yaml").hydra.help.template
    bare = (re.split(r"\s{2,}", line.strip())[0] for line in text.splitlines())
    return [line.replace("experiment=NAME", "experiment=mae") for line in bare if line.startswith("python ")]


ALL = [(page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in commands(page)]


ALL += [(f"{program} --help", line) for program in ("train", "evaluate", "infer") for line in helped(program)]


def one_point(overrides: list[str]) -> list[str]:
    """The first point of a sweep, or the overrides themselves where nothing is swept."""
    space = read_space(OverridesParser.create().parse_overrides(overrides), grid=False)
    return space.overrides(space.corner())


def check_hydra(name: str, arguments: list[str]) -> None:
    config.register()
    short = OF_INFERENCE if name == "infer" else SHORTHAND
    given = (a for a in arguments if "=" in a and not a.startswith(("-", "hydra.")))
    overrides = [expand(a, short) for a in given]
    overrides = one_point(overrides) if "-m" in arguments else overrides
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose(name, overrides=overrides)
    if name == "train":
        composed.run_dir = "somewhere"
    OmegaConf.to_object(composed)


def test_the_pages_name_commands() -> None:
    assert {command.split()[0] for _, command in ALL} == {"python", "radvit", "make"}
    assert len(ALL) > 20
    assert all(len(helped(program)) >= 3 for program in ("train", "evaluate", "infer"))


@pytest.mark.parametrize(("page", "command"), sorted(set(ALL)))
def test_command_is_accepted(page: str, command: str) -> None:
    words = shlex.split(re.sub(r"\s*\[[^\]]*=[^\]]*\]|\s*\[--[^\]]*\]", "", command))
    if words[0] == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    elif words[0] == "radvit":
        numbered = [{"N": "1", "S": "1", "W": "1"}.get(word, word) for word in words[1:]]
        if "--help" not in numbered:
            assert callable(parser().parse_args(numbered).run)
    else:
        check_hydra(words[1].removesuffix(".py"), words[2:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert not missing
