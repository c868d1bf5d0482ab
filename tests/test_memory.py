import sys

import numpy as np
import pytest

from radvit.memory import can_tell, free_memory, peak_memory, reset_peak, used_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux alone")


def test_a_peak_is_seen_after_it_is_over_and_forgotten_when_asked():
    assert can_tell()
    reset_peak()
    before = peak_memory()
    held = np.ones(64 << 20, np.uint8)
    assert used_memory() >= before
    del held
    assert peak_memory() - before > 48 << 20
    reset_peak()
    assert peak_memory() - before < 32 << 20


def test_there_is_memory():
    assert 0 < used_memory() < 1 << 50
    assert 0 < free_memory() < 1 << 50
