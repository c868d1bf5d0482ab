import json

import numpy as np
import pytest

from radvit.cli import main


def test_tables_and_numbers(grey_file, tmp_path, capsys):
    path = grey_file(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    main(
        ["bench", "dicom", str(path), "--size", "16", "--repeats", "1", "--workers", "1", "--json", str(tmp_path / "r")]
    )
    rows = json.loads((tmp_path / "r").read_text())["rows"]
    shown = capsys.readouterr().out
    assert "64 x 64 to 16" in shown
    assert all(row["stage"] in shown for row in rows)
    assert str(tmp_path) not in (tmp_path / "r").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--repeats", "0"], "at least 1"), (["--json", "no/such/r.json"], "is no folder")]
)
def test_bad_arguments_are_refused_before_anything_is_measured(grey_file, capsys, arguments, words):
    path = grey_file(np.zeros((8, 8), np.uint16))
    with pytest.raises(SystemExit) as ended:
        main(["bench", "dicom", str(path), *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_scores_of_deidentification_are_shown_and_written(tmp_path, capsys):
    main(["bench", "deid", "--studies", "2", "--passes", "0", "--json", str(tmp_path / "r")])
    written = json.loads((tmp_path / "r").read_text())
    shown = capsys.readouterr().out
    assert (written["studies"], written["speed"]) == (2, [])
    assert written["all"]["total"] == sum(tally["total"] for tally in written["checks"].values()) > 300
    assert all(f"{name} " in shown for name in written["checks"])
    assert "2 studies, 3 files; 0 files were not written" in shown


@pytest.mark.parametrize("arguments", [["--studies", "0"], ["--passes", "-1"], ["--json", "no/such/r.json"]])
def test_bad_arguments_of_the_deid_bench_are_refused(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "deid", *arguments])
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
