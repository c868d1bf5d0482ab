import numpy as np

from radvit.evaluation.reconstruction import reconstruction_figure


def test_each_image_is_a_column_and_each_kind_a_row():
    rows = [np.full((3, 8, 8), grey, np.float32) for grey in (0.2, 0.5, 0.9)]
    figure = reconstruction_figure(rows, "some words")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 9
    np.testing.assert_allclose([image.mean() for image in shown], [0.2] * 3 + [0.5] * 3 + [0.9] * 3, rtol=1e-6)
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["original", "shown", "drawn"]
    assert figure.get_suptitle() == "some words"


def test_one_image_is_enough():
    assert len(reconstruction_figure([np.zeros((1, 4, 4), np.float32)] * 3, "").axes) == 3
