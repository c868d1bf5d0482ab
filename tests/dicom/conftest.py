"""What the tests here share; the folder is no package, and files in it that are no tests are imported by name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from standard import by_the_standard


@pytest.fixture(scope="session")
def slow_window() -> Callable[..., float]:
    return by_the_standard
