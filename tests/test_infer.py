"""infer.py end to end: from files to reports, on the small cohort's models."""

import json
import logging
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

from radvit import run
from radvit.bundle import load_bundle
from radvit.cli import main
from radvit.errors import BundleError, ConfigError, SomeInputsFailedError, StoppedError
from radvit.inference.timing import STAGES
from radvit.report.build import Bands
from radvit.run.inference import bands_of, ended_by_signal

from .run_place import SIZE, rows, words_in, write_image


def test_infer_writes_a_folder_a_study_and_a_manifest(place, detector, tmp_path, caplog):
    source = tmp_path / "in"
    shutil.copytree(place.folder / "cohort" / "dicom" / "0", source / "0")
    with caplog.at_level(logging.INFO, "radvit"):
        run.infer(place.infer(detector, source, tmp_path / "out"))
    manifest = rows(tmp_path / "out" / "manifest.csv")
    assert len(manifest) == 8
    assert {row["state"] for row in manifest} == {"done"}
    for row in manifest:
        folder = tmp_path / "out" / row["study"]
        assert {"findings.json", "overlay.png", "report.html"} <= {path.name for path in folder.iterdir()}
    assert b"Quillfeather" not in words_in(tmp_path / "out")
    assert "8 studies read" in caplog.text
    timing = json.loads((tmp_path / "out" / "timing.json").read_text())
    assert timing["images"] == 8
    assert 0 < timing["model_busy"] <= 1
    assert timing["images_per_s"] == pytest.approx(8 / timing["reading_s"])
    assert set(timing["seconds"]) == set(STAGES)
    assert "images a second; seconds by stage: headers" in caplog.text
    run.infer(place.infer(detector, source, tmp_path / "out"))
    assert "8 done before" in caplog.text or "0 studies read" in caplog.text
    assert json.loads((tmp_path / "out" / "timing.json").read_text()) == timing  # of the last run that read something


def test_infer_names_what_it_could_not_read_and_refuses_what_is_out_of_scope(place, detector, tmp_path):
    source = tmp_path / "in"
    shutil.copytree(place.folder / "cohort" / "dicom" / "0", source)
    write_image(source / "hand.dcm", 99, np.full(SIZE, 1000), BodyPartExamined="HAND")
    (source / "broken.dcm").write_bytes(b"x" * 200)
    with pytest.raises(SomeInputsFailedError, match=r"8 studies read .* 1 failed, 1 refused; see .*manifest\.csv"):
        run.infer(place.infer(detector, source, tmp_path / "out"))
    states = sorted(row["state"] for row in rows(tmp_path / "out" / "manifest.csv"))
    assert states == ["done"] * 8 + ["failed", "refused"]


def test_batches_may_find_their_own_size(place, detector, tmp_path):
    source = place.folder / "cohort" / "dicom" / "0"
    for name, size in (("fixed", "3"), ("found", "auto")):
        run.infer(place.infer(detector, source, tmp_path / name, f"batch_size={size}"))
    for path in (tmp_path / "fixed").glob("*/findings.json"):
        one, other = (json.loads((tmp_path / n / path.parent.name / path.name).read_text()) for n in ("fixed", "found"))
        boxes = ([[*f["box_px"], f["score"]] for f in form["findings"]] for form in (one, other))
        np.testing.assert_allclose(*map(np.array, boxes), rtol=1e-3)
    with pytest.raises(ConfigError, match="batch_size=many; expected a number of images or auto"):
        place.infer(detector, source, tmp_path / "out", "batch_size=many")


def test_a_model_that_cannot_be_opened_leaves_the_folder_to_others(place, detector, tmp_path):
    source = place.folder / "cohort" / "dicom" / "0"
    copy = shutil.copytree(detector, tmp_path / "copy")
    for exported in (copy / "bundle").glob("*.onnx"):
        exported.unlink()
    with pytest.raises(BundleError, match=r"model\.int8\.onnx is missing"):
        run.infer(place.infer(copy, source, tmp_path / "out", "precision.name=int8"))
    run.infer(place.infer(copy, source, tmp_path / "out"))
    assert len(rows(tmp_path / "out" / "manifest.csv")) == 8


def test_a_signal_ends_what_is_under_way_and_is_left_as_it_was():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="SIGTERM: stopped; the same command goes on") as caught, ended_by_signal():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    with ended_by_signal():
        pass
    assert signal.getsignal(signal.SIGTERM) == before


def test_reports_of_two_settings_are_not_mixed(place, detector, tmp_path):
    source = place.folder / "cohort" / "dicom" / "0" / "0.dcm"
    run.infer(place.infer(detector, source, tmp_path / "out"))
    with pytest.raises(ConfigError, match="holds reports made with another language; name a new one"):
        run.infer(place.infer(detector, source, tmp_path / "out", "report.language=zh"))
    (tmp_path / "out" / "setting.json").write_text("{")
    with pytest.raises(ConfigError, match="reports made with another"):
        run.infer(place.infer(detector, source, tmp_path / "out"))


@pytest.mark.parametrize(("name", "override"), [("schema", None), ("dates", "deid=no_dates")])
def test_reports_of_another_schema_or_with_other_dates_are_not_mixed(place, detector, tmp_path, name, override):
    source = place.folder / "cohort" / "dicom" / "0" / "0.dcm"
    run.infer(place.infer(detector, source, tmp_path / "out"))
    setting = tmp_path / "out" / "setting.json"
    if override is None:  # as it was before the schema was written down
        known = json.loads(setting.read_text())
        del known[name]
        setting.write_text(json.dumps(known))
    with pytest.raises(ConfigError, match=f"holds reports made with another {name}; name a new one"):
        run.infer(place.infer(detector, source, tmp_path / "out", *filter(None, [override])))


def test_reports_of_two_statements_about_nodules_on_ct_are_not_mixed(place, detector, tmp_path):
    source = place.folder / "cohort" / "dicom" / "0" / "0.dcm"
    told = ["report.fleischner.density=part_solid", "report.fleischner.incidental=true"]
    run.infer(place.infer(detector, source, tmp_path / "out", *told))
    known = json.loads((tmp_path / "out" / "setting.json").read_text())
    assert known["fleischner"] == {"density": "part_solid", "risk": None, "incidental": True}
    (found,) = (tmp_path / "out").glob("*/findings.json")
    assert json.loads(found.read_text())["fleischner"] is None  # as it is of every radiograph
    with pytest.raises(ConfigError, match="holds reports made with another fleischner; name a new one"):
        run.infer(place.infer(detector, source, tmp_path / "out", *told, "report.fleischner.risk=low"))


@pytest.fixture
def visits(tmp_path):
    """Writes a study of one patient on a day; gives the folder they lie in."""

    def write(number, day):
        study = f"1.2.3.77.1.{number}"
        write_image(tmp_path / "in" / f"{number}.dcm", 77, np.full(SIZE, 1000), StudyInstanceUID=study, StudyDate=day)
        return tmp_path / "in"

    return write


def comparisons(output):
    """What each report says of the comparison, by the days since the prior, or the reason for there being none."""
    forms = [json.loads(path.read_text())["comparison"] for path in output.glob("*/findings.json")]
    return sorted(str(form["prior"]["days"] if form["prior"] else form["status"]) for form in forms)


def test_infer_compares_with_studies_of_earlier_runs_and_later_ones_with_it(place, detector, tmp_path, visits):
    visits(1, "20240301")
    run.infer(place.infer(detector, visits(3, "20240501"), tmp_path / "out"))
    assert comparisons(tmp_path / "out") == ["61", "no_prior"]
    run.infer(place.infer(detector, visits(2, "20240331"), tmp_path / "out"))
    assert comparisons(tmp_path / "out") == ["30", "31", "no_prior"]
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*")}
    run.infer(place.infer(detector, visits(2, "20240331"), tmp_path / "out"))
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*")}


def test_without_dates_there_is_no_order_and_nothing_is_compared(place, detector, tmp_path, visits):
    visits(1, "20240301")
    run.infer(place.infer(detector, visits(2, "20240501"), tmp_path / "out", "deid=no_dates"))
    assert comparisons(tmp_path / "out") == ["no_date", "no_date"]


def test_a_comparison_can_be_left_out(place, detector, tmp_path, visits):
    run.infer(place.infer(detector, visits(1, "20240301"), tmp_path / "out", "report.prior=false"))
    (path,) = (tmp_path / "out").glob("*/findings.json")
    assert json.loads(path.read_text())["comparison"] is None


def test_infer_needs_something_to_read(place, detector, tmp_path):
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    for source, words in ((tmp_path / "empty", "is empty"), (tmp_path / "nowhere", "does not exist")):
        with pytest.raises(ConfigError, match=f"input=.* {words}; expected a DICOM file or a folder of them"):
            run.infer(place.infer(detector, source, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "value"), [("merge_tokens", 0.2), ("crop_border", True)])
def test_reports_of_the_same_weights_that_look_otherwise_are_not_mixed(place, detector, tmp_path, name, value):
    source = place.folder / "cohort" / "dicom" / "0" / "0.dcm"
    run.infer(place.infer(detector, source, tmp_path / "out"))
    setting = tmp_path / "out" / "setting.json"
    known = json.loads(setting.read_text())
    setting.write_text(json.dumps({key: known[key] for key in known if key != name}))  # as before it was written down
    run.infer(place.infer(detector, source, tmp_path / "out"))
    setting.write_text(json.dumps({**known, name: value}))
    with pytest.raises(ConfigError, match=f"holds reports made with another {name}; name a new one"):
        run.infer(place.infer(detector, source, tmp_path / "out"))


FORMS = {"report.pdf", "report.sr.dcm", "report.fhir.json", "report.pdf.dcm", "overlay.dcm"}


def test_reports_in_every_form_say_the_same_also_where_a_later_comparison_changed_them(
    place, detector, tmp_path, visits, capsys
):
    asked = ["report.forms=[pdf,sr,fhir,overlay,dicom_pdf]", "report.language=zh", "report.mention=0.05"]
    run.infer(place.infer(detector, visits(1, "20240301"), tmp_path / "out", *asked))
    run.infer(place.infer(detector, visits(3, "20240501"), tmp_path / "out", *asked))
    first, second = sorted(path.parent for path in (tmp_path / "out").glob("*/findings.json"))
    for folder in (first, second):
        assert {path.name for path in folder.iterdir()} >= FORMS
    main(["report", "check", str(tmp_path / "out")])
    assert "2 reports: every form says what findings.json says" in capsys.readouterr().out
    (first / "report.pdf").write_bytes((second / "report.pdf").read_bytes())
    with pytest.raises(SystemExit) as ended:
        main(["report", "check", str(tmp_path / "out")])
    assert ended.value.code == 1
    assert f"{first.name}: report.pdf: " in capsys.readouterr().out
    with pytest.raises(ConfigError, match="holds reports made with another forms"):
        run.infer(place.infer(detector, visits(1, "20240301"), tmp_path / "out", *asked[1:]))


def test_bands_can_be_the_operating_point(place, detector, tmp_path):
    config = place.infer(detector, place.folder / "cohort" / "dicom" / "0", tmp_path / "out", "report.bands=operating")
    bundle = load_bundle(detector)
    bands = bands_of(config.report, bundle)
    assert bands.moderate == min(bundle.operating_point["image_thresholds"])
    assert bands.mention == min(bundle.operating_point["box_threshold"], bands.moderate)
    assert bands.high == max(0.8, bands.moderate)
    lower = replace(bundle, operating_point={"image_thresholds": [0.9, 0.4], "box_threshold": None})
    assert bands_of(config.report, lower) == Bands(0.8, 0.4, 0.3)
    with pytest.raises(ConfigError, match="no operating point"):
        bands_of(config.report, replace(bundle, operating_point={}))
