import json
from collections import Counter
from pathlib import Path

import corpus
import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.pixels import convert_color_space, get_decoder
from pydicom.uid import AllTransferSyntaxes

from radvit.data.loader import Loader
from radvit.dicom.codecs import decode_samples
from radvit.dicom.coding import Coding
from radvit.errors import DicomReadError

FILES = Path(pydicom.data.__file__).parent / "test_files"
CASES = {case.name: case for case in corpus.cases()}
GOLDEN = json.loads(corpus.GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_a_file_shows_what_the_standard_says(name, tmp_path):
    case = CASES[name]
    grey = corpus.shown(case, tmp_path)
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, case.expected, atol=case.tolerance + 1e-6)
    if not case.tolerance:
        assert corpus.digest(grey) == GOLDEN[name]


def test_every_lossless_case_has_its_hash_and_no_other():
    assert set(GOLDEN) == {name for name, case in CASES.items() if not case.tolerance}


def test_every_transfer_syntax_that_pydicom_decodes_has_a_case():
    covered = {case.dataset.file_meta.TransferSyntaxUID for case in CASES.values()}
    assert covered == {syntax for syntax in AllTransferSyntaxes if decodable(syntax)}


def decodable(syntax):
    try:
        return bool(get_decoder(syntax))
    except NotImplementedError:
        return False


# pydicom's own files: compressed, and what they were compressed from.
TWINS = [
    ("MR_small.dcm", "MR_small_RLE.dcm", 0),
    ("MR_small.dcm", "MR_small_jp2klossless.dcm", 0),
    ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm", 0),
    ("MR_small.dcm", "MR_small_bigendian.dcm", 0),
    ("MR_small.dcm", "MR_small_expb.dcm", 0),
    ("MR_small.dcm", "MR_small_implicit.dcm", 0),
    ("MR_small.dcm", "MR_small_padded.dcm", 0),
    ("JPGExtended.dcm", "JPEG-lossy.dcm", 0),
    ("liver_1frame.dcm", "liver_expb_1frame.dcm", 0),
    ("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", 0),
    ("rtdose_1frame.dcm", "rtdose_rle_1frame.dcm", 0),
    ("rtdose.dcm", "rtdose_expb.dcm", 0),
    ("rtdose.dcm", "rtdose_rle.dcm", 0),
    ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", 0),
    ("SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", 0),
    ("SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm", 4),
    ("SC_rgb_rle.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", 4),
    ("SC_rgb_rle.dcm", "SC_rgb_jls_lossy_line.dcm", 4),
    ("SC_rgb_rle.dcm", "SC_rgb_jls_lossy_sample.dcm", 4),
    ("SC_rgb_jpeg_dcmd.dcm", "SC_rgb_jpeg.dcm", 4),
]


@pytest.mark.parametrize(("plain", "other", "tolerance"), TWINS)
def test_pydicoms_compressed_files_decode_as_their_twins(plain, other, tolerance):
    values = []
    for name in (plain, other):
        dataset = dcmread(FILES / name)
        samples, model = decode_samples(dataset)
        if model.startswith("YBR"):
            samples = convert_color_space(samples, "YBR_FULL", "RGB", per_frame=True)
        values.append(Coding.of(dataset).values(samples))
    np.testing.assert_allclose(values[0], values[1], atol=tolerance)


def outcome(path, loader):
    """`images`, or why there are none; any error of another class ends the test."""
    try:
        images = loader.load(path)
    except DicomReadError as error:
        return error.reason
    for image in images:
        assert image.pixels.dtype == np.float32
        assert 0 <= image.pixels.min() <= image.pixels.max() <= 1
        assert image.header.window
    return "images"


def test_every_file_of_pydicoms_is_read_or_refused_with_a_reason(pseudonymizer):
    loader = Loader(pseudonymizer)
    found = Counter(outcome(path, loader) for path in FILES.rglob("*") if path.is_file())
    assert dict(found) == {
        "images": 52,
        "not-grayscale": 26,
        "no-pixels": 53,
        "not-an-image": 22,
        "not-dicom": 13,
        "bad-header": 7,
        "truncated": 2,
        "decode-failed": 1,  # JPEG2000-embedded-sequence-delimiter.dcm, whose tile size was overwritten
    }
