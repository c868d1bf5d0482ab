import itertools

import numpy as np
import pytest
import torch

from radvit.data.datamodule import Item
from radvit.errors import ConfigError
from radvit.memory import free_memory
from radvit.models.vit import RadiographViT
from radvit.records import Task
from radvit.training.auto_batch import Fit, Trial, expected, fitting, largest, limit_of
from radvit.training.module import RadiographModule
from radvit.training.optim import OptimSpec


class Machine:
    """Memory that costs 100 bytes and 10 an image, and notes what was tried."""

    def __init__(self, limit=None):
        self.tried, self.limit = [], limit

    def __call__(self, size):
        self.tried.append(size)
        if self.limit is not None and 100 + 10 * size > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 100 + 10 * size


@pytest.mark.parametrize("sizes", [[1], [1, 2, 4, 8, 16], [1, 2, 3, 4, 6, 8, 12, 24], [1, 7, 49], [1, 97]])
def test_the_largest_that_fits_is_found_whatever_the_limit(sizes):
    for limit in range(100, 1200, 7):
        right = max((n for n in sizes if 100 + 10 * n <= limit), default=None)
        assert largest(Machine(), limit, sizes) == right
        assert largest(Machine(limit), limit, sizes) == right  # where running out of memory is an error, too


def test_what_would_not_fit_is_not_tried_once_the_cost_of_an_image_is_known():
    machine = Machine()
    assert largest(machine, 300, [1, 2, 4, 8, 16, 32, 64]) == 16
    assert machine.tried == [1, 2, 4, 8, 16]
    assert expected({1: 110, 2: 120}, 64) == 740


def test_batches_of_a_step_make_up_what_was_asked_for():
    assert fitting(24, Machine(), 300) == Fit(12, 2)
    assert fitting(24, Machine(), 10**6) == Fit(24, 1)
    assert fitting(7, Machine(), 115) == Fit(1, 7)
    with pytest.raises(ConfigError, match="training on one image takes more than the 3 MB there are"):
        fitting(4, lambda _: 5 << 20, 3 << 20)


@pytest.fixture
def trial(spec):
    torch.manual_seed(0)
    module = RadiographModule(RadiographViT(spec(Task.CLASSIFY)), OptimSpec(1e-3), exclusive=False)

    class Images:
        def __len__(self):
            return 3

        def __getitem__(self, key):
            image = np.zeros((32, 32), np.float32)
            return Item(image, np.ones(1, np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int64), key[1])

    return Trial(module, Images(), torch.device("cpu"))


def test_a_trial_measures_memory_that_grows_with_the_batch_and_changes_nothing(trial):
    before = {name: value.clone() for name, value in trial.module.state_dict().items()}
    state = torch.get_rng_state()
    costs = [trial(size) for size in (8, 256, 512)]
    grown = [b - a for a, b in itertools.pairwise(costs)]
    assert all(more > 4 << 20 for more in grown), grown
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in trial.module.state_dict().items())


def test_a_small_real_limit_gives_a_small_batch(trial):
    found = fitting(1 << 14, trial, trial(8) + (32 << 20))
    assert 1 <= found.images < 1 << 14
    assert found.images * found.batches == 1 << 14


def test_there_is_memory_and_some_of_it_is_left_free():
    free = free_memory()
    assert 0 < free < 1 << 50
    assert limit_of(torch.device("cpu")) > 0
