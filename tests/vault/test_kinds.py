import pytest

from radvit.vault.kinds import ending_of, kind_of


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (".dcm", "dicom"),
        (".DCM", "dicom"),
        (".txt", "text"),
        (".bin", "file"),
        (".png", "png"),
        (".exe", "file"),
        ("", "file"),
    ],
)
def test_a_kind_follows_its_ending(ending, kind):
    assert kind_of(ending) == kind


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("dicom", "dcm"), ("text", "txt"), ("txt", "txt"), ("file", "bin"), ("note", "bin"), ("md", "md")],
)
def test_an_ending_follows_its_kind(kind, ending):
    assert ending_of(kind) == ending


def test_what_goes_in_under_a_known_ending_comes_out_under_it():
    for ending in (
        "dcm",
        "txt",
        "bin",
        "html",
        "json",
        "pdf",
        "png",
        "csv",
        "yaml",
        "safetensors",
        "onnx",
        "npy",
        "md",
    ):
        assert ending_of(kind_of(f".{ending}")) == ending
