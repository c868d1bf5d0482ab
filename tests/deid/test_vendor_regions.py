import numpy as np
import pytest
from pydicom import Dataset

from radvit.deid.vendor_regions import RULES, known_regions


def header(rows=480, columns=640, **attributes):
    dataset = Dataset()
    dataset.Rows, dataset.Columns = rows, columns
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def region(left, top, right, bottom):
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    return item


US = {"Modality": "US", "Manufacturer": "Philips Medical Systems", "ManufacturerModelName": "iU22"}
CT = {"Modality": "CT", "Manufacturer": "GE MEDICAL SYSTEMS"}


@pytest.mark.parametrize(
    ("dataset", "boxes"),
    [(header(**US), [(0, 0, 640, 47)]),
     (header(600, 700, **US), [(0, 0, 700, 59)]),
     (header(481, 640, **US), []),
     (header(**{**US, "Modality": "CR"}), []),
     (header(**{**US, "Manufacturer": "Maker"}), []),
     (header(**{**US, "ManufacturerModelName": "other"}), []),
     (header(512, 512, **CT, SeriesDescription="Dose Report"), [(0, 0, 512, 110)]),
     (header(512, 512, **CT), []),
     (header(512, 512, **CT, BurnedInAnnotation="YES"), [(0, 0, 512, 25)]),
     (header(860, 1132, Modality="NM", Manufacturer="SIEMENS", ImageType=["DERIVED", "SECONDARY"]),
      [(0, 0, 1132, 90), (0, 780, 1132, 80)]),
     (header(), [])],
)  # fmt: skip
def test_the_bands_of_a_kind_of_image(dataset, boxes):
    assert [tuple(rect) for rect in known_regions(dataset)] == boxes


def test_every_rule_reaches_the_images_it_names():
    for rule in RULES:
        assert rule.maker == rule.maker.upper()
        assert all(model == model.upper() for model in rule.models)
        rows, columns = rule.rows or 2000, rule.columns or 2000
        for left, top, width, height in rule.boxes:
            assert min(width, height) > 0
            assert 0 <= left < columns
            assert 0 <= top < rows


def test_all_beside_the_regions_of_an_ultrasound():
    dataset = header(
        300, 400, Modality="US", SequenceOfUltrasoundRegions=[region(50, 40, 199, 279), region(200, 40, 349, 279)]
    )
    mask = np.zeros((300, 400), bool)
    for left, top, width, height in known_regions(dataset):
        mask[top : top + height, left : left + width] = True
    expected = np.ones((300, 400), bool)
    expected[40:280, 50:350] = False
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    "regions",
    [[], [region(0, 0, 399, 299)], [region(0, 0, 10, 10)], [region(350, 200, 100, 20)], [Dataset()],
     [region(500, 500, 900, 900)]],
    ids=["none", "the whole image", "a corner", "inside out", "empty", "outside"],
)  # fmt: skip
def test_regions_that_can_not_be_trusted_tell_nothing(regions):
    assert len(known_regions(header(300, 400, Modality="US", SequenceOfUltrasoundRegions=regions))) == 0
