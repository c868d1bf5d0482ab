import pytest
from pydicom import Dataset

from radvit.deid.identifiers import gather
from radvit.deid.options import DEFAULT
from radvit.deid.rescan import rescan


def identifiers_of(name="Vantrellis^Quirin", number="4711008150", **others):
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = name, number, "19500312"
    dataset.StudyInstanceUID = "1.2.840.99.7"
    for keyword, value in others.items():
        setattr(dataset, keyword, value)
    return gather(dataset, DEFAULT)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "leak", ["VANTRELLIS", "quirin", "vantrellis, q", "0004711008150", "47110 08150", "12.03.1950", "1950-03-12",
             "19500312", "March 12, 1950", "1.2.840.99.7"],
)  # fmt: skip
def test_it_finds_what_is_left_in_any_encoding(encoding, leak):
    raw = b"\0\x01" * 9 + f"::{leak} ".encode(encoding) + b"\xff\0"
    for shifted in (raw, b"\0" + raw):
        assert rescan(shifted, Dataset(), identifiers_of(), ()).hits >= 1


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("Mühlenbröker^J", "iso8859-1"), ("Вознесенцев^М", "iso8859-5"), ("欧阳^靖涵", "gb18030"),
     ("山田^太郎", "shift_jis"), ("김^철수", "euc_kr"), ("Παπαδόπουλος^Ε", "iso8859-7"), ("欧阳^靖", "utf-8")],
)  # fmt: skip
def test_it_finds_names_in_the_character_sets_of_dicom(name, encoding):
    raw = b"\x08\x00LO\x0c\x00" + name.replace("^", "").encode(encoding) + b" \0"
    assert rescan(raw, Dataset(), identifiers_of(name), ()).hits >= 1


def test_a_clean_header_has_no_hit_and_says_how_much_was_searched():
    dataset = Dataset()
    dataset.StudyDescription, dataset.StudyDate, dataset.KVP = "CT chest", "19480101", "120"
    scan = rescan(b"CT chest 19480101 120 0.4711008150 2.25.914711008150", dataset, identifiers_of(), ())
    assert (scan.hits, scan.places, scan.searched) == (0, (), 52)
    assert scan.identifiers == len(identifiers_of())


def test_short_identifiers_are_looked_for_in_texts_and_not_in_numbers():
    identifiers = identifiers_of(number="4711")
    dataset = Dataset()
    dataset.KVP, dataset.DistanceSourceToDetector = "120", "4711"
    assert rescan(b"4711", dataset, identifiers, ()).hits == 0
    dataset.SeriesDescription = "no 4711"
    scan = rescan(b"4711", dataset, identifiers, ())
    assert (scan.hits, scan.places) == (1, ("SeriesDescription",))


def test_what_de_identification_wrote_itself_does_not_count():
    identifiers = identifiers_of(name="Clean^Basic")
    assert rescan(b"Clean Pixel Data Option", Dataset(), identifiers, ("Clean Pixel Data Option",)).hits == 0
    assert rescan(b"Clean Pixel Data Option Clean", Dataset(), identifiers, ("Clean Pixel Data Option",)).hits == 1


def test_a_number_that_is_a_time_of_day_is_let_be_there_alone():
    identifiers = identifiers_of(number="11-05-25-101530", StudyTime="101530.25")
    dataset = Dataset()
    dataset.StudyTime = "101530.25"
    assert rescan(b"TM101530.25", dataset, identifiers, ()).hits == 0
    dataset.CodeValue = "101530"
    assert rescan(b"TM101530.25", dataset, identifiers, ()).places == ("CodeValue",)
    assert rescan(b"SH101530", dataset, identifiers, ()).hits == 2


def test_a_date_that_another_ones_shift_lands_on_is_let_be():
    dataset = Dataset()
    dataset.StudyDate, dataset.SeriesDate = "20200110", "20200105"
    assert rescan(b"20200105", Dataset(), gather(dataset, DEFAULT, days=5), ()).hits == 0
    assert rescan(b"20200110", Dataset(), gather(dataset, DEFAULT, days=5), ()).hits == 1
