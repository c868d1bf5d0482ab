"""The source that docs/sources.md shows is one: its text is run here."""

from __future__ import annotations

import importlib.util
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.samples import Cohort
from radvit.data.sources.base import Source
from radvit.errors import DataError

PAGE = Path(__file__).parents[3] / "docs" / "sources.md"


@pytest.fixture
def example(tmp_path: Path) -> Iterator[ModuleType]:
    [text] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "worked_example.py").write_text(text)
    spec = importlib.util.spec_from_file_location("worked_example", tmp_path / "worked_example.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["worked_example"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["worked_example"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in range(3):
        np.save(folder / f"{number}.npy", np.full((20, 16), 51 * number, np.uint8))
    (folder / "labels.csv").write_text("file,patient,finding\n0.npy,ROE,0\n1.npy,ROE,1\n2.npy,DOE,unsure\n")
    return folder


def test_the_example_gives_a_cohort(
    example: ModuleType, folder: Path, loader: Loader, cohort_of: Callable[[Source], Cohort]
) -> None:
    source = example.Arrays(folder, loader.pseudonymizer)
    cohort = cohort_of(source)
    assert [sample.targets for sample in cohort.samples] == [(0.0,), (1.0,)]
    assert {sample.header.patient for sample in cohort.samples} == {loader.pseudonymizer.patient("ROE")}
    assert cohort.failed == 1
    np.testing.assert_allclose(cohort.pixels[1].max(), 0.2, atol=1e-3)
    assert pickle.loads(pickle.dumps(source)).fingerprint() == source.fingerprint()  # noqa: S301


def test_the_example_notices_a_change_and_a_missing_table(example: ModuleType, folder: Path, loader: Loader) -> None:
    before = example.Arrays(folder, loader.pseudonymizer).fingerprint()
    np.save(folder / "0.npy", np.zeros((24, 16), np.uint8))
    assert example.Arrays(folder, loader.pseudonymizer).fingerprint() != before
    (folder / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"labels\.csv: no such file"):
        example.Arrays(folder, loader.pseudonymizer)
