from dataclasses import replace

import cv2
import numpy as np
import pytest

from radvit.inference.findings import weak_findings
from radvit.inference.results import Heat
from radvit.records import Basis, Boxes
from radvit.report import saliency
from radvit.report.build import Bands, build_report
from radvit.report.html import to_html
from radvit.report.json_form import to_dict
from radvit.report.json_read import from_dict
from radvit.report.write import shown_heat, write_study


def box(*xyxy, score=0.9):
    return Boxes(np.array([xyxy], np.float32), np.array([score], np.float32), np.zeros(1, np.int64))


@pytest.fixture
def read(make):
    """A study of three images: one with a map and a box, one with a flat map, one that could not be explained."""
    result = make.study(3)
    heat = np.zeros((400, 300), np.uint8)
    heat[100:140, 60:90] = 255
    one, two, three = result.images
    images = (
        replace(one, scores=(0.9,), boxes=box(120.0, 200.0, 180.0, 280.0), heat=Heat(heat, 0)),
        replace(two, scores=(0.6,), heat=Heat(np.zeros_like(heat), 0)),
        replace(three, scores=(0.1,)),
    )
    result = replace(result, images=images)
    found = [weak_findings(image, ("nodule",)) for image in images]
    return images, build_report(result, found, ("nodule",), Bands(), make.provenance, mapped=True)


def test_findings_say_what_they_rest_on(read):
    _, report = read
    assert [item.finding.basis for item in report.findings] == [Basis.ATTENTION, Basis.IMAGE]
    form = to_dict(report)
    assert [one["basis"] for one in form["findings"]] == ["attention", "image"]
    assert from_dict(form) == report
    assert report.unmapped == (2, 3)


def test_a_label_keeps_its_finding_where_its_boxes_are_too_faint(make):
    (image,) = make.study(1).images
    image = replace(image, scores=(0.9, 0.4, 0.1), boxes=box(1.0, 1.0, 9.0, 9.0, score=0.9))
    found = weak_findings(image, ("nodule", "mass", "effusion"))
    assert [(f.type, f.basis, f.box_px is None) for f in found] == [
        ("nodule", Basis.ATTENTION, False),
        ("mass", Basis.IMAGE, True),
    ]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["the box is drawn around where the classifier looked", "for images 2 and 3", "not from boxes"]),
        ("zh", ["检测框依据分类模型的关注区域绘制", "影像 2、3 无法得出", "未学习过病灶框"]),
    ],
)
def test_the_page_says_so_in_each_language(read, language, words):
    html = to_html(read[1], (), language)
    assert all(word in html for word in words), html


def test_the_words_of_a_detector_stay_as_they_were(make):
    report = make.report([make.finding(0.9)])
    html = to_html(report, (), "en")
    assert "classifier" not in html
    assert report.unmapped == ()


def test_the_picture_shows_heat_only_where_the_model_looked(read):
    images, report = read
    canvas = cv2.imdecode(np.frombuffer(saliency.draw([(1, images[0])], report), np.uint8), cv2.IMREAD_COLOR)
    colourful = np.ptp(canvas.astype(int), axis=2) > 40
    half = canvas.shape[1] // 2
    assert not colourful[: int(0.8 * len(canvas)), :half].any()  # the image alone
    assert colourful[: int(0.8 * len(canvas)), half:].mean() > 0.005
    again = cv2.imdecode(np.frombuffer(saliency.draw([(1, images[0])], report), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(canvas, again)


def test_colours_let_the_image_through():
    tinted = saliency.tinted(np.array([[0, 30, 128, 255]], np.uint8))
    assert tinted[0, :2, 3].tolist() == [0, 0]
    assert 0 < tinted[0, 2, 3] < tinted[0, 3, 3] < 255
    lightness = tinted[0, :, :3].astype(int).sum(1)
    assert (np.diff(lightness) > 0).all()


def test_a_flat_map_and_a_tall_image_are_drawn(read, make):
    images, report = read
    tall = replace(
        images[0],
        geometry=replace(make.geometry, rows=3000, columns=300),
        picture=np.zeros((1000, 100), np.uint8),
        heat=Heat(np.zeros((1000, 100), np.uint8), None),
    )
    for image in (images[1], tall):
        file = saliency.draw([(2, image)], report)
        assert cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR).shape[0] > 100


def test_the_folder_gets_the_picture(read, tmp_path):
    images, report = read
    write_study(tmp_path / "study", report, images, "en")
    assert {path.name for path in (tmp_path / "study").iterdir()} == {
        *("findings.json", "report.html", "saliency.png", "overlay.png", "overlay-2.png", "overlay-3.png")
    }
    assert "Where the classifier looked" in (tmp_path / "study" / "report.html").read_text()


def test_a_picture_that_cannot_be_drawn_costs_nothing_else(read, tmp_path, caplog):
    images, report = read
    broken = replace(images[0], heat=Heat(np.zeros((0, 0), np.uint8), 0), scores=())
    write_study(tmp_path / "study", report, (broken, *images[1:]), "en")
    assert not (tmp_path / "study" / "saliency.png").exists()
    assert (tmp_path / "study" / "report.html").is_file()
    assert "saliency.png could not be drawn" in caplog.text


def test_nothing_is_drawn_where_nothing_was_asked_for(make, tmp_path):
    report = make.report([make.finding(0.9)])
    assert shown_heat(tmp_path, report, make.study(1).images) is None
    assert not list(tmp_path.iterdir())


def test_boxes_of_a_classifier_are_dashed(read):
    from radvit.report.overlay import draw

    images, report = read
    (item, _) = report.findings
    dashed = draw(images[0].picture, images[0].geometry, [item])
    whole = draw(images[0].picture, images[0].geometry, [replace(item, finding=replace(item.finding, basis=Basis.BOX))])
    red = [int((drawing.bgr() == (60, 60, 235)).all(2).sum()) for drawing in (dashed, whole)]
    assert 0 < red[0] < red[1]
