import pytest

from radvit.errors import DataError
from radvit.inference.manifest import Row, State, open_manifest, read_manifest


def test_rows_come_back(tmp_path):
    rows = [Row("2.25.1", State.DONE, 1.25, 2), Row("2.25.2", State.REFUSED, 0.5, 0, 'a "quoted", reason')]
    with open_manifest(tmp_path) as manifest:
        for row in rows:
            manifest.append(row)
    assert read_manifest(tmp_path / "manifest.csv") == rows


def test_a_row_is_on_the_disk_before_the_run_ends(tmp_path):
    with open_manifest(tmp_path) as manifest:
        manifest.append(Row("2.25.1", State.DONE, 1.0, 1))
        assert len(read_manifest(tmp_path / "manifest.csv")) == 1


def test_failed_studies_and_a_torn_line_are_tried_again(tmp_path):
    text = "study,state,seconds,n_images,error\na,done,1.000,1,\nb,failed,1.000,0,no\nc,refused,1.000,0,no\nd,do"
    (tmp_path / "manifest.csv").write_text(text)
    with open_manifest(tmp_path) as manifest:
        assert manifest.ended == {"a", "c"}
        manifest.append(Row("b", State.DONE, 1.0, 1))
    assert [row.study for row in read_manifest(tmp_path / "manifest.csv")] == ["a", "c", "b"]


def test_an_error_stays_on_one_line(tmp_path):
    with open_manifest(tmp_path) as manifest:
        manifest.append(Row("a", State.FAILED, 0.0, 0, "two\nlines\r" + "x" * 1000))
    (row,) = read_manifest(tmp_path / "manifest.csv")
    assert row.error.startswith("two lines xxx")
    assert len(row.error) == 400


def test_no_file_no_rows(tmp_path):
    assert read_manifest(tmp_path / "manifest.csv") == []


@pytest.mark.parametrize("text", ["name,value\na,b\n", "study,state,seconds,n_images,error\na,sideways,1,1,\n"])
def test_another_file_of_that_name_is_left_alone(tmp_path, text):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=r"expected study,state|not a manifest"), open_manifest(tmp_path):
        pass
    assert (tmp_path / "manifest.csv").read_text() == text
