import json

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from radvit.bench.dicom import WHOLE, Measured, PoolRow, Row, measure
from radvit.bench.paths import STAGES, Clock, make_loader, plain_path, radvit_path, skimage_resize, to_tensor
from radvit.data.preprocess import Preprocess
from radvit.errors import DataError

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096, "BitsStored": 12, "HighBit": 11}


def ramp(rows=64, columns=64):
    y, x = np.mgrid[:rows, :columns]
    return (4095 * (x + y) / (rows + columns - 2)).astype(np.uint16)


def test_the_staged_path_gives_what_training_and_inference_get(grey_file):
    path, preprocess, clock = grey_file(ramp(70, 90), **WINDOW), Preprocess(32), Clock()
    tensor = radvit_path(path, make_loader(), preprocess, clock)
    np.testing.assert_array_equal(tensor, to_tensor(path, make_loader(), preprocess))
    assert tuple(clock.seconds) == STAGES


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_both_sides_show_the_same_picture(grey_file, photometric):
    path, preprocess = grey_file(ramp(), PhotometricInterpretation=photometric, **WINDOW), Preprocess(16)
    ours = radvit_path(path, make_loader(), preprocess, Clock())
    plain = plain_path(path, skimage_resize(), preprocess, Clock())
    assert ours.shape == plain.shape == (16, 16)
    assert np.abs(ours - plain)[2:-2, 2:-2].max() < 0.1  # of a range of 4: the filters differ


def test_rows_are_complete_and_stages_sum_up(grey_file):
    measured = measure(grey_file(ramp(), **WINDOW), Preprocess(16), 1, workers=1)
    tensor, *file = measured.rows
    assert (tensor.part, tensor.what) == ("tensor", "64 x 64 to 16")
    assert [row.stage for row in file] == [*STAGES, WHOLE]
    assert {row.what for row in file} == {"Explicit VR Little Endian"}
    for side in ("radvit_ms", "plain_ms"):  # of one repeat: the whole is the sum, exactly
        *parts, whole = (getattr(row, side) for row in file)
        assert sum(part or 0 for part in parts) == pytest.approx(whole)
    assert [row.stage for row in file if row.plain_ms is None] == ["de-identify", "burned-in text"]
    assert measured.pool == []
    assert {"cores", "cpu", "python", "numpy", "pydicom", "scikit-image"} <= set(measured.machine)


def test_a_compressed_file_is_measured_beside_an_uncompressed_copy(grey_file):
    path = grey_file(ramp(), **WINDOW)
    dataset = dcmread(path)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path)
    measured = measure(path, Preprocess(16), 1, workers=1)
    assert [row.what for row in measured.rows if row.stage == WHOLE] == ["Explicit VR Little Endian", "RLE Lossless"]


def test_the_pool_is_measured_with_one_worker_and_with_more(grey_file):
    one, two = measure(grey_file(ramp(), **WINDOW), Preprocess(16), 1, workers=2).pool
    assert (one.workers, one.ratio, two.workers) == (1, 1.0, 2)
    assert min(one.files_per_s, two.files_per_s, two.ratio) > 0


def test_a_folder_without_a_readable_image_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("nothing")
    with pytest.raises(DataError, match="expected DICOM files"):
        measure(tmp_path, Preprocess(16), 1, workers=1)


def test_the_written_form():
    rows = [Row("file", "RLE Lossless", "decode", 2.0, 5.0), Row("file", "RLE Lossless", "de-identify", 1.0, None)]
    written = json.loads(json.dumps(Measured(rows, [PoolRow(2, 30.0, 1.8)], {"cores": 2}).to_dict()))
    assert [row.get("ratio") for row in written["rows"]] == [2.5, None, 1.8]
    assert written["rows"][2]["part"] == "pool"
    assert written["machine"] == {"cores": 2}
