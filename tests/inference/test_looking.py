import numpy as np
import pytest

from radvit.data.preprocess import Preprocess
from radvit.inference.batch_size import BatchSize
from radvit.inference.decoding import DecodedImage, shown
from radvit.inference.looking import MOST_WAITING, Read, Screened, batches, look, over_picture, together
from radvit.inference.manifest import Row, State
from radvit.inference.timing import Stopwatch
from radvit.records import Boxes, Geometry, Header

HEADER = Header("P-A", "2.25.1", "2.25.2", "2.25.3", "DX")
PREPROCESS = Preprocess(32)


def decoded(value):
    model_input, placement = PREPROCESS.apply(np.full((40, 40), value / 100, np.float32))
    return DecodedImage(HEADER, Geometry(40, 40), model_input, placement, shown(np.zeros((40, 40), np.float32)))


def studies(*counts):
    """Studies with so many images each; every image has a grey value of its own, in hundredths, counted from 1."""
    made, value = [], 0
    for number, count in enumerate(counts):
        images = tuple(decoded(value + i + 1) for i in range(count))
        value += count
        ended = None if count else Row(f"s{number}", State.REFUSED, 0.0, 0, "outside")
        made.append(Screened(f"s{number}", images, (), 1.0, ended))
    return made


def grey(images):
    """Scores each image by its grey value."""
    values = images.mean((1, 2, 3)) * PREPROCESS.std + PREPROCESS.mean
    return values[:, None].astype(np.float32), [Boxes.empty() for _ in images]


def through(made, size):
    watch = Stopwatch()
    looked = look(batches(made, PREPROCESS, lambda: size.size), grey, size, watch)
    return list(together(looked, watch)), watch


@pytest.mark.parametrize("size", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("counts", [(), (0,), (1, 1, 1), (5, 0, 2, 0, 0, 1, 7), (0, 0, 3), (3, 0), (20,)])
def test_every_image_comes_back_to_its_study_in_order(counts, size):
    found, watch = through(studies(*counts), BatchSize(size))
    assert [item.study if isinstance(item, Row) else item.result.study for item in found] == [
        f"s{n}" for n in range(len(counts))
    ]
    scores = [image.scores[0] for item in found if isinstance(item, Read) for image in item.result.images]
    np.testing.assert_allclose(scores, np.arange(1, sum(counts) + 1) / 100, atol=1e-3)
    assert [len(item.result.images) for item in found if isinstance(item, Read)] == [n for n in counts if n]
    assert watch.images == sum(counts)
    assert watch.batches == -(-sum(counts) // size)
    for item in found:
        assert isinstance(item, Row) or item.seconds > 1.0  # the model's time on top of the decoding's


def test_batches_are_full_but_for_the_last():
    made = list(batches(studies(3, 1, 5, 2), PREPROCESS, lambda: 4))
    assert [len(batch.images) for batch in made] == [4, 4, 3]
    assert [batch.pixels.shape for batch in made] == [(4, 1, 32, 32), (4, 1, 32, 32), (3, 1, 32, 32)]


def test_studies_without_images_do_not_wait_for_a_batch_to_fill():
    taken = []

    def stream():
        for study in studies(1, *[0] * (2 * MOST_WAITING)):
            taken.append(study)
            yield study

    first = next(batches(stream(), PREPROCESS, lambda: 8))
    assert len(first.images) == 1
    assert len(first.studies) == len(taken) == MOST_WAITING


def test_waiting_for_the_model_is_not_its_own_time():
    watch, size, waited = Stopwatch(), BatchSize(2), []

    def ready():
        waited.append(watch.batches)

    looked = look(batches(studies(1, 1, 1), PREPROCESS, lambda: 2), grey, size, watch, None, ready)
    assert len(list(together(looked, watch))) == 3
    assert waited == [0, 1]  # before each of the two calls


def test_a_map_that_cannot_be_made_costs_the_image_nothing_else(caplog):
    def explain(pixels, scores):
        raise ValueError("no map")

    watch, size = Stopwatch(), BatchSize(2)
    looked = look(batches(studies(1, 1), PREPROCESS, lambda: 2), grey, size, watch, explain)
    (first, second) = together(looked, watch)
    assert first.result.images[0].heat is None
    assert second.result.images[0].scores
    assert "no map of where the model looked: ValueError" in caplog.text


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (2000, 1500), (31, 31)])
def test_heat_lies_over_the_picture_where_boxes_lie_on_the_image(shape):
    pixels = np.zeros(shape, np.float32)
    model_input, placement = Preprocess(64).apply(pixels)
    image = DecodedImage(HEADER, Geometry(*shape), model_input, placement, shown(pixels))
    heat = np.zeros((64, 64), np.float32)
    heat[24:40, 24:36] = 1
    laid = over_picture(heat, image)
    assert laid.shape == image.picture.shape
    assert laid.dtype == np.uint8
    x1, y1, x2, y2 = placement.to_image(np.array([[24.0, 24, 36, 40]]))[0] * (laid.shape[1] / shape[1])
    rows, columns = np.nonzero(laid >= 128)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(found, (x1, y1, x2, y2), atol=1)
    assert laid.max() == 255
