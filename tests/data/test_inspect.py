from pathlib import Path

import numpy as np
import pytest

from radvit.data.inspect import summaries
from radvit.errors import DicomReadError
from radvit.records import SpacingPlane


def test_a_row_for_every_file(grey_file, tmp_path):
    grey_file(np.zeros((2, 3, 4), np.uint16), "b/x.dcm", BitsStored=12, HighBit=11, ViewPosition="PA",
              BurnedInAnnotation="YES", ImagerPixelSpacing=[0.1, 0.1], PatientName="ROE^JANE")  # fmt: skip
    grey_file(255 * np.eye(3, dtype=np.uint8), "c.dcm", PhotometricInterpretation="RGB", SamplesPerPixel=3,
              PlanarConfiguration=0, Rows=1, Columns=3)  # fmt: skip
    (tmp_path / "a.txt").write_text("Jane Roe")
    text, image, colour = summaries(tmp_path)
    assert (text.path, text.refused) == (Path("a.txt"), "not-dicom")
    assert (colour.path, colour.refused) == (Path("c.dcm"), "not-grayscale")
    assert (image.path, image.refused, image.modality) == (Path("b/x.dcm"), "", "CR")
    assert (image.size_px, image.frames) == ((3, 4), 2)
    assert (image.bits, image.photometric, image.burned_in) == ("12/16", "MONOCHROME2", "YES")
    assert (image.spacing_mm, image.plane) == ((0.1, 0.1), SpacingPlane.DETECTOR)
    assert image.syntax == "Explicit VR Little Endian"
    assert "ROE" not in repr(image)


def test_one_file_and_nothing(grey_file, tmp_path):
    path = grey_file(np.zeros((3, 4), np.uint8))
    (row,) = summaries(path)
    assert row.path == Path("image.dcm")
    with pytest.raises(DicomReadError, match="no file or folder"):
        list(summaries(tmp_path / "nothing"))
