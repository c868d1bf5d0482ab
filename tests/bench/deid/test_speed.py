import pytest
from pydicom import dcmread

from radvit.bench.deid.speed import COLUMNS, ROWS, rates


def test_all_ways_are_measured_on_large_uncompressed_radiographs(tmp_path):
    found = rates(tmp_path, 1, 0)
    assert [rate.what for rate in found][0::2] == ["radvit", "pydicom: dcmread, save_as"]
    assert all(rate.files_per_s > 0 for rate in found)
    assert found[-1].ratio == pytest.approx(1)
    assert found[0].ratio == pytest.approx(found[0].files_per_s / found[-1].files_per_s)
    written = [path for part in ("plain", "searched") for path in (tmp_path / part).rglob("*.dcm")]
    assert len(written) == 12  # of six patients, by either way
    header = dcmread(written[0], stop_before_pixels=True)
    assert (header.Rows, header.Columns, header.BitsAllocated) == (ROWS, COLUMNS, 16)
    assert str(header.PatientID).startswith("P-")
