import pytest
from pydicom import DataElement, Dataset

from radvit.deid.header_words import identity_words, word_of, words_of


def test_an_identity_comes_apart_into_its_words():
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID = "Roe^Jane Q=王^秀英=", "PAT.00010-7833"
    dataset.OtherPatientIDs, dataset.ReferringPhysicianName = ["X-1234", "77"], "Left^Paul"
    words = identity_words(dataset)
    assert {"ROE", "JANE", "王", "秀英", "PAT", "00010", "7833", "1234", "77", "LEFT", "PAUL"} <= words
    assert not {"Q", "X", "L", ""} & words


def test_an_empty_header_has_none():
    assert identity_words(Dataset()) == frozenset()


def test_values_as_texts():
    dataset = Dataset()
    dataset.ImageType, dataset.Rows, dataset.Modality, dataset.Manufacturer = ["DERIVED", "SECONDARY"], 5, " US ", None
    assert words_of(dataset, "ImageType") == ("DERIVED", "SECONDARY")
    assert (word_of(dataset, "Rows"), word_of(dataset, "Modality")) == ("5", "US")
    assert word_of(dataset, "Manufacturer") == word_of(dataset, "StudyID") == ""


@pytest.mark.parametrize("keyword", ["PatientName", "Manufacturer", "ImageType"])
def test_a_value_that_can_not_be_read_counts_as_absent(keyword):
    class Broken(Dataset):
        def __getitem__(self, key) -> DataElement:
            raise ValueError("malformed")

    dataset = Broken()
    setattr(dataset, keyword, "X1")
    assert words_of(dataset, keyword) == ()
