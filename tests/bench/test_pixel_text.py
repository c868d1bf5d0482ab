import json
from pathlib import Path

import numpy as np
import pytest

from radvit.bench.pixel_text import TEXTLESS, measure
from radvit.bench.planted import KINDS, Kind, found, plant
from radvit.errors import ConfigError, DataError

GREY = np.random.default_rng(1).integers(1000, 1100, (600, 900)).astype(np.uint16)
GREY[0, 0], GREY[-1, -1] = 0, 4095


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_planted_lines_stand_apart_where_the_truth_says(kind):
    before = GREY.copy()
    image, lines = plant(GREY, kind, np.random.default_rng(0))
    np.testing.assert_array_equal(GREY, before)
    assert lines
    taken = np.zeros(GREY.shape, int)
    for line in lines:
        taken[line.window] += 1
        assert line.ink.shape == taken[line.window].shape
        assert (image[line.window][line.ink] != GREY[line.window][line.ink]).mean() > 0.9
    assert taken.max() == 1
    np.testing.assert_array_equal(image[taken == 0], GREY[taken == 0])


def test_contrast_is_a_share_of_the_range_and_what_can_not_be_seen_is_not_planted():
    image, lines = plant(GREY, Kind("faint", height_px=30, contrast=0.1), np.random.default_rng(0))
    steps = [np.percentile(image[line.window][line.ink].astype(int) - 1050, 90) for line in lines]
    assert np.allclose(steps, 0.1 * 4095, atol=60)
    white = np.full((600, 900), 4095, np.uint16)
    white[0, 0] = 0
    assert plant(white, Kind("light on light"), np.random.default_rng(0))[1] == []


def test_a_line_is_found_if_nearly_all_of_its_ink_is_covered():
    _, lines = plant(GREY, KINDS[0], np.random.default_rng(0))
    covered = np.zeros(GREY.shape, bool)
    assert found(lines, covered) == 0
    covered[lines[0].window] = True
    assert found(lines, covered) == 1
    assert found(lines, ~covered) == len(lines) - 1


def test_rows_are_complete_and_plain(grey_file, monkeypatch):
    monkeypatch.setattr("radvit.bench.pixel_text.KINDS", KINDS[:1])
    measured = measure(grey_file(GREY), 0, None, rivals=False)
    rows = {(row.kind, row.method): row for row in measured.rows}
    assert {kind for kind, _ in rows} == {TEXTLESS, KINDS[0].name}
    assert {method for _, method in rows} == {"quick", "thorough"}
    thorough = rows[KINDS[0].name, "thorough"]
    assert 0 < thorough.found == thorough.lines
    assert all(row.ms > 0 and 0 <= row.other_percent < 5 for row in measured.rows)
    assert rows[TEXTLESS, "quick"].regions == 0
    assert json.loads(json.dumps(measured.to_dict()))["machine"]["onnxruntime"]


def test_what_can_not_be_measured_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a font"):
        measure(None, 1, Path("no/such.ttf"), rivals=False)
    (tmp_path / "note.txt").write_text("nothing")
    with pytest.raises(DataError, match="expected DICOM files"):
        measure(tmp_path, 1, None, rivals=False)


def test_the_command(ran, grey_file, tmp_path, monkeypatch):
    monkeypatch.setattr("radvit.bench.pixel_text.KINDS", KINDS[:1])
    monkeypatch.setattr("radvit.bench.pixel_text._phantoms", lambda images, seed: [])
    target = tmp_path / "r.json"
    code, out, _ = ran("bench", "pixel-text", grey_file(GREY), "--images", "1", "--json", target)
    assert code == 0
    assert any("thorough" in line for line in out)
    assert len(json.loads(target.read_text())["rows"]) == 4


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--images", "0"], "at least 1"), (["--json", "no/such/r.json"], "is no folder")]
)
def test_bad_arguments_are_refused_before_anything_is_measured(ran, arguments, words):
    code, _, err = ran("bench", "pixel-text", *arguments)
    assert code == 2
    assert words in err[-1]
