import pytest
from pydicom import Dataset, Sequence, dcmread

from radvit.bench.deid.find import Opened


def item(**values):
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def opened(write, tmp_path):
    inner = item(CodeMeaning="deep")
    outer = item(CodeMeaning="first"), item(AnatomicRegionModifierSequence=Sequence([inner]))
    path = write(
        tmp_path / "one.dcm",
        ImageType=["ORIGINAL", "PRIMARY"],
        StudyDescription="",
        AnatomicRegionSequence=Sequence(outer),
    )
    dataset = dcmread(path)
    dataset.private_block(0x0009, "MAKER", create=True).add_new(0x02, "LO", "secret")
    dataset.private_block(0x0009, "OTHER", create=True).add_new(0x02, "UN", "Émile\0".encode())
    dataset.add_new(0x00081FF0, "UN", b"\xfcber")
    dataset.preamble = b"somebody".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "STATION"
    dataset.save_as(path)
    return Opened(path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("00080008", "ORIGINAL\\PRIMARY"),
        ("00081030", ""),
        ("00100010", None),
        ("00082218", "(item)\\(item)"),
        ("00082218[0]/00080104", "first"),
        ("00082218[1]/00082220[0]/00080104", "deep"),
        ("00082218[2]/00080104", None),
        ("00082218[0]/00082220[0]/00080104", None),
        ("00081030[0]/00080104", None),
        ("0009:MAKER:02", "secret"),
        ("0009:OTHER:02", "Émile"),
        ("0009:MAKER:03", None),
        ("0009:NOBODY:02", None),
        ("00081FF0", "über"),
        ("00020016", "STATION"),
        ("00020017", None),
        ("preamble", "somebody"),
    ],
)
def test_what_stands_at_a_place(opened, path, text):
    assert opened.text_at(path) == text


def test_a_path_of_another_form_is_refused(opened):
    with pytest.raises(ValueError, match="expected a tag"):
        opened.text_at("StudyDescription/00080104")
