import json

import pytest

from radvit.bench.vault import MB, measure_sizes, measure_speeds, write_random
from radvit.bench.vault_child import MOST_BYTES
from radvit.cli import main
from radvit.vault.stream import CHUNK_BYTES, HEADER, TAG_BYTES


def test_sizes_are_exact_and_memory_is_flat():
    small, large = measure_sizes([1, 30])
    for row in (small, large):
        chunks = -(-row.mb * MB // CHUNK_BYTES)
        assert row.size_ratio == (row.mb * MB + HEADER.size + chunks * TAG_BYTES) / (row.mb * MB) <= 1.001
    for grown in (large.put_mb - small.put_mb, large.get_mb - small.get_mb):
        assert grown < 10  # MB; a copy of the file would be 29


def test_speeds_of_both_sides():
    rows = measure_speeds(2, 1)
    assert [row.what for row in rows] == ["encrypt", "decrypt", "put", "get"]
    assert all(row.mb_per_s > 0 and row.ratio == row.mb_per_s / row.plain_mb_per_s for row in rows)


def test_random_files_are_of_the_size_asked_for(tmp_path):
    first, second = (write_random(tmp_path / name, 2).read_bytes() for name in "ab")
    assert len(first) == len(second) == 2 * MB
    assert first != second


def test_some_objects_that_are_put_while_killing_have_several_chunks():
    assert 2 * CHUNK_BYTES < MOST_BYTES


def test_tables_and_numbers(tmp_path, capsys):
    numbers = tmp_path / "r.json"
    short = ["--megabytes", "1", "--repeats", "1", "--sizes", "1"]
    main(["bench", "vault", *short, "--kills", "2", "--json", str(numbers)])
    told = json.loads(numbers.read_text())
    assert [row["part"] for row in told["rows"]] == ["speed"] * 4 + ["size"] + ["kills"]
    assert (told["rows"][-1]["kills"], told["rows"][-1]["lost"]) == (2, 0)
    assert {"cores", "cpu", "python", "cryptography"} <= set(told["machine"])
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("encrypt", "a copy, as durable", "stored / plain", "in rotation"))
    assert "/tmp" not in numbers.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repeats", "0"], "at least 1"),
        (["--sizes", "0"], "at least 1"),
        (["--kills", "-1"], "at least 0"),
        (["--json", "no/such/r.json"], "is no folder"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_measured(capsys, arguments, words):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "vault", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
