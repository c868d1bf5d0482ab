import pytest
import torch

from radvit.training.means import Means


def test_means_are_weighted_by_the_images_they_stand_for():
    means = Means()
    means.add({"loss": torch.tensor(1.0), "box": torch.tensor(3.0)}, 4)
    means.add({"loss": torch.tensor(4.0), "box": torch.tensor(0.0)}, 2)
    assert means.take() == pytest.approx({"loss": 2.0, "box": 2.0})
    assert means.take() == {}


def test_a_state_goes_on_where_it_was():
    first, second = Means(), Means()
    first.add({"loss": torch.tensor(1.0, requires_grad=True)}, 3)
    second.load(first.state())
    second.add({"loss": torch.tensor(5.0)}, 1)
    assert second.take() == pytest.approx({"loss": 2.0})
    assert first.take() == pytest.approx({"loss": 1.0})
