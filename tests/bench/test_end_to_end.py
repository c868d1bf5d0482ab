from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from radvit.bench.end_to_end import (
    ARTICLE_STAGES,
    TOTAL,
    Plan,
    Taken,
    article_rows,
    article_spec,
    measure,
    radvit_rows,
    shares,
    subject,
)
from radvit.bench.made import FOUND, batch_of, chest_file, detector, speaking_bundle
from radvit.bench.paths import make_loader
from radvit.bench.speed import Subject
from radvit.bench.staged import STAGES, Reader
from radvit.data.preprocess import Preprocess
from radvit.errors import ConfigError, DataError
from radvit.inference.timing import LOADING
from radvit.models.backbone import BackboneSpec
from radvit.models.spec import ModelSpec
from radvit.records import Task

SMALL = ModelSpec(
    Task.DETECT,
    1,
    BackboneSpec("vit_tiny_patch16_224", 64, patch_size=16, embed_dim=32, depth=1, num_heads=2),
    width=16,
)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom's CR, reduced to fewer than one window's pixels on a side and three on the other."""
    return chest_file(tmp_path_factory.mktemp("chest"), 120, 260)


def planted(article: list[list[float]], radvit: list[list[float]], windows: int, counts: tuple[int, ...]) -> Taken:
    return Taken({"fp32": np.array(radvit)}, np.array(article), windows, counts, {})


def test_totals_and_ratios_of_planted_seconds() -> None:
    article = [[1.0, 1.0, 1.0, 3.0, 14.0], [1.0, 1.0, 1.0, 5.0, 32.0], [1.0, 1.0, 1.0, 4.0, 23.0]]
    radvit = [[0.1] * 10, [0.2] * 10, [0.05] * 10]  # totals 1, 2, 0.5: ratios 20, 20, 60
    taken = planted(article, radvit, 8, (2, 2, 4))
    theirs = {row.stage: row for row in article_rows(taken)}
    assert list(theirs) == [*ARTICLE_STAGES, TOTAL]
    assert theirs["read"].ms == 1000
    assert theirs["model"].ms == pytest.approx((14 * 2 + 32 * 2 + 23 * 4) / 8 * 1e3)  # all 8 were timed, once each
    assert theirs[TOTAL].ms == pytest.approx(3000 + 4000 + theirs["model"].ms)
    assert not any(row.estimated for row in theirs.values())
    mine = {row.stage: row for row in radvit_rows("fp32", taken)}
    assert list(mine) == [*STAGES, TOTAL]
    assert mine["report"].ms == pytest.approx(100)
    assert (mine[TOTAL].ms, mine[TOTAL].ratio) == pytest.approx((1000, 20))
    assert (mine[TOTAL].ratio_low, mine[TOTAL].ratio_high) == pytest.approx(tuple(np.percentile([20, 20, 60], (5, 95))))
    assert mine["model"].ratio is None
    assert "ratio" not in mine["model"].to_dict()


def test_what_is_reckoned_from_some_windows_says_so() -> None:
    rows = article_rows(planted([[1.0, 1.0, 1.0, 3.0, 14.0]], [[0.1] * 10], 832, (30,)))
    assert {row.stage for row in rows if row.estimated} == {"window", "model", TOTAL}


@pytest.mark.parametrize(("some", "each"), [(None, [4, 3, 3]), (6, [2, 2, 2]), (99, [4, 3, 3])])
def test_rounds_share_the_windows(some: int | None, each: list[int]) -> None:
    places = [(0, column) for column in range(10)]
    parts = shares(places, Plan(rounds=3, some=some))
    assert [len(part) for part in parts] == each
    together = [place for part in parts for place in part]
    assert len(set(together)) == len(together)
    assert {places[0], places[-1]} <= set(together)


def test_where_windows_are_fewer_than_rounds_each_round_has_all() -> None:
    assert shares([(0, 0)], Plan(rounds=3)) == [[(0, 0)]] * 3


def test_fewer_timed_windows_than_rounds_are_refused() -> None:
    with pytest.raises(ConfigError, match="8 windows in 9 rounds"):
        Plan(rounds=9, some=8)


def test_the_phantoms_file_is_what_it_shall_be(chest: Path) -> None:
    dataset = pydicom.dcmread(chest)
    assert (dataset.Rows, dataset.Columns, dataset.Modality) == (120, 260, "CR")
    assert dataset.file_meta.TransferSyntaxUID == RLELossless
    assert dataset.BurnedInAnnotation == "NO"
    spacing = dataset.get("PixelSpacing") or dataset.ImagerPixelSpacing
    assert 300 < 260 * float(spacing[1]) < 440  # a chest's plate is as wide as before, in mm
    assert dataset.pixel_array.max() < 1 << dataset.BitsStored


@pytest.fixture(scope="module")
def reader(chest: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("reader")
    pixels = [image.pixels for image in make_loader().load(chest)]
    made = speaking_bundle(folder / "model", SMALL, batch_of(pixels, Preprocess(64), 1))
    return Reader(made, "fp32", folder / "out", 1)


def test_a_reader_writes_infer_pys_report(reader: Reader, chest: Path) -> None:
    folder, seconds = reader.read(chest)
    assert {"findings.json", "report.html", "overlay.png"} == {path.name for path in folder.iterdir()}
    record = json.loads((folder / "findings.json").read_text())
    assert record["provenance"]["precision"] == "fp32"
    assert 1 <= len(record["findings"]) <= 2 * FOUND
    assert tuple(seconds) == STAGES
    assert all(value > 0 for value in seconds.values())


def test_a_readers_stages_are_told_by_the_product_itself(chest: Path) -> None:
    told: list[str] = []
    images = make_loader().load(chest, told.append)
    assert tuple(told) == LOADING
    np.testing.assert_array_equal(images[0].pixels, make_loader().load(chest)[0].pixels)


def test_a_file_that_is_none_is_refused(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "note.dcm").write_text("nothing")
    with pytest.raises(DataError, match="not-dicom"):
        reader.read(tmp_path / "note.dcm")


def test_both_ways_are_measured_in_one_run(chest: Path) -> None:
    calls: list[tuple[int, int]] = []
    plan = Plan(rounds=2, threads=1)
    measured = measure(Subject("small", SMALL), chest, plan, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert (measured.model, measured.size, measured.windows, measured.timed) == ("small", 64, 3, 3)
    assert measured.file == {"rows": 120, "columns": 260, "syntax": "RLE Lossless", "bytes": chest.stat().st_size}
    assert [(r.method, r.precision) for r in measured.rows if r.stage == TOTAL] == [
        ("article", "fp32"),
        ("radvit", "fp32"),
        ("radvit", "int8"),
    ]
    for method, precision in (("radvit", "fp32"), ("radvit", "int8")):
        stages = [row for row in measured.rows if (row.method, row.precision) == (method, precision)]
        assert [row.stage for row in stages] == [*STAGES, TOTAL]
        assert all(row.low <= row.ms <= row.high for row in stages)
        assert stages[-1].ratio is not None
        assert stages[-1].ratio > 0


def test_the_articles_model_has_the_same_backbone() -> None:
    spec = article_spec(detector("vit_tiny_patch16_224", 384))
    assert (spec.task, spec.backbone.name, spec.backbone.image_size) == (Task.CLASSIFY, "vit_tiny_patch16_224", 224)


def test_a_saved_models_name_is_its_recipes(bundle: Any, tmp_path: Path) -> None:
    bundle(tmp_path / "bundle", Task.DETECT)
    assert subject(None, 384, tmp_path).name == "tiny"


def test_the_table_and_the_numbers(bundle: Any, chest: Path, tmp_path: Path, ran: Callable[..., Any]) -> None:
    bundle(tmp_path / "bundle", Task.DETECT)
    given = ("--checkpoint", tmp_path, "--input", chest, "--precision", "fp32", "--rounds", "1", "--threads", "1")
    code, out, _ = ran("bench", "end-to-end", *given, "--article-windows", "1", "--json", tmp_path / "r")
    written = json.loads((tmp_path / "r").read_text())
    assert code == 0
    assert {row["precision"] for row in written["rows"]} == {"fp32"}
    assert (written["windows"], written["timed"], written["size"]) == (3, 1, 32)
    assert any(line.endswith("1 of 3 windows timed") for line in out)
    assert str(tmp_path) not in (tmp_path / "r").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "vit_tiny_patch16_22"], "is no timm model; did you mean"),
        (["--size", "100"], "expected a multiple of the token stride 16"),
        (["--size", "-1"], "--size -1; expected at least 1"),
        (["--rounds", "0"], "--rounds 0"),
        (["--article-windows", "3"], "3 windows in 9 rounds; expected at least one a round"),
        (["--input", "no/such.dcm"], "is no file; expected a DICOM file"),
        (["--json", "no/such/r.json"], "is no folder"),
        (["--checkpoint", "no/such/run"], "does not exist; expected a run folder or a bundle"),
        (["--checkpoint", "no/such/run", "--size", "64"], "--size with --checkpoint"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(ran: Callable[..., Any], arguments: list[str], words: str) -> None:
    code, _, err = ran("bench", "end-to-end", *arguments)
    assert (code, len(err)) == (2, 1)
    assert words in err[0]
