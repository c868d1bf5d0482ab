import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from radvit.deid import ocr as engine
from radvit.deid.ocr import Ocr, flattened, ocr
from radvit.deid.rects import quads_of
from radvit.errors import DeidError


def page(text, at=(60, 80), size=32, shape=(300, 640)):
    """Light letters on a slope of grey, 16 bits."""
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
    layer = Image.new("L", shape[::-1])
    ImageDraw.Draw(layer).text(at, text, font=font, fill=255)
    ink = np.asarray(layer) / 255
    slope = np.linspace(200, 1500, shape[1])[None].repeat(shape[0], axis=0)
    return (slope * (1 - ink) + 3000 * ink).astype(np.uint16), ink > 0.5


def found_text(values):
    return [ocr().read(values, quad) for quad in ocr().detect(values)]


@pytest.mark.parametrize("text", ["OKAFOR NGOZI", "DOB: 06.16.1976", "Semi-Upright", "00010-7833-QX"])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_line_is_found_and_read(text, inverted):
    values, ink = page(text)
    values = 4095 - values if inverted else values
    (quad,) = ocr().detect(values)
    y, x = np.nonzero(ink)
    assert (quad.min(axis=0) <= [x.min() + 2, y.min() + 2]).all()
    assert (quad.max(axis=0) >= [x.max() - 2, y.max() - 2]).all()
    reading = ocr().read(values, quad)
    assert reading.text == text
    assert reading.sure


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_in_every_direction(turns):
    values, _ = page("PORTABLE")
    (reading,) = found_text(np.rot90(values, turns))
    assert reading.text == "PORTABLE"
    assert reading.sure


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.int32, np.float64])
def test_values_of_any_kind_and_range(kind):
    values, _ = page("PORTABLE")
    scaled = (values / 16 if kind == np.uint8 else values.astype(np.float64) - 2000).astype(kind)
    before = scaled.copy()
    assert [reading.text for reading in found_text(scaled)] == ["PORTABLE"]
    np.testing.assert_array_equal(scaled, before)


def test_repeated_letters_stay_repeated_and_blanks_stay():
    values, _ = page("ANNA LOOSS")
    assert [reading.text for reading in found_text(values)] == ["ANNA LOOSS"]


def test_what_is_no_text_is_not_read_with_certainty():
    values = np.random.default_rng(0).integers(0, 4096, (200, 400))
    assert not ocr().read(values, quads_of(np.array([[50, 50, 200, 40]]))[0]).sure
    assert not ocr().read(np.zeros((200, 400)), quads_of(np.array([[50, 50, 200, 40]]))[0]).sure


def test_a_line_at_the_images_corner_is_read():
    values, _ = page("PORTABLE", at=(0, -6))
    assert [reading.text for reading in found_text(values)] == ["PORTABLE"]


def test_a_large_image_is_looked_at_in_bands(monkeypatch):
    values = np.zeros((3000, 3400), np.uint16)
    for top in range(100, 2900, 300):
        values[top : top + 200, 400:1040] = page("OKAFOR NGOZI", shape=(200, 640))[0]
    sizes = []
    look = engine._run
    monkeypatch.setattr(engine, "_run", lambda session, grey: sizes.append(grey.size) or look(session, grey))
    found = [quad for quad in ocr().detect(values) if np.linalg.norm(quad[0] - quad[2]) > 150]
    assert len(found) == 10
    assert len(sizes) > 1
    assert max(sizes) < 1.3 * engine._PIXELS


@pytest.mark.parametrize("shape", [(1, 1), (8, 500), (31, 31)])
def test_an_image_too_small_for_letters_holds_none(shape):
    assert ocr().detect(np.ones(shape)).shape == (0, 4, 2)


def test_what_stands_out_is_light_or_dark_whatever_its_surroundings():
    values = np.linspace(0, 4000, 400)[None].repeat(300, axis=0)
    values[100:104, 100:104] += 1500
    values[200:204, 300:304] -= 1500
    flat = flattened(values)
    assert flat.dtype == np.uint8
    assert flat[102, 102] == 255
    assert flat[202, 302] == 0
    assert np.abs(flat[40:60, 40:-40].astype(int) - 128).max() < 12
    assert np.ptp(flattened(np.full((50, 50), 9))) == 0


def test_missing_models_are_one_line(monkeypatch):
    engine._loaded.cache_clear()
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(DeidError, match="can't be loaded from rapidocr"):
        ocr()


def test_the_networks_are_loaded_once_a_process():
    assert ocr() is ocr()
    assert isinstance(ocr(), Ocr)


def test_chinese_is_read():
    names = ("Noto Sans CJK SC", "Droid Sans Fallback", "WenQuanYi Zen Hei", "Source Han Sans SC", "SimSun")
    path = next((font.fname for font in font_manager.fontManager.ttflist if font.name in names), None)
    if path is None:
        pytest.skip("no font with Chinese letters on this machine")
    layer = Image.new("L", (640, 200))
    ImageDraw.Draw(layer).text((40, 60), "王秀英 住院号", font=ImageFont.truetype(path, 40), fill=255)
    assert [reading.text.replace(" ", "") for reading in found_text(np.asarray(layer))] == ["王秀英住院号"]


def test_what_is_too_long_for_a_line_is_not_read():
    values, _ = page("PORTABLE")
    assert ocr().read(values, quads_of(np.array([[0, 90, 640, 4]]))[0]) == engine.Reading("", 0.0)
