from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.errors import DataError

ROWS, COLUMNS = 24, 32
SQUARE = [4.0, 3.0, 10.0, 3.0, 10.0, 8.0, 4.0, 8.0]  # columns 4 to 9, rows 3 to 7
RING = np.zeros((ROWS, COLUMNS), np.uint8)
RING[10:16, 20:28], RING[12:14, 22:26] = 1, 0


def uncompressed(mask: NDArray[np.uint8]) -> dict[str, Any]:
    """Lengths of runs down the columns, outside first: what COCO writes for crowds."""
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return {"size": list(mask.shape), "counts": counts if flat[0] == 0 else [0, *counts]}


def compressed(mask: NDArray[np.uint8]) -> dict[str, Any]:
    packed = coco_mask.encode(np.asfortranarray(mask))
    return {"size": packed["size"], "counts": packed["counts"].decode("ascii")}


def write(folder: Path, *annotations: dict[str, Any], labels: int = 2) -> Path:
    record = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": ROWS, "width": COLUMNS} for n in range(3)],
        "annotations": [{"id": n, **annotation} for n, annotation in enumerate(annotations)],
        "categories": [{"id": 10 + k, "name": f"class{k}"} for k in range(labels)],
    }
    path = folder / "truth.json"
    path.write_text(json.dumps(record))
    return path


@pytest.fixture
def pictures(tmp_path: Path, write_picture: Callable[..., Path]) -> Path:
    for number in range(3):
        write_picture(tmp_path / "in" / f"{number}.png", number, (ROWS, COLUMNS))
    return tmp_path


def open_coco(folder: Path, loader: Loader, labels: int = 2) -> DicomFolder:
    return DicomFolder(folder / "in", loader, folder / "truth.json", tuple(f"class{k}" for k in range(labels)))


@pytest.mark.parametrize("form", [uncompressed, compressed])
def test_polygons_and_run_lengths_are_mask_bits(
    pictures: Path,
    loader: Loader,
    cohort_of: Callable[[Source], Cohort],
    boxes_of: Callable[[Sample], object],
    form: Any,
) -> None:
    polygon = {"image_id": 0, "category_id": 10, "bbox": [4, 3, 6, 5], "segmentation": [SQUARE]}
    ring = {"image_id": 0, "category_id": 11, "segmentation": form(RING), "iscrowd": 1}
    write(pictures, polygon, ring)
    source = open_coco(pictures, loader)
    [both], [none], _ = (source.read(i) for i in range(3))
    expected = np.zeros((ROWS, COLUMNS), np.uint8)
    expected[3:8, 4:10] = 1
    expected |= RING << 1
    np.testing.assert_array_equal(both.mask, expected)
    assert none.mask is not None
    assert not none.mask.any()
    sample = cohort_of(source).samples[0]
    assert sample.targets == (1.0, 1.0)
    assert boxes_of(sample) == [(0, (4.0, 3.0, 10.0, 8.0)), (1, (20.0, 10.0, 28.0, 16.0))]


def test_boxes_alone_are_no_masks(pictures: Path, loader: Loader) -> None:
    boxed = {"image_id": 0, "category_id": 10, "bbox": [4, 3, 6, 5]}
    write(pictures, boxed)
    assert open_coco(pictures, loader).read(0)[0].mask is None
    write(pictures, boxed, {"image_id": 0, "category_id": 10, "segmentation": [SQUARE]}, {**boxed, "image_id": 1})
    source = open_coco(pictures, loader)
    masks = [source.read(i)[0].mask for i in range(3)]
    assert masks[0] is None  # a mask would call the lesion that has a box alone healthy
    assert masks[1] is None
    assert masks[2] is not None


def test_a_box_around_the_outline_where_none_is_told(pictures: Path, loader: Loader) -> None:
    write(pictures, {"image_id": 0, "category_id": 11, "segmentation": [SQUARE, [20, 20, 22, 20, 22, 23]]})
    [lesion] = open_coco(pictures, loader).read(0)[0].lesions
    assert (lesion.label, lesion.box_px) == (1, (4.0, 3.0, 22.0, 23.0))


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        {"size": [ROWS, COLUMNS], "counts": [ROWS * COLUMNS, 1]},
        {"size": [ROWS, COLUMNS], "counts": "oooooooo"},
        {"size": [ROWS, COLUMNS], "counts": "\u00e9"},
        {"size": [ROWS]},
    ],
)
def test_broken_segmentations_are_refused(pictures: Path, loader: Loader, segmentation: object) -> None:
    write(pictures, {"image_id": 0, "category_id": 10, "bbox": [4, 3, 6, 5], "segmentation": segmentation})
    with pytest.raises(DataError):
        open_coco(pictures, loader)


BOXED = {"image_id": 0, "category_id": 10, "bbox": [4, 3, 6, 5]}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"category_id": 99}, "annotation 2: category_id is none of the 2 categories"),
        ({"image_id": 7}, "annotation 2: image_id is none of the 3 images"),
        ({"bbox": [1, 2, 3]}, "annotation 2: a bbox that isn't four numbers"),
        ({"bbox": "four"}, "annotation 2: a bbox that isn't four numbers"),
        ({"segmentation": [[1, 2, 3]]}, "annotation 2: .* neither polygons nor run lengths"),
        (
            {"segmentation": {"size": [ROWS, COLUMNS], "counts": "oooooooo"}},
            "annotation 2: run lengths that don't fill",
        ),
    ],
)
def test_the_broken_annotation_is_named_by_its_place(
    pictures: Path, loader: Loader, broken: dict[str, Any], told: str
) -> None:
    path = write(pictures, BOXED, {**BOXED, **broken})
    with pytest.raises(DataError, match=told) as caught:
        open_coco(pictures, loader)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda record: record["annotations"][0].pop("bbox"), "annotation 1: no bbox; expected COCO"),
        (lambda record: record["images"][1].pop("file_name"), "image 2: no file_name; expected COCO"),
        (lambda record: record["images"][1].update(height="tall"), "image 2: a height, width or frame"),
        (lambda record: record["images"][1].update(id=0), "3 images, but 2 different ones by id"),
        (lambda record: record["images"][1].update(file_name="0.png"), "3 images, but 2 different ones by name"),
        (lambda record: record.pop("annotations"), "can't be read as truth"),
        (lambda record: record.update(annotations=3), "can't be read as truth"),
    ],
)
def test_what_is_missing_or_there_twice_is_named(
    pictures: Path, loader: Loader, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    path = write(pictures, BOXED)
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=told):
        open_coco(pictures, loader)


def test_a_mask_has_no_more_classes_than_bits(pictures: Path, loader: Loader) -> None:
    write(pictures, {"image_id": 0, "category_id": 10, "segmentation": [SQUARE]}, labels=9)
    assert open_coco(pictures, loader, labels=8).read(0)[0].mask is not None
    with pytest.raises(DataError, match=r"masks of 9 labels; expected at most 8: choose data\.labels"):
        open_coco(pictures, loader, labels=9)
    write(pictures, {"image_id": 0, "category_id": 10, "bbox": [4, 3, 6, 5]}, labels=9)
    assert len(open_coco(pictures, loader, labels=9).read(0)[0].targets) == 9
