import subprocess
import sys

import numpy as np
import pytest

from radvit.inference.batch_size import LARGEST, BatchSize, ran_out

IMAGES = np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1)
LIMITED = """
import resource, sys
import numpy as np
import torch
from radvit.inference.batch_size import BatchSize
from radvit.memory import proc_bytes, STATUS

def look(images):
    held = {what}
    return [float(image) for image in images.reshape(-1)]

images = np.arange(40, dtype=np.float32).reshape(40, 1, 1, 1)
used = proc_bytes(STATUS, "VmData")
resource.setrlimit(resource.RLIMIT_DATA, (used + (300 << 20), used + (300 << 20)))
size = BatchSize({size})
answers = [(len(answer), count) for answer, count in size.run(look, images)]
print(size.size, sum(count for _, count in answers), max(count for _, count in answers), flush=True)
"""


def parts(size, look=lambda images: images.reshape(-1).tolist(), images=IMAGES):
    answers = list(size.run(look, images))
    assert [value for answer, _ in answers for value in answer] == images.reshape(-1).tolist()
    return [count for _, count in answers]


def test_a_fixed_size_is_kept():
    assert parts(BatchSize(32)) == [32, 32, 32, 4]
    assert parts(BatchSize(1), images=IMAGES[:3]) == [1, 1, 1]
    assert parts(BatchSize(8), images=IMAGES[:0]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux alone")
def test_a_size_of_its_own_grows_while_there_is_room():
    size = BatchSize()
    assert parts(size) == [1, 2, 4, 8, 16, 32, 32, 5]
    assert size.size == LARGEST


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_a_batch_that_is_too_large_is_halved_for_good(error, caplog):
    tried = []

    def look(images):
        tried.append(len(images))
        if len(images) > 10:
            raise error
        return images.reshape(-1).tolist()

    size = BatchSize(64)
    assert parts(size, look) == [8] * 12 + [4]
    assert tried[:4] == [64, 32, 16, 8]
    assert size.size == 8
    assert "going on with 32" in caplog.text


def test_what_a_single_image_raises_is_raised_and_other_errors_are_not_tried_again():
    def greedy(images):
        raise MemoryError

    def wrong(images):
        calls.append(len(images))
        raise RuntimeError("shapes differ")

    calls = []
    with pytest.raises(MemoryError):
        parts(BatchSize(4), greedy)
    with pytest.raises(RuntimeError, match="shapes differ"):
        parts(BatchSize(4), wrong)
    assert calls == [4]


def test_errors_of_allocators_are_known():
    assert ran_out(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert ran_out(RuntimeError("Failed to allocate memory for requested buffer of size 1073741824"))
    assert not ran_out(RuntimeError("Expected 4-dimensional input"))
    assert not ran_out(ValueError("out of memory"))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by Linux alone")
@pytest.mark.parametrize(("size", "fitting"), [(32, 8), (None, 4)])
@pytest.mark.parametrize("what", ["torch.ones(len(images), 5 << 20)", "np.ones((len(images), 5 << 20), np.float32)"])
def test_a_real_limit_is_kept_to(what, size, fitting):
    """20 MB an image and 300 MB of room: 32 images at once do not fit, 8 do; 4 take a quarter of it, 8 over half."""
    code = LIMITED.format(what=what, size=size)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    final, looked_at, largest = map(int, done.stdout.split())
    assert looked_at == 40
    assert final == largest == fitting
