import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.deid.pseudonym import Pseudonymizer
from radvit.dicom.select import parse_rules
from radvit.inference import predictor
from radvit.inference.manifest import State, read_manifest
from radvit.inference.predictor import predict_folder
from radvit.inference.timing import STAGES
from radvit.records import Boxes, Provenance
from radvit.report.build import Bands
from radvit.report.write import Answers, StudyWriter

LOADER = Loader(Pseudonymizer(bytes(range(32))))
PREPROCESS = Preprocess(32)
PROVENANCE = Provenance("brightest-square", "0", "fp32", "2026-01-01T00:00:00Z")
SCRIPT_KEY = Pseudonymizer(bytes(32))
SCRIPT = Path(__file__).with_name("interrupted.py")


class BrightestSquare:
    """A real, if simple, detector: a box of 8 x 8 model pixels around the brightest one, scored by its grey value."""

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        found, scores = [], []
        for image in images[:, 0]:
            y, x = np.unravel_index(image.argmax(), image.shape)
            score = float(np.clip(image.max() * PREPROCESS.std + PREPROCESS.mean, 0, 1))
            box = np.array([[x - 4, y - 4, x + 4, y + 4]], np.float32)
            found.append(Boxes(box, np.array([score], np.float32), np.zeros(1, np.int64)))
            scores.append([score])
        return np.array(scores, np.float32), found


def run(source, output, refuse=lambda header: None, detector=None, batch_size=3, progress=None, loader=LOADER):
    finish = StudyWriter(output, ("nodule",), Answers.BOXES, PROVENANCE, Bands())
    return predict_folder(
        source, output, loader, PREPROCESS, detector or BrightestSquare(), refuse, finish, 2, batch_size, progress
    )


def rows(output):
    return {row.study: row for row in read_manifest(output / "manifest.csv")}


def pseudonym(study, pseudonymizer=LOADER.pseudonymizer):
    return pseudonymizer.uid(f"1.2.3.4.5.6.7.8.9.{study}")


@pytest.fixture
def cohort(tmp_path, dicom_file):
    """Four studies in six files, one of them broken, and two files that are no DICOM."""
    source = tmp_path / "Quillfeather"
    dicom_file(source / "b" / "1.dcm", study=1, image=1)
    dicom_file(source / "c" / "2.dcm", study=2)
    dicom_file(source / "z" / "3.dcm", study=1, image=2)  # the same study, far away
    dicom_file(source / "d" / "4.dcm", study=3, source="CT_small.dcm")
    dicom_file(source / "d" / "5.dcm", study=3, image=2, source="MR_truncated.dcm")
    dicom_file(source / "e" / "6.dcm", study=4, source="MR_truncated.dcm")
    (source / "a Zanzibar.dcm").write_bytes(b"no DICOM at all")
    (source / "f").mkdir()
    (source / "f" / "empty.dcm").touch()
    return source


def test_a_folder_of_studies(cohort, tmp_path, secrets, caplog):
    output, seen, detector = tmp_path / "out", [], BrightestSquare()
    with caplog.at_level(logging.WARNING):
        totals = run(cohort, output, detector=detector, progress=lambda done, of: seen.append((done, of)))
    assert (totals.done, totals.failed, totals.refused, totals.skipped, totals.files_failed) == (3, 3, 0, 0, 4)
    assert totals.seconds > 0
    assert seen == [(n, 6) for n in range(1, 7)]
    assert sum(detector.batches) == 4
    assert max(detector.batches) > 1  # batches reach across studies

    table = rows(output)
    assert list(table) == ["file-1", *map(pseudonym, (1, 2, 3, 4)), "file-7"]  # in the order of the files
    assert (table[pseudonym(1)].state, table[pseudonym(1)].n_images) == (State.DONE, 2)
    assert table[pseudonym(3)].state is State.DONE  # its bad file cost only itself
    assert table[pseudonym(3)].error.startswith("truncated: ")
    assert table[pseudonym(4)].state is State.FAILED
    assert table["file-1"].error.startswith("not-dicom: ")
    assert "a Zanzibar.dcm" in caplog.text  # a user must be able to find it, but in the log alone

    form = json.loads((output / pseudonym(3) / "findings.json").read_text())
    assert len(form["refused"]) == 1
    for study in (1, 2, 3):
        files = {path.name for path in (output / pseudonym(study)).iterdir()}
        assert files - {"overlay-2.png"} == {"findings.json", "overlay.png", "report.html"}
    assert not list(output.glob(".*"))
    for path in output.rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        assert not [s for s in secrets if s.encode() in text], path.name
        assert str(tmp_path).encode() not in text


def test_boxes_lie_in_the_stored_image(tmp_path, dicom_file):
    dicom_file(tmp_path / "in" / "1.dcm", study=1)
    run(tmp_path / "in", tmp_path / "out")
    (image,) = LOADER.load(tmp_path / "in" / "1.dcm")
    form = json.loads((tmp_path / "out" / pseudonym(1) / "findings.json").read_text())
    x1, y1, x2, y2 = form["findings"][0]["box_px"]
    small, _ = PREPROCESS.apply(image.pixels)  # 64 x 64 to 32 x 32: a factor of two, without border
    y, x = np.unravel_index(small.argmax(), small.shape)
    assert (x1, y1, x2, y2) == (max(0, 2 * x - 8), max(0, 2 * y - 8), min(64, 2 * x + 8), min(64, 2 * y + 8))


def test_results_do_not_depend_on_the_batch_size(cohort, tmp_path):
    for name, size in (("one", 1), ("many", 16)):
        run(cohort, tmp_path / name, batch_size=size)
    for path in (tmp_path / "one").rglob("findings.json"):
        assert path.read_text() == (tmp_path / "many" / path.parent.name / path.name).read_text()


def test_a_second_run_redoes_only_what_failed(cohort, tmp_path, dicom_file):
    output, again = tmp_path / "out", BrightestSquare()
    run(cohort, output)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.parent != output}
    dicom_file(cohort / "e" / "6.dcm", study=4)  # mended
    totals = run(cohort, output, detector=again)
    assert (totals.done, totals.failed, totals.skipped) == (1, 2, 3)
    assert sum(again.batches) == 1
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in before.items())
    assert rows(output)[pseudonym(4)].state is State.DONE
    assert len(rows(output)) == len(read_manifest(output / "manifest.csv")) == 6


def test_studies_outside_the_scope_are_refused(cohort, tmp_path):
    def refuse(header):
        return None if header.modality == "CT" else f"modality {header.modality} is outside the model's scope (CT)"

    totals = run(cohort, tmp_path / "out", refuse)
    assert (totals.done, totals.failed, totals.refused) == (1, 3, 2)
    row = rows(tmp_path / "out")[pseudonym(1)]
    assert row.state is State.REFUSED
    assert row.error == "2 x modality MR is outside the model's scope (CT)"
    assert not (tmp_path / "out" / pseudonym(1)).exists()
    assert run(cohort, tmp_path / "out", refuse).skipped == 3  # and not asked again


def test_files_outside_the_selection_are_counted_and_are_no_failures(cohort, tmp_path):
    rules = parse_rules({"exclude": [{"Modality": "CT"}, {"Rows": {"min": 5000}}]})
    totals = run(cohort, tmp_path / "out", loader=replace(LOADER, selection=rules))
    assert (totals.done, totals.unselected) == (2, 1)
    assert pseudonym(3) in rows(tmp_path / "out")  # by its other file, of MR, which is broken
    assert rows(tmp_path / "out")[pseudonym(3)].state is State.FAILED


def test_output_inside_the_input_is_not_read(tmp_path, dicom_file):
    dicom_file(tmp_path / "1.dcm", study=1)
    assert run(tmp_path, tmp_path / "out").done == 1
    totals = run(tmp_path, tmp_path / "out")
    assert (totals.failed, totals.skipped) == (0, 1)


def test_an_empty_folder(tmp_path):
    (tmp_path / "in").mkdir()
    assert run(tmp_path / "in", tmp_path / "out").done == 0
    assert read_manifest(tmp_path / "out" / "manifest.csv") == []


def test_an_interrupt_leaves_a_manifest_to_go_on_with(cohort, tmp_path):
    def interrupt(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cohort, tmp_path / "out", batch_size=1, progress=interrupt)
    assert len(rows(tmp_path / "out")) == 2
    totals = run(cohort, tmp_path / "out")
    assert totals.done + totals.skipped == 3


def test_a_report_that_cannot_be_written_costs_only_its_study(cohort, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / f".{pseudonym(2)}.part").write_text("a file where the draft's folder should be")
    totals = run(cohort, output)
    assert (totals.done, totals.failed) == (2, 4)
    assert rows(output)[pseudonym(2)].error.startswith("report: ")


def test_studies_under_way_are_bounded(tmp_path, dicom_file, monkeypatch):
    for n in range(30):
        dicom_file(tmp_path / "in" / f"{n:02}.dcm", study=n)
    decoded, most = 0, 0
    screen = predictor.screen

    def counting(*args):
        nonlocal decoded
        decoded += 1
        return screen(*args)

    def progress(done, of):
        nonlocal most
        most = max(most, decoded - done)

    monkeypatch.setattr(predictor, "screen", counting)
    assert run(tmp_path / "in", tmp_path / "out", batch_size=2, progress=progress).done == 30
    held = 2 * predictor.BATCHES_AHEAD + 3  # what waits, and what each of the three threads has in hand
    assert most <= 2 * predictor.STUDIES_AHEAD + 2 * held


def test_an_error_of_the_model_ends_the_run_with_it(cohort, tmp_path):
    class Failing(BrightestSquare):
        def __call__(self, images):
            if self.batches:
                raise ArithmeticError("of the model")
            return super().__call__(images)

    with pytest.raises(ArithmeticError, match="of the model"):
        run(cohort, tmp_path / "out", detector=Failing(), batch_size=1)
    assert len([thread for thread in threading.enumerate() if thread.name in ("batches", "model")]) == 0
    assert run(cohort, tmp_path / "out").done >= 2


def test_time_is_told_by_stage(cohort, tmp_path):
    timing = run(cohort, tmp_path / "out", batch_size=3).timing
    assert (timing.images, timing.batches, timing.batch_size) == (4, 2, 3)
    assert set(timing.seconds) == set(STAGES)
    assert all(seconds > 0 for seconds in timing.seconds.values())
    assert 0 < timing.seconds["model"] <= timing.reading_s
    assert run(cohort, tmp_path / "out").timing is None  # nothing was left for the model


def script(*args):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, args)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def ends(group, patience_s=10):
    """Whether the last process of a group is gone within a while."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_run_goes_on_and_redoes_nothing(tmp_path, dicom_file):
    source, output = tmp_path / "in", tmp_path / "out"
    for n in range(12):
        dicom_file(source / f"{n:02}.dcm", study=n)
    running = script(source, output, 0.25)
    deadline = time.monotonic() + 60
    while len(read_manifest(output / "manifest.csv")) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    assert ends(running.pid)  # its workers end with it
    first = list(rows(output))
    assert 4 <= len(first) < 12
    whole = [path.parent.name for path in output.glob("[!.]*/findings.json")]  # some not yet on the manifest
    assert set(first) <= set(whole)
    before = {study: (output / study / "findings.json").stat().st_mtime_ns for study in whole}

    said, _ = script(source, output, 0).communicate(timeout=60)
    assert said.split() == [str(12 - len(whole)), "0", "0", str(len(whole)), "0"]
    assert len(rows(output)) == 12
    assert all((output / study / "findings.json").stat().st_mtime_ns == at for study, at in before.items())
    assert not list(output.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_thread_and_process(tmp_path, dicom_file, number):
    for n in range(12):
        dicom_file(tmp_path / "in" / f"{n:02}.dcm", study=n)
    running = script(tmp_path / "in", tmp_path / "out", 2)  # seconds a batch: it must not end by itself
    deadline = time.monotonic() + 60
    while len(read_manifest(tmp_path / "out" / "manifest.csv")) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, number)
    running.communicate(timeout=30)
    assert running.returncode != 0
    assert ends(running.pid)
    assert 1 <= len(rows(tmp_path / "out")) < 12


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "crashed: ended the worker process that read it"),
        ("hang", "timeout: took longer than a worker process may"),
        ("greedy", "memory: needed more memory than a worker process may have"),
    ],
)
def test_a_file_that_ends_its_worker_costs_only_itself(tmp_path, dicom_file, name, reason):
    source, output = tmp_path / "in", tmp_path / "out"
    for n in range(6):
        dicom_file(source / (f"{name}-{n}.dcm" if n in (2, 4) else f"good-{n}.dcm"), study=n)
    dicom_file(source / "more.dcm", study=2, image=2)
    said, _ = script(source, output, 0).communicate(timeout=60)
    assert said.split() == ["5", "1", "0", "0", "2"]
    table = rows(output)
    assert {study for study, row in table.items() if row.state is State.FAILED} == {pseudonym(4, SCRIPT_KEY)}
    assert {row.error for row in table.values()} == {"", reason}
    assert table[pseudonym(2, SCRIPT_KEY)].n_images == 1  # the other file of its study was read
    assert json.loads((output / pseudonym(2, SCRIPT_KEY) / "findings.json").read_text())["refused"] == [reason]
