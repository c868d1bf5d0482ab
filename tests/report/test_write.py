import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from radvit.records import Boxes
from radvit.report.build import Bands
from radvit.report.html import plain_jpegs
from radvit.report.json_read import read_report
from radvit.report.write import MOST_PICTURES, Answers, StudyWriter, picture_order, rewrite


def writer(tmp_path, make, answers=Answers.BOXES):
    return StudyWriter(tmp_path, ("nodule", "mass"), answers, make.provenance, Bands())


def with_boxes(result, *scores):
    """The result with one box an image, of the given score; None for none."""
    images = []
    for image, score in zip(result.images, scores, strict=True):
        box = np.array([[100, 50, 150, 120]], np.float32)
        found = Boxes(box, np.array([score], np.float32), np.zeros(1, np.int64)) if score else Boxes.empty()
        images.append(replace(image, boxes=found))
    return replace(result, images=tuple(images))


def test_the_files_of_a_study(make, tmp_path):
    writer(tmp_path, make)(with_boxes(make.study(2), None, 0.75))
    folder = tmp_path / "2.25.10"
    assert {p.name for p in folder.iterdir()} == {"findings.json", "overlay.png", "overlay-2.png", "report.html"}
    assert [p.name for p in tmp_path.iterdir()] == ["2.25.10"]
    (found,) = json.loads((folder / "findings.json").read_text())["findings"]
    assert (found["type"], found["score"], found["image"], found["image_number"]) == ("nodule", 0.75, "2.25.13", 2)
    assert found["size_mm"] == pytest.approx(14.0)


def test_an_earlier_folder_is_replaced_whole(make, tmp_path):
    write = writer(tmp_path, make)
    write(with_boxes(make.study(3), 0.9, 0.9, 0.9))
    (tmp_path / ".2.25.10.part").mkdir()  # what a killed run may leave
    (tmp_path / ".2.25.10.part" / "overlay.png").write_bytes(b"half")
    write(with_boxes(make.study(1), 0.9))
    assert {p.name for p in (tmp_path / "2.25.10").iterdir()} == {"findings.json", "overlay.png", "report.html"}
    assert [p.name for p in tmp_path.iterdir()] == ["2.25.10"]


def test_a_failed_write_leaves_no_folder(make, tmp_path):
    broken = replace(writer(tmp_path, make), language="fr")
    with pytest.raises(Exception, match="expected one of en, zh"):
        broken(make.study())
    assert not (tmp_path / "2.25.10").exists()


def test_a_classifier_speaks_by_image_scores(make, tmp_path):
    result = make.study()
    result = replace(result, images=(replace(result.images[0], scores=(0.1, 0.95)),))
    writer(tmp_path, make, Answers.IMAGES)(result)
    (found,) = json.loads((tmp_path / "2.25.10" / "findings.json").read_text())["findings"]
    assert (found["type"], found["score"], found["box_px"], found["size_mm"]) == ("mass", 0.95, None, None)


def test_a_writer_can_be_sent_to_a_worker(make, tmp_path):
    write = writer(tmp_path, make)
    assert pickle.loads(pickle.dumps(write)) == write  # noqa: S301 - our own bytes


def test_the_most_suspicious_image_is_pictured_first(make):
    report = make.report([], [make.finding(0.6)], [make.finding(0.9)], [])
    assert picture_order(report) == [3, 2, 1, 4]
    assert picture_order(make.report(*[[] for _ in range(20)])) == list(range(1, MOST_PICTURES + 1))


def test_the_page_shows_the_pictures_without_marks_also_when_it_is_rewritten(make, tmp_path):
    writer(tmp_path, make)(with_boxes(make.study(2), 0.75, None))
    folder = tmp_path / "2.25.10"
    page = (folder / "report.html").read_text()
    pictures = [cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED) for file in plain_jpegs(page)]
    assert [picture.shape for picture in pictures] == [(800, 600)] * 2  # grey, twice as large as too small ones
    assert all((picture == 90).all() for picture in pictures)
    assert (cv2.imread(str(folder / "overlay.png")) != 90).any()
    rewrite(folder, read_report(folder / "findings.json"), "en")
    assert (folder / "report.html").read_text() == page
    (folder / "report.html").write_text(page.replace('class="plain"', "", 1))  # of an earlier version, or spoilt
    rewrite(folder, read_report(folder / "findings.json"), "en")
    page = (folder / "report.html").read_text()
    assert page.count('<img class="marked"') == 2
    assert "<g " not in page
