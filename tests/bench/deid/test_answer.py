import json

import pytest

from radvit.bench.deid.answer import KEY_FILE, AnswerKey, Category, Check, Row, read_key, words_of, write_key
from radvit.errors import DataError

ROWS = (
    Row("a/1.dcm", "00100010", Check.TEXT_REMOVED, Category.DIRECT, "Müller^Eva", ("Müller", "Eva"), "header", 3),
    Row("a/1.dcm", "pixels", Check.PIXELS_HIDDEN, Category.DIRECT, "EVA", box=(1, 2, 3, 4), glyphs=((1, 2, 2, 4),)),
)
KEY = AnswerKey(ROWS, {"a/1.dcm": ("Müller",), "a/2.dcm": ()})


def test_what_is_written_is_read(tmp_path):
    write_key(tmp_path, KEY)
    assert read_key(tmp_path) == KEY
    assert len((tmp_path / KEY_FILE).read_text(encoding="utf-8").splitlines()) == 2


def test_each_file_comes_with_its_rows():
    assert KEY.files == ("a/1.dcm", "a/2.dcm")
    assert dict(KEY.by_file()) == {"a/1.dcm": list(ROWS), "a/2.dcm": []}


@pytest.mark.parametrize("change", [{"check": "no_such"}, {"category": None}, {"box": "abcd"}, {"more": 1}])
def test_a_row_of_another_form_is_refused(tmp_path, change):
    write_key(tmp_path, KEY)
    (tmp_path / KEY_FILE).write_text(json.dumps(ROWS[0].to_dict() | change) + "\n")
    with pytest.raises(DataError, match="answer key can't be read"):
        read_key(tmp_path)


def test_a_folder_without_a_key_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no answer key"):
        read_key(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CT chest for Jane Roe, 12/03/1950 (MRN 4711).", ("CT", "chest", "Jane", "Roe", "12/03/1950", "MRN", "4711")),
        ("Roe^Jane=ROE^JANE", ("Roe", "Jane", "ROE", "JANE")),
        ("ROE_JANE - W/O", ("ROE", "JANE", "W/O")),
        ("30 % of the", ("30",)),
        ("", ()),
    ],
)
def test_words_that_are_looked_for(text, words):
    assert words_of(text) == words
