from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from radvit.data.loader import Loader
from radvit.data.samples import Cohort, Sample
from radvit.data.sources.base import Source
from radvit.data.sources.dicom_folder import DicomFolder
from radvit.data.sources.siim import SIDE, read_siim
from radvit.data.sources.truth import TruthFiles
from radvit.errors import DataError

HEADER = "ImageId, EncodedPixels"  # with its space, as published


def encoded(mask: NDArray[np.bool_]) -> str:
    """The official encoding: pairs of the distance from the last run's end and the run's length, down the columns."""
    words, last, inside = [], 0, False
    column_major = [*mask.T.reshape(-1).tolist(), False]
    for place, pixel in enumerate(column_major):
        if pixel and not inside:
            words.append(place - last)
            last = place
        if inside and not pixel:
            words.append(place - last)
            last = place
        inside = pixel
    return " ".join(str(word) for word in words)


def blob(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[rows, columns] = True
    return mask


def test_masks_boxes_and_negatives(
    tmp_path: Path,
    loader: Loader,
    write_radiograph: Callable[..., str],
    write_lines: Callable[..., Path],
    cohort_of: Callable[[Source], Cohort],
    boxes_of: Callable[[Sample], object],
) -> None:
    left, right = blob(slice(100, 300), slice(40, 90)), blob(slice(10, 20), slice(SIDE - 5, SIDE))
    right[15, SIDE - 5] = False
    uids = [write_radiograph(tmp_path / "in" / str(n) / "x" / f"{n}.dcm", n, shape=(SIDE, SIDE)) for n in range(2)]
    rows = [f"{uids[0]}, {encoded(left)}", f"{uids[0]}, {encoded(right)}", f"{uids[1]}, -1"]
    truth = TruthFiles(write_lines(tmp_path / "train-rle.csv", [HEADER, *rows]))
    source = DicomFolder(tmp_path / "in", loader, truth, ("pneumothorax",), read_siim)
    positive, negative = source.read(0)[0], source.read(1)[0]
    assert positive.mask is not None
    assert positive.mask.dtype == np.uint8
    np.testing.assert_array_equal(positive.mask, (left | right).astype(np.uint8))
    assert negative.mask is not None
    assert not negative.mask.any()
    of_positive, of_negative = cohort_of(source).samples
    assert of_positive.targets == (1.0,)
    assert boxes_of(of_positive) == [(0, (40.0, 100.0, 90.0, 300.0)), (0, (1019.0, 10.0, 1024.0, 20.0))]
    assert (of_negative.targets, boxes_of(of_negative)) == ((0.0,), [])


def test_a_picture_named_by_its_uid_is_found_and_must_have_the_size(
    tmp_path: Path, loader: Loader, write_picture: Callable[..., Path], write_lines: Callable[..., Path]
) -> None:
    uid = "1.2.276.0.7230010.3.1.4.8323329"
    write_picture(tmp_path / "in" / f"{uid}.png", shape=(512, 512))
    truth = TruthFiles(write_lines(tmp_path / "t.csv", [HEADER, f"{uid}, -1"]))
    source = DicomFolder(tmp_path / "in", loader, truth, ("pneumothorax",), read_siim)
    with pytest.raises(DataError, match=r"image of \(512, 512\) pixels; the truth says \(1024, 1024\)"):
        source.read(0)


@pytest.mark.parametrize("runs", ["5", "1 2 3", "0 1048577", "-2 4", "a b", ""])
def test_broken_runs_are_named_by_their_line(
    tmp_path: Path, loader: Loader, write_lines: Callable[..., Path], runs: str
) -> None:
    truth = TruthFiles(write_lines(tmp_path / "t.csv", [HEADER, f"1.2.3.4.5, {runs}"]))
    with pytest.raises(DataError, match=r"t\.csv: line 2: run lengths that .*; expected -1, or pairs"):
        read_siim(truth, ("pneumothorax",), loader.pseudonymizer)
