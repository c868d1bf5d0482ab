import json

import numpy as np
import pytest

from radvit.metrics.calibrated import Calibration
from radvit.metrics.calibration import Platt, Temperature

SCORES = np.array([[0.1, 0.9], [0.5, 0.5]], np.float32)


@pytest.mark.parametrize(
    "given",
    [
        Calibration(),
        Calibration(Platt(0.5, 0.1, fitted=True), Platt(2.0, -1.0, fitted=True)),
        Calibration(Temperature(1.5, fitted=True)),
        Calibration(boxes=Platt(2.0, 0.0, fitted=True)),
    ],
)
def test_round_trip_through_json(given):
    assert Calibration.from_dict(json.loads(json.dumps(given.to_dict()))) == given
    assert given.words()


def test_images_and_boxes_go_through_their_own_maps():
    images, boxes = Platt(0.5, 0.1, fitted=True), Platt(2.0, -1.0, fitted=True)
    both = Calibration(images, boxes)
    np.testing.assert_array_equal(both.of_images(SCORES), images.apply(SCORES))
    np.testing.assert_array_equal(both.of_boxes(SCORES[0]), boxes.apply(SCORES[0]))
    assert both.words() == (
        "image scores by Platt scaling (slope 0.5, intercept 0.1); box scores by Platt scaling (slope 2, intercept -1)"
    )


def test_what_an_earlier_version_wrote_serves_both():
    old = Calibration.from_dict({"slope": 2.0, "intercept": -1.0, "fitted": True})
    np.testing.assert_array_equal(old.of_images(SCORES), Platt(2.0, -1.0).apply(SCORES))
    np.testing.assert_array_equal(old.of_boxes(SCORES), Platt(2.0, -1.0).apply(SCORES))
    np.testing.assert_array_equal(Calibration.from_dict({}).of_images(SCORES), SCORES)
