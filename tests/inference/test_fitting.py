import numpy as np
import pytest
import torch

from radvit.inference.fitting import Fitting, ran_out
from radvit.inference.stages import Stages
from radvit.records import Boxes


class Small:
    """A detector that has memory for so many images; it answers with their first pixel."""

    def __init__(self, room, error=MemoryError):
        self.room, self.error, self.calls = room, error, []

    def __call__(self, images):
        self.calls.append(len(images))
        if len(images) > self.room:
            raise self.error("CUDA out of memory" if self.error is RuntimeError else "")
        first = images[:, 0, 0, :1]
        return first, [
            Boxes(np.full((1, 4), v, np.float32), np.ones(1, np.float32), np.zeros(1, int)) for v in first[:, 0]
        ]


def images(count):
    return np.arange(count, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 2, 2), np.float32)


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
@pytest.mark.parametrize(("count", "room"), [(8, 8), (8, 3), (7, 2), (5, 1)])
def test_every_image_is_answered_in_order_however_little_fits(count, room, error):
    fitting = Fitting(Small(room, error), 8, Stages())
    scores, boxes = fitting(images(count))
    np.testing.assert_array_equal(scores[:, 0], np.arange(count))
    assert [b.xyxy[0, 0] for b in boxes] == list(range(count))
    assert fitting.size <= max(room, 1) or room == 8


def test_later_batches_begin_with_what_fitted(caplog):
    detector = Small(2)
    fitting = Fitting(detector, 8, Stages())
    fitting(images(8))
    assert fitting.size == 2
    assert "a batch of 8 images needs more memory than there is: going on with 4" in caplog.text
    detector.calls.clear()
    fitting(images(fitting.size))
    assert detector.calls == [2]


def test_a_single_image_that_does_not_fit_is_an_error():
    with pytest.raises(MemoryError):
        Fitting(Small(0), 8, Stages())(images(4))


def test_other_errors_pass_through():
    def broken(batch):
        raise ValueError("shapes differ")

    with pytest.raises(ValueError, match="shapes differ"):
        Fitting(broken, 8, Stages())(images(4))


def test_errors_that_say_so():
    assert ran_out(MemoryError())
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert ran_out(RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"))
    assert not ran_out(RuntimeError("shapes differ"))
