from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from radvit.bench.deid.answer import AnswerKey, Category, Check, Row
from radvit.bench.deid.score import holds, score
from radvit.bench.deid.tally import Tally

OPTIONS = ("clean-descriptors", "modified-dates", "patient-characteristics", "safe-private")
MUST_GO = {Check.TEXT_REMOVED, Check.DATE_SHIFTED, Check.UID_CHANGED, Check.PIXELS_HIDDEN}
MUST_STAY = {Check.TAG_RETAINED, Check.TEXT_NOTNULL, Check.TEXT_RETAINED, Check.PIXELS_RETAINED}


def scored(cohort, outputs):
    return score(cohort.folder, outputs, cohort.key, {file: Path(file) for file in cohort.key.files}, OPTIONS)


def changed(cohort, tmp_path, change):
    """Copies of all files, each changed in some way."""
    for file in cohort.key.files:
        dataset = dcmread(cohort.folder / file)
        change(dataset)
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(tmp_path / file)
    return tmp_path


def test_copies_keep_all_that_must_stay_and_lose_nothing_that_must_go(cohort):
    scores = scored(cohort, cohort.folder)
    for check in Check:
        tally = scores.of(check)
        assert tally.passed == (0 if check in MUST_GO else tally.total), check
    assert scores.missing == ()
    assert {file for file, _ in scores.leaks} == set(cohort.key.files)
    assert scores.of(None, Category.DIRECT).percent < 25


def test_a_tool_that_removes_everything_keeps_nothing(cohort, tmp_path):
    def empty(dataset):
        for tag in list(dataset.keys()):
            del dataset[tag]
        syntax = dataset.file_meta.TransferSyntaxUID
        dataset.file_meta = type(dataset.file_meta)()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.SOPClassUID, dataset.preamble = "1.2.840.10008.5.1.4.1.1.2", None

    scores = scored(cohort, changed(cohort, tmp_path, empty))
    assert all(scores.of(check).passed == scores.of(check).total for check in MUST_GO)
    assert all(scores.of(check).passed == 0 for check in MUST_STAY - {Check.TEXT_NOTNULL, Check.TEXT_RETAINED})
    kept = len(cohort.key.files)  # the SOP class, where it happens to be that
    assert max(scores.of(check).passed for check in (Check.TEXT_NOTNULL, Check.TEXT_RETAINED)) <= kept
    assert scores.leaks == ()


def test_missing_files_hide_but_keep_nothing(cohort, tmp_path):
    scores = scored(cohort, tmp_path)
    assert scores.missing == cohort.key.files
    assert all(scores.of(check).percent == (100 if check in MUST_GO else 0) for check in Check)


def test_a_file_that_is_no_dicom_file_is_missing(cohort, tmp_path):
    file = cohort.key.files[0]
    (tmp_path / "bad.dcm").write_bytes(b"")
    scores = score(cohort.folder, tmp_path, cohort.key, {file: Path("bad.dcm")}, OPTIONS)
    assert file in scores.missing


def test_one_pseudonym_for_all_is_not_consistent(cohort, tmp_path):
    def same(dataset):
        dataset.PatientID, dataset.StudyInstanceUID = "ANONYMOUS", "2.25.1"

    scores = scored(cohort, changed(cohort, tmp_path, same))
    assert scores.of(Check.PATID_CONSISTENT).passed == 0
    studies = [one for one in scores.failures if one.row.check is Check.UID_CONSISTENT and one.row.path == "0020000D"]
    assert len(studies) == len(cohort.key.files)


def test_a_black_picture_hides_and_keeps_nothing(cohort, tmp_path):
    def black(dataset):
        dataset.decompress(generate_instance_uid=False) if dataset.file_meta.TransferSyntaxUID.is_compressed else None
        dataset.PixelData = bytes(len(dataset.PixelData))

    scores = scored(cohort, changed(cohort, tmp_path, black))
    assert scores.of(Check.PIXELS_HIDDEN).percent == 100
    assert scores.of(Check.PIXELS_RETAINED).passed == 0


CHECKS = [
    (Check.TAG_RETAINED, (), "", None),
    (Check.TEXT_NOTNULL, (), "x", ""),
    (Check.TEXT_NOTNULL, (), "x", None),
    (Check.TEXT_REMOVED, ("Roe", "Jane"), "CT chest", "CT chest JANE"),
    (Check.TEXT_REMOVED, ("Roe", "Jane"), None, "xroex"),
    (Check.TEXT_REMOVED, ("Li",), "CT liver", "CT Li"),
    (Check.TEXT_REMOVED, (), "", "anything"),
    (Check.TEXT_RETAINED, ("CT", "chest"), "Chest, CT", "CT"),
    (Check.TEXT_RETAINED, ("CT", "chest"), "CT of the chest", None),
    (Check.TEXT_RETAINED, ("1.250",), "1.25", "1.2"),
    (Check.DATE_SHIFTED, ("20200102",), "20191230", "20200102120000"),
    (Check.DATE_SHIFTED, ("20200102",), "", "20200102"),
    (Check.UID_CHANGED, ("1.2.3.4",), "2.25.1", "see 1.2.3.4"),
]


@pytest.mark.parametrize(("check", "expected", "good", "bad"), CHECKS)
def test_each_check_of_a_text_can_pass_and_fail(write, tmp_path, check, expected, good, bad):
    for name, value, passes in (("good", good, 1), ("bad", bad, 0)):
        write(tmp_path / name / "a.dcm", **({} if value is None else {"ImageComments": value}))
        key = AnswerKey((Row("a.dcm", "00204000", check, Category.DIRECT, "", expected),), {"a.dcm": ()})
        scores = score(tmp_path, tmp_path / name, key, {"a.dcm": Path("a.dcm")}, ())
        assert scores.of(check, Category.DIRECT) == Tally(passes, 1)
        assert [one.found for one in scores.failures] == [] if passes else [value]


def picture(write, path, pixels):
    return write(
        path,
        Rows=pixels.shape[0],
        Columns=pixels.shape[1],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        PixelData=pixels.astype("<u2").tobytes(),
    )


def hidden(write, tmp_path, before, after):
    """Whether a line of two letters, each 8 pixels wide, counts as hidden; and whether what lies below is as it was."""
    picture(write, tmp_path / "in" / "a.dcm", before)
    picture(write, tmp_path / "out" / "a.dcm", after)
    glyphs = ((0, 0, 8, 8), (8, 0, 16, 8))
    rows = (
        Row("a.dcm", "pixels", Check.PIXELS_HIDDEN, Category.DIRECT, "AB", box=(0, 0, 16, 8), glyphs=glyphs),
        Row("a.dcm", "pixels", Check.PIXELS_RETAINED, Category.NONE, "", box=(0, 8, 16, 16)),
    )
    scores = score(tmp_path / "in", tmp_path / "out", AnswerKey(rows, {"a.dcm": ()}), {"a.dcm": Path("a.dcm")}, ())
    return scores.of(Check.PIXELS_HIDDEN).passed == 1, scores.of(Check.PIXELS_RETAINED).passed == 1


@pytest.fixture
def lettered():
    rng = np.random.default_rng(0)
    pixels = rng.integers(800, 900, (16, 16))
    pixels[1:7, (2, 5, 10, 13)] = 4000
    return pixels


def test_letters_are_hidden_once_their_pixels_no_longer_follow_the_original(write, tmp_path, lettered):
    blank = lettered.copy()
    blank[:8] = 850
    assert hidden(write, tmp_path, lettered, blank) == (True, True)
    noise = lettered.copy()
    noise[:8] = np.random.default_rng(1).integers(800, 900, (8, 16))
    assert hidden(write, tmp_path, lettered, noise) == (True, True)


def test_one_letter_that_is_left_fails_and_so_does_a_faint_or_inverted_one(write, tmp_path, lettered):
    one_left, faint, inverted = (lettered.copy() for _ in range(3))
    one_left[:8, :8] = 850
    faint[:8] = 850 + (lettered[:8] - 850) // 20
    inverted[:8] = 4095 - lettered[:8]
    for bad in (lettered, one_left, faint, inverted):
        assert hidden(write, tmp_path, lettered, bad)[0] is False


def test_one_pixel_that_differs_fails_what_must_stay(write, tmp_path, lettered):
    after = lettered.copy()
    after[15, 15] += 1
    assert hidden(write, tmp_path, lettered, after)[1] is False


def test_rows_of_options_that_were_not_asked_for_do_not_count(write, tmp_path):
    write(tmp_path / "a.dcm")
    row = Row("a.dcm", "00204000", Check.TEXT_RETAINED, Category.NONE, "", ("CT",), option="clean-descriptors")
    key = AnswerKey((row,), {"a.dcm": ()})
    for options, total in (((), 0), (("modified-dates",), 0), (("clean-descriptors",), 1)):
        assert score(tmp_path, tmp_path, key, {"a.dcm": Path("a.dcm")}, options).of().total == total


def test_a_secret_is_found_wherever_it_stands_and_however_it_is_encoded(write, tmp_path):
    write(tmp_path / "a.dcm", SpecificCharacterSet="ISO_IR 144", ManufacturerModelName="ВОЗНЕСЕНЦЕВ")
    write(tmp_path / "b.dcm", SpecificCharacterSet="ISO_IR 192", ManufacturerModelName="günderröther")
    secrets = {"a.dcm": ("Вознесенцев", "Eva Roe"), "b.dcm": ("Günderröther",)}
    scores = score(tmp_path, tmp_path, AnswerKey((), secrets), {file: Path(file) for file in secrets}, ())
    assert scores.leaks == (("a.dcm", "Вознесенцев"), ("b.dcm", "Günderröther"))


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("Thorax PA/LAT", "pa", True),
        ("spare part", "pa", False),
        ("0.750\\0.75", "0.75", True),
        ("compression by 30 %.", "30", True),
        ("300", "30", False),
    ],
)
def test_a_short_word_must_stand_alone_and_numbers_count_by_value(text, word, found):
    assert holds(text, word) is found
