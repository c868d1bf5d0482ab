import json
import os
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Picture

from radvit.data.inspect import PREVIEW_PX, Identity, Inspector, Summary, escaped, refusals, remarks, studies, summaries
from radvit.data.loader import Loader
from radvit.dicom.limits import Limits
from radvit.dicom.select import parse_rules
from radvit.dicom.series import Slice
from radvit.errors import DicomReadError
from radvit.pool import Guard
from radvit.records import SpacingPlane

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_a_row_for_every_file(grey_file, tmp_path):
    grey_file(np.zeros((2, 3, 4), np.uint16), "b/x.dcm", BitsStored=12, HighBit=11, ViewPosition="PA",
              BurnedInAnnotation="NO", ImagerPixelSpacing=[0.1, 0.1], PatientName="ROE^JANE")  # fmt: skip
    grey_file(255 * np.eye(3, dtype=np.uint8), "c.dcm", PhotometricInterpretation="RGB", SamplesPerPixel=3,
              PlanarConfiguration=0, Rows=1, Columns=3)  # fmt: skip
    (tmp_path / "a.txt").write_text("Jane Roe")
    text, image, colour = summaries(tmp_path)
    assert (text.path, text.refused) == (Path("a.txt"), "not-dicom")
    assert (colour.path, colour.refused) == (Path("c.dcm"), "not-grayscale")
    assert (image.path, image.refused, image.modality) == (Path("b/x.dcm"), "", "CR")
    assert (image.size_px, image.frames) == ((3, 4), 2)
    assert (image.bits, image.photometric, image.burned_in) == ("12/16", "MONOCHROME2", "NO")
    assert (image.spacing_mm, image.plane) == ((0.1, 0.1), SpacingPlane.DETECTOR)
    assert image.syntax == "Explicit VR Little Endian"
    assert "percentiles" in image.window
    assert "ROE" not in str(asdict(image))
    assert "ID-7" not in str(asdict(image))


def test_one_file_and_nothing(grey_file, tmp_path):
    path = grey_file(np.zeros((3, 4), np.uint8))
    (row,) = summaries(path)
    assert row.path == Path("image.dcm")
    (tmp_path / "empty").mkdir()
    assert list(summaries(tmp_path / "empty", workers=2)) == []
    with pytest.raises(DicomReadError, match="no file or folder"):
        list(summaries(tmp_path / "nothing"))


def test_pixels_are_really_loaded_unless_it_has_to_be_quick(grey_file):
    path = grey_file(np.zeros((4, 4), np.uint16), RescaleSlope="0")
    assert [one.refused for one in summaries(path)] == ["bad-pixels"]
    (quick,) = summaries(path, quick=True)
    assert (quick.refused, quick.size_px, quick.window) == ("", (4, 4), "")


def test_what_de_identification_refuses(grey_file):
    path = grey_file(np.zeros((4, 4), np.uint16), BurnedInAnnotation="YES")  # and no text to be found
    assert [one.refused for one in summaries(path)] == ["burned-in"]


def test_quick_and_full_agree_on_what_the_header_tells(grey_file):
    path = grey_file(np.arange(48, dtype=np.int16).reshape(3, 4, 4), InstanceNumber=3, PixelSpacing=[0.2, 0.3])
    (full,), (quick,) = summaries(path), summaries(path, quick=True)
    for name in ("modality", "size_px", "frames", "bits", "syntax", "spacing_mm", "plane", "slices", "photometric"):
        assert getattr(full, name) == getattr(quick, name), name
    assert [slice_.number for slice_ in full.slices] == [(3, 0), (3, 1), (3, 2)]


def test_workers_give_the_same_and_a_guard_costs_one_file(grey_file, tmp_path):
    for number in range(3):
        grey_file(np.full((4, 4), number, np.uint16), f"{number}.dcm", SOPInstanceUID=f"1.2.{number}")
    alone = [(one.path, one.size_px, one.window) for one in summaries(tmp_path)]
    assert [(one.path, one.size_px, one.window) for one in summaries(tmp_path, 2)] == alone
    grey_file(np.zeros((9000, 9000), np.uint8), "big.dcm")
    found = {one.path.name: one.refused for one in summaries(tmp_path, 1, Guard(memory_mb=64))}
    assert found == {"0.dcm": "", "1.dcm": "", "2.dcm": "", "big.dcm": "memory"}


def test_limits_and_rules_refuse(grey_file):
    path = grey_file(np.zeros((4, 5), np.uint16))
    assert [one.refused for one in summaries(path, limits=Limits(side=4))] == ["too-large"]
    for quick in (False, True):
        (one,) = summaries(path, selection=parse_rules({"include": [{"Modality": "MG"}]}), quick=quick)
        assert one.refused == "not-selected"


def test_a_picture_that_is_not_dicom(tmp_path):
    Picture.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "a.dcm", "PNG")
    for quick in (False, True):
        (one,) = summaries(tmp_path, quick=quick)
        assert (one.syntax, one.modality, one.size_px, one.refused) == ("PNG", "OT", (3, 4), "")


def test_identity_only_if_asked_for_and_without_control_characters(grey_file):
    path = grey_file(np.zeros((2, 2), np.uint8), PatientName="Doe^\x1b[31mJane\x07", StudyDate="20240131",
                     StudyDescription="Thorax", SeriesDescription="x" * 500)  # fmt: skip
    (plain,) = summaries(path)
    assert plain.identity is None
    (one,) = summaries(path, identified=True)
    assert one.identity == Identity("ID-7", "Doe^\\x1b[31mJane\\x07", "20240131", "Thorax", "x" * 64)
    assert "Doe" not in repr(one)  # which is what a log would show


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Müller 李", "Müller 李"),
        ("a\nb\t\x1b", "a\\nb\\t\\x1b"),
        (os.fsdecode(b"\xff"), "\\udcff"),
        ("\u202e", "\\u202e"),
    ],
)
def test_escaping(text, shown):
    assert escaped(text) == shown


def test_previews_are_pngs_of_the_grey_in_true_proportions(grey_file):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (100, 1))
    path = grey_file(ramp, WindowCenter="127.5", WindowWidth="255", VOILUTFunction="LINEAR_EXACT", PixelSpacing=[2, 1])
    assert next(iter(summaries(path))).preview == b""
    (one,) = summaries(path, previews=True)
    shown = cv2.imdecode(np.frombuffer(one.preview, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (200, 256)
    assert np.abs(shown.astype(int) - np.arange(256)).max() <= 1
    (large,) = summaries(grey_file(np.zeros((600, 1200), np.uint16), "large.dcm"), previews=True)
    assert cv2.imdecode(np.frombuffer(large.preview, np.uint8), 0).shape == (256, PREVIEW_PX)


def test_a_fault_of_our_own_does_not_hide_the_other_files(grey_file, pseudonymizer, monkeypatch):
    def fail(*_):
        raise KeyError("Doe^Jane")

    path = grey_file(np.zeros((2, 2), np.uint8))
    monkeypatch.setattr("radvit.data.inspect.scrub", fail)
    found = Inspector(Loader(pseudonymizer))(path)
    assert found.refused == "KeyError"
    assert "Doe" not in found.message


def image(number, patient="p", study="s", series="x", **fields):
    return Summary(Path(f"{number}.dcm"), "", "", patient, study, series, "CT", frames=1, **fields)


def test_files_are_grouped_in_the_order_in_which_they_come_up():
    found = [image(1, study="b"), image(2, "q", "c"), Summary(Path("t"), "not-dicom"), image(3, study="b", series="y"),
             image(4, study="a"), image(5, study="b")]  # fmt: skip
    views = studies(found)
    assert [(view.patient, view.images, [len(series.files) for series in view.series]) for view in views] == [
        (1, 3, [2, 1]), (2, 1, [1]), (1, 1, [1])
    ]  # fmt: skip
    assert [number for number, _ in views[0].series[0].files] == [1, 6]
    assert studies([]) == ()


def at(*heights, axes=AXIAL, **fields):
    places = [Slice((0.0, 0.0, float(z)), axes, (i, 0)) for i, z in enumerate(heights)]
    return studies([image(i, slices=(place,), **fields) for i, place in enumerate(places)])[0].series[0]


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ((0,), ()),
        ((0, 2.5, 5), ("every 2.5 mm",)),
        ((7, 0, 1, 2, 3), ("every 1 mm", "3 missing after slice 4")),
        ((0, 1, 2, 4, 5, 8), ("every 1 mm", "3 missing in 2 places")),
        ((0, 1, 1, 2), ("every 1 mm", "1 in a place already taken")),
        ((0, 1, 0, 1, 0, 1), ("every 1 mm", "3 in each place")),
    ],
)
def test_remarks_tell_how_slices_lie(heights, words):
    assert remarks(at(*heights)) == words


def test_remarks_on_orientations_places_and_burned_in_text():
    mixed = [image(1, slices=(Slice((0.0, 0.0, 0.0), AXIAL),)), image(2, slices=(Slice(),), blanked=2),
             image(3, slices=(Slice((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)),), blanked=1)]  # fmt: skip
    expected = ("2 orientations", "1 without a place", "burned-in text overwritten in 2 files")
    assert remarks(studies(mixed)[0].series[0]) == expected
    assert remarks(studies(mixed[1:2])[0].series[0]) == ("burned-in text overwritten",)


def test_refusals_are_counted_the_most_frequent_first():
    found = [Summary(Path(name), reason) for name, reason in [("a", "x"), ("b", "y"), ("c", "y"), ("d", "")]]
    assert refusals(found) == [("y", 2, found[1]), ("x", 1, found[0])]
    assert refusals([]) == []


def test_records_are_plain_values(grey_file):
    from radvit.cli.inspect import _record

    (one,) = summaries(grey_file(np.zeros((2, 2), np.uint8)), identified=True)
    record = json.loads(json.dumps(_record(1, one)))
    assert (record["no"], record["path"], record["size_px"]) == (1, "image.dcm", [2, 2])
    assert record["identity"]["patient_id"] == "ID-7"
