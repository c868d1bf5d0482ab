import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from radvit.errors import DataError
from radvit.models.losses import classification_loss
from radvit.training.class_weights import BETA, ClassWeights, class_weights, weighted_loss

LABELS = np.repeat([0, 1, 2], [70, 20, 10])
ONE_HOT = np.eye(3)[LABELS]


def test_balanced_weights_are_scikit_learns():
    found = class_weights(ONE_HOT, ClassWeights.BALANCED, exclusive=True)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert class_weights(ONE_HOT, ClassWeights.NONE, exclusive=True) is None


def test_effective_weights_are_those_of_the_paper_with_a_mean_of_one_over_the_images():
    found = class_weights(ONE_HOT, ClassWeights.EFFECTIVE, exclusive=True).numpy()
    paper = np.array([(1 - BETA) / (1 - BETA**n) for n in (70, 20, 10)])
    np.testing.assert_allclose(found / found[0], paper / paper[0], rtol=1e-5)
    assert (ONE_HOT @ found).mean() == pytest.approx(1, rel=1e-6)


def test_positives_of_labels_that_stand_alone_weigh_as_all_negatives_together():
    targets = np.array([[1, 0], [0, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(class_weights(targets, ClassWeights.BALANCED, exclusive=False), [3, 1])


def test_a_class_that_never_or_always_occurs_has_no_weight():
    for targets in (np.zeros((4, 1)), np.ones((4, 1))):
        with pytest.raises(DataError, match=r"class_weights=balanced: a class has no positive or no negative"):
            class_weights(targets, ClassWeights.BALANCED, exclusive=False)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_equal_weights_change_nothing(exclusive, gamma):
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 3), torch.eye(3)[[0, 1, 2, 1, 0]]
    plain = classification_loss(logits, targets, exclusive, 0.1, 0.0 if exclusive else gamma)
    torch.testing.assert_close(weighted_loss(logits, targets, torch.ones(3), exclusive, 0.1, gamma), plain)


def test_a_weight_of_two_counts_an_image_twice():
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 2), torch.eye(2)[[0, 1, 1]]
    twice = weighted_loss(logits, targets, torch.tensor([1.0, 2.0]), True, 0.0, 0.0) * 3
    repeated = classification_loss(logits[[0, 1, 1, 2, 2]], targets[[0, 1, 1, 2, 2]], True) * 5
    torch.testing.assert_close(twice, repeated)


def test_positive_weights_are_those_of_torch():
    torch.manual_seed(0)
    logits, targets, weights = torch.randn(6, 2), (torch.rand(6, 2) > 0.5).float(), torch.tensor([3.0, 0.5])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
    torch.testing.assert_close(weighted_loss(logits, targets, weights, False, 0.0, 0.0), expected)
