from dataclasses import replace

import cv2
import numpy as np
import pydicom
import pytest

from radvit.data.phantom.acquisition import Exposure, expose
from radvit.data.phantom.anatomy import draw_anatomy
from radvit.data.phantom.blobs import Blob, add_blob
from radvit.data.phantom.patient import write_patient
from radvit.data.phantom.pose import Pose, draw_pose
from radvit.data.phantom.truth import true_nodule


@pytest.fixture(scope="module")
def anatomy():
    return draw_anatomy(np.random.default_rng(0), female=False)


def straight(spacing_mm: float = 0.4) -> Pose:
    return Pose(600, 500, spacing_mm, ((1 / spacing_mm, 0), (0, 1 / spacing_mm)), (250.3, 300.7))


def test_boxes_lie_inside_their_images_and_hold_their_outlines(written):
    size = {image["id"]: (image["width"], image["height"]) for image in written.truth["images"]}
    for annotation in written.truth["annotations"]:
        x, y, w, h = annotation["bbox"]
        width, height = size[annotation["image_id"]]
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
        outline = np.reshape(annotation["segmentation"][0], (-1, 2))
        np.testing.assert_allclose(outline.min(0), (x, y), atol=0.011)
        np.testing.assert_allclose(outline.max(0), (x + w, y + h), atol=0.011)


def test_truth_is_coco_about_the_files(written):
    truth = written.truth
    assert [image["id"] for image in truth["images"]] == list(range(len(truth["images"])))
    assert [annotation["id"] for annotation in truth["annotations"]] == list(range(len(truth["annotations"])))
    assert truth["categories"] == [{"id": 0, "name": "nodule"}]
    for image in truth["images"]:
        dataset = written.datasets[image["file_name"]]
        assert dataset.SOPInstanceUID == image["sop_instance_uid"]
        assert (dataset.Rows, dataset.Columns) == (image["height"], image["width"])
        if "PixelSpacing" in dataset:
            assert float(dataset.PixelSpacing[0]) == pytest.approx(image["spacing_mm"], rel=1e-4)


def test_size_agrees_with_the_filled_mask(written):
    spacing = {image["id"]: image["spacing_mm"] for image in written.truth["images"]}
    for annotation in written.truth["annotations"]:
        outline = np.float32(np.reshape(annotation["segmentation"][0], (-1, 2)))
        fine = 8  # the mask is drawn on a finer grid, as a pixel is a good part of a small nodule
        start = outline.min(0)
        mask = np.zeros(tuple((np.ptp(outline, axis=0)[::-1] * fine).astype(int) + 3), np.uint8)
        cv2.fillPoly(mask, [np.int32(np.rint((outline - start) * fine))], 1)
        points = cv2.convexHull(np.argwhere(mask).astype(np.float32))[:, 0]
        longest = np.linalg.norm(points[:, None] - points[None], axis=-1).max() / fine * spacing[annotation["image_id"]]
        assert annotation["size_mm"] == pytest.approx(longest, rel=0.03, abs=0.1)
        assert annotation["area"] == pytest.approx(mask.sum() / fine**2, rel=0.06)
        low, high = written.spec.nodule_mm
        assert 0.94 * low <= annotation["size_mm"] <= 1.06 * high


def test_half_of_the_amplitude_falls_on_the_outline():
    blob = Blob(3.0, -5.0, 6.0, 0.5, stretch=1.3, angle=0.4, lobes=((2, 0.1, 1.0), (3, 0.05, 2.0)), edge_mm=0.3)
    pose = straight(0.1)
    image = np.zeros((600, 500), np.float32)
    add_blob(image, blob, pose)
    assert image.max() == pytest.approx(0.5, rel=1e-3)
    outline = pose.to_px(blob.outline_mm())
    along = cv2.remap(image, np.float32(outline[:, :1] - 0.5), np.float32(outline[:, 1:] - 0.5), cv2.INTER_LINEAR)
    np.testing.assert_allclose(along, 0.25, atol=0.02)
    x1, y1, x2, y2 = true_nodule("a", blob, pose, False).box_px
    rows, columns = np.nonzero(image > 0.25)
    np.testing.assert_allclose((x1, y1), (columns.min(), rows.min()), atol=1.2)
    np.testing.assert_allclose((x2, y2), (columns.max() + 1, rows.max() + 1), atol=1.2)


def test_blob_moves_by_parts_of_a_pixel():
    pose = straight()
    centers = []
    for shift in (0.0, 0.1):  # a quarter of a pixel
        image = np.zeros((600, 500), np.float32)
        add_blob(image, Blob(shift, 0.0, 3.0, 0.4), pose)
        centers.append(float((image.sum(0) * (np.arange(500) + 0.5)).sum() / image.sum()))
    assert centers[0] == pytest.approx(250.3, abs=0.02)
    assert centers[1] - centers[0] == pytest.approx(0.25, abs=0.01)


def test_blob_beyond_the_border_changes_nothing():
    image = np.zeros((600, 500), np.float32)
    add_blob(image, Blob(1000.0, 0.0, 5.0, 0.4), straight())
    assert not image.any()


def test_rendered_nodule_is_inside_its_box(anatomy):
    pose = draw_pose(np.random.default_rng(1), anatomy.extent_mm(), (350.0, 400.0), (800, 700))
    exposure = Exposure(scatter=0.2, compression=0.5, noise=0.0, dose=1.0)
    blob = Blob(70.0, 10.0, 7.0, 0.3, 1.2, 0.3)
    images = [expose(np.random.default_rng(2), anatomy, pose, blobs, (), exposure) for blobs in ((), (blob,))]
    added = images[1] - images[0]
    x1, y1, x2, y2 = true_nodule("a", blob, pose, False).box_px
    box = added[round(y1) : round(y2), round(x1) : round(x2)]
    assert 0.5 * blob.contrast < box.max() <= blob.contrast + 1e-3
    assert box.max() == added.max()
    assert box.sum() > 0.85 * added.sum()


def test_written_pixels_hold_the_nodules_where_the_truth_says(written, tmp_path):
    """The same patient written without nodules: what is gone lies under the outlines, and nothing else is."""
    patient = next(int(annotation["lesion_id"][:5]) for annotation in written.truth["annotations"])
    spec = replace(written.spec, noise=0.0, jpeg2000=0.0, contrast=(0.3, 0.5), nodule_mm=(12.0, 20.0), overlooked=0.0)
    truth = write_patient(tmp_path / "with", replace(spec, positive=1.0), patient)
    none = write_patient(tmp_path / "without", replace(spec, positive=0), patient)
    assert not any(image.nodules for image in none.images)
    image = next(image for image in truth.images if image.nodules)
    with_them, without = (
        pydicom.pixels.pixel_array(pydicom.dcmread(tmp_path / name / image.file_name)).astype(np.float32)
        for name in ("with", "without")
    )
    inside = np.zeros(with_them.shape, np.uint8)
    for nodule in image.nodules:
        outline = np.reshape(nodule.outline_px, (-1, 2)) - 0.5
        cv2.fillPoly(inside, [np.int32(np.rint(outline))], 1)
    far = cv2.dilate(inside, np.ones((15, 15), np.uint8)) == 0
    # Windows follow the picture, so the two are stored on slightly different scales.
    slope, intercept = np.polyfit(without[far], with_them[far], 1)
    changed = np.abs(with_them - (slope * without + intercept)) / with_them.std()
    assert np.median(changed[inside > 0]) > 0.15
    assert np.quantile(changed[far], 0.999) < 0.02


def test_pose_there_and_back(anatomy):
    pose = draw_pose(np.random.default_rng(4), anatomy.extent_mm(), (350.0, 400.0), (800, 700))
    points = np.random.default_rng(0).uniform(-100, 100, (20, 2))
    np.testing.assert_allclose(pose.to_mm(pose.to_px(points)), points, atol=1e-9)
    cells = anatomy.grid.to_cells(points)
    matrix = pose.from_grid(anatomy.grid)
    np.testing.assert_allclose((pose.to_px(points) - 0.5) @ matrix[:, :2].T + matrix[:, 2], cells, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_pose_keeps_the_lungs_in_the_picture(anatomy, seed):
    left, top, right, bottom = anatomy.extent_mm()
    pose = draw_pose(np.random.default_rng(seed), (left, top, right, bottom), (330.0, 330.0), (500, 500))
    corners = pose.to_px(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))
    assert corners.min() > -8  # a turn may push the empty corners of the rectangle out
    assert (corners[:, 0] < 508).all()
    assert (corners[:, 1] < 508).all()
