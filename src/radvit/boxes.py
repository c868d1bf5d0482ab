"""Algebra on xyxy boxes; (0, 4) is legal everywhere."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np

from radvit.records import Boxes, FloatArray


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of every pair. a: (N, 4), b: (M, 4), xyxy, pixels. Returns (N, M) float32."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)  # (N, M)
    union = (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1)[None] - shared
    return np.asarray(shared / np.where(union > 0, union, 1), np.float32)


def centers(xyxy: FloatArray) -> FloatArray:
    """Centres of boxes. xyxy: (N, 4), pixels. Returns (N, 2) float32, (x, y)."""
    return np.asarray((xyxy[:, :2] + xyxy[:, 2:]) / 2, dtype=np.float32)


def nms(boxes: Boxes, threshold: float, most: int) -> Boxes:
    """Greedy non-maximum suppression within each label.

    threshold: IoU above which the lower-scored box goes. Returns at most `most` boxes, best score first.
    """
    xyxy = boxes.xyxy.astype(np.float64)
    sides = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1)
    found = cv2.dnn.NMSBoxesBatched(  # the stubs ask for lists
        cast(Any, sides), cast(Any, boxes.scores), cast(Any, boxes.labels.astype(np.int32)), -1.0, threshold
    )
    keep = np.asarray(found, np.int64)[:most]
    return Boxes(boxes.xyxy[keep], boxes.scores[keep], boxes.labels[keep])


def soft_nms(boxes: Boxes, sigma: float, least: float, most: int) -> Boxes:
    """Soft non-maximum suppression within each label: a box's score is multiplied by exp(-IoU^2 / sigma) for each
    better box. Boxes that fall below `least` go. Returns at most `most` boxes, best score first.

    Source: Bodla et al. 2017, "Soft-NMS", Gaussian form.
    """
    overlap = iou(boxes.xyxy, boxes.xyxy) * (boxes.labels[:, None] == boxes.labels[None])
    scores, left = boxes.scores.astype(np.float64), np.ones(len(boxes), bool)
    order: list[int] = []
    while left.any() and len(order) < most:
        best = int(np.where(left, scores, -np.inf).argmax())
        if scores[best] < least:
            break
        order.append(best)
        left[best] = False
        scores[left] *= np.exp(-(overlap[best, left] ** 2) / sigma)
    return Boxes(boxes.xyxy[order], scores[order].astype(np.float32), boxes.labels[order])


def clip(xyxy: FloatArray, rows: int, columns: int) -> FloatArray:
    """Boxes cut off at the image's border. xyxy: (N, 4), pixels. Returns (N, 4) float32."""
    return np.clip(xyxy, 0, np.array([columns, rows, columns, rows], np.float32)).astype(np.float32)


def hull_after(xyxy: FloatArray, matrix: FloatArray) -> FloatArray:
    """Smallest upright boxes around boxes moved by an affine map.

    xyxy: (N, 4), pixels; matrix: (2, 3), maps (x, y, 1) to (x', y'). Returns (N, 4) float32.
    """
    x1, y1, x2, y2 = xyxy.T
    corners = np.stack([[x1, y1], [x2, y1], [x1, y2], [x2, y2]])  # (4 corners, 2, N)
    moved = np.einsum("ij,cjn->cin", matrix[:, :2], corners) + matrix[:, 2][None, :, None]
    return np.concatenate([moved.min(0), moved.max(0)]).T.astype(np.float32)
