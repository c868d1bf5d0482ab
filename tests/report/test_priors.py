import json
import shutil
from dataclasses import replace

import pytest

from radvit.report import write
from radvit.report.compare import History
from radvit.report.json_form import to_dict
from radvit.report.json_read import read_report
from radvit.report.priors import by_patient, compare_reports, history
from radvit.report.verdicts import Criteria, Status, Verdict
from radvit.report.write import rewrite, was_interrupted, write_study


@pytest.fixture
def put(make, tmp_path):
    """Writes a study's folder: a day, findings, and what else its header says."""

    def build(study, day, found=(), **header):
        report = make.report(list(found), study_date=day, lungs=[make.lungs], **header)
        write_study(tmp_path / study, replace(report, study=study), make.study(**header).images, "en")

    return build


def comparison(folder, study):
    return read_report(folder / study / "findings.json").comparison


def contents(folder):
    """Bytes and time of each file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def lesion(make, size=12.0):
    return make.finding(0.9, place=make.at(0.5, 0.4), size=size)


def test_each_study_gets_its_own_prior_whatever_the_order(make, put, tmp_path):
    for study, day in (("2.25.3", "2020-01-01"), ("2.25.1", "2018-01-01"), ("2.25.2", "2019-01-01")):
        put(study, day, [lesion(make, float(day[2:4]))])
    assert compare_reports(tmp_path, Criteria(), "en") == 3
    assert comparison(tmp_path, "2.25.1").status is Status.NO_PRIOR
    for study, prior in (("2.25.2", "2.25.1"), ("2.25.3", "2.25.2")):
        told = comparison(tmp_path, study)
        assert (told.prior.study, told.prior.days) == (prior, 365)
        assert [change.verdict for change in told.changes] == [Verdict.STABLE]
        page = (tmp_path / study / "report.html").read_text()
        assert f"study of {told.prior.date}, 365 days earlier" in page
        assert "(1.0 mm," not in page
        assert "(+1.0 mm, +" in page


def test_the_page_is_the_one_that_would_have_been_written_at_once(make, put, tmp_path):
    put("2.25.1", "2019-01-01", [lesion(make)])
    put("2.25.2", "2020-01-01", [lesion(make, 20.0)])
    compare_reports(tmp_path, Criteria(), "en")
    report = read_report(tmp_path / "2.25.2" / "findings.json")
    write_study(tmp_path / "again", report, make.study().images, "en")
    for name in ("findings.json", "report.html", "overlay.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "2.25.2" / name).read_bytes()


def test_a_second_run_writes_nothing(make, put, tmp_path):
    put("2.25.1", "2019-01-01", [lesion(make)])
    put("2.25.2", "2020-01-01", [])
    put("2.25.3", None)
    assert compare_reports(tmp_path, Criteria(), "en") == 3
    before = contents(tmp_path)
    assert compare_reports(tmp_path, Criteria(), "en") == 0
    assert contents(tmp_path) == before


def test_a_study_that_is_added_later_or_taken_away_changes_the_others(make, put, tmp_path):
    put("2.25.1", "2018-01-01", [lesion(make)])
    put("2.25.3", "2020-01-01", [lesion(make)])
    compare_reports(tmp_path, Criteria(), "en")
    put("2.25.2", "2019-01-01", [])
    assert compare_reports(tmp_path, Criteria(), "en") == 2  # itself and the later one
    assert comparison(tmp_path, "2.25.3").prior.study == "2.25.2"
    assert [change.verdict for change in comparison(tmp_path, "2.25.3").changes] == [Verdict.NEW]
    shutil.rmtree(tmp_path / "2.25.2")
    assert compare_reports(tmp_path, Criteria(), "en") == 1
    assert comparison(tmp_path, "2.25.3").prior.study == "2.25.1"


def test_other_criteria_are_applied_to_all_and_none_takes_comparisons_out(make, put, tmp_path):
    put("2.25.1", "2019-01-01", [lesion(make, 10.0)])
    put("2.25.2", "2020-01-01", [lesion(make, 13.0)])
    compare_reports(tmp_path, Criteria(), "en")
    assert comparison(tmp_path, "2.25.2").changes[0].verdict is Verdict.STABLE
    assert compare_reports(tmp_path, Criteria(2.0), "en") == 1
    assert comparison(tmp_path, "2.25.2").changes[0].verdict is Verdict.GROWN
    assert compare_reports(tmp_path, None, "en") == 2
    assert comparison(tmp_path, "2.25.2") is None
    assert "Comparison" not in (tmp_path / "2.25.2" / "report.html").read_text()


@pytest.mark.parametrize("at", range(4))
def test_a_rewrite_that_is_killed_anywhere_is_made_good(make, put, tmp_path, monkeypatch, at):
    """Killed before its n-th step: flush of the first draft, of the second, first replacement, second."""
    put("2.25.1", "2019-01-01", [lesion(make)])
    put("2.25.2", "2020-01-01", [lesion(make)])
    steps = iter(range(100))

    def step(kept):
        def run(*arguments):
            if next(steps) == at:
                raise KeyboardInterrupt
            return kept(*arguments)

        return run

    with monkeypatch.context() as killing:
        killing.setattr(write.os, "fsync", step(write.os.fsync))
        killing.setattr(write.Path, "replace", step(write.Path.replace))
        with pytest.raises(KeyboardInterrupt):
            compare_reports(tmp_path, Criteria(), "en")
    for study in ("2.25.1", "2.25.2"):
        json.loads((tmp_path / study / "findings.json").read_text())
        assert (tmp_path / study / "report.html").read_text().rstrip().endswith("</html>")
    assert was_interrupted(tmp_path / "2.25.1")
    assert compare_reports(tmp_path, Criteria(), "en") == 2
    assert not was_interrupted(tmp_path / "2.25.1")
    assert not list(tmp_path.rglob("*.part"))
    assert compare_reports(tmp_path, Criteria(), "en") == 0


def test_a_page_that_a_killed_rewrite_left_ahead_of_its_data_is_put_right(make, put, tmp_path):
    """The page was replaced, the data not; then the prior went, so that the data are what they should be."""
    put("2.25.2", "2020-01-01", [lesion(make)])
    compare_reports(tmp_path, Criteria(), "en")
    folder = tmp_path / "2.25.2"
    page = (folder / "report.html").read_text()
    (folder / ".findings.json.part").write_text("{")
    (folder / "report.html").write_text(page.replace("No earlier", "Another"))
    assert compare_reports(tmp_path, Criteria(), "en") == 1
    assert (folder / "report.html").read_text() == page


def test_patients_are_kept_apart(make, put, tmp_path):
    put("2.25.1", "2019-01-01", [lesion(make)])
    put("2.25.2", "2020-01-01", [lesion(make)], patient="P-OTHER")
    compare_reports(tmp_path, Criteria(), "en")
    assert comparison(tmp_path, "2.25.2").status is Status.NO_PRIOR


def test_studies_without_a_patient_are_not_one_patient(make, put, tmp_path):
    put("2.25.1", "2019-01-01", [lesion(make)], patient="")
    put("2.25.2", "2020-01-01", [lesion(make)], patient="")
    assert len(by_patient(tmp_path)) == 2
    compare_reports(tmp_path, Criteria(), "en")
    assert comparison(tmp_path, "2.25.2").status is Status.NO_PATIENT


def test_what_is_no_report_is_named_and_left(make, put, tmp_path, caplog):
    put("2.25.1", "2019-01-01")
    put("2.25.2", "2020-01-01")
    (tmp_path / "2.25.1" / "findings.json").write_text("{")
    (tmp_path / ".2.25.3.part").mkdir()
    (tmp_path / ".2.25.3.part" / "findings.json").write_text("{")
    assert compare_reports(tmp_path, Criteria(), "en") == 1
    assert comparison(tmp_path, "2.25.2").status is Status.NO_PRIOR
    (line,) = caplog.messages
    assert "2.25.1" in line
    assert (tmp_path / "2.25.1" / "findings.json").read_text() == "{"


def test_an_empty_folder(tmp_path):
    assert compare_reports(tmp_path, Criteria(), "en") == 0


def test_progress_counts_patients(put, tmp_path):
    put("2.25.1", "2019-01-01")
    put("2.25.2", "2020-01-01")
    put("2.25.3", "2020-01-01", patient="P-OTHER")
    told = []
    compare_reports(tmp_path, Criteria(), "en", lambda *counts: told.append(counts))
    assert told == [(1, 2), (2, 2)]


def test_a_picture_that_is_gone_is_left_out_and_told(make, put, tmp_path):
    put("2.25.1", "2020-01-01", [lesion(make)])
    for name in ("overlay.png", "report.html"):
        (tmp_path / "2.25.1" / name).unlink()
    rewrite(tmp_path / "2.25.1", read_report(tmp_path / "2.25.1" / "findings.json"), "en")
    page = (tmp_path / "2.25.1" / "report.html").read_text()
    assert "<img" not in page
    assert "Only 0 of 1 images are pictured here" in page


def test_the_latest_earlier_day_is_the_prior(make):
    report = make.report(study_date="2020-06-01")
    others = [make.earlier(study=f"2.25.{n}", study_date=f"20{n}-06-01") for n in (17, 19, 18, 21)]
    assert history(report, others).prior.study == "2.25.19"
    assert history(report, others[3:]) == History()


def test_the_same_day_and_no_day_have_no_order(make):
    report = make.report(study_date="2020-06-01")
    same, undated = make.earlier(study_date="2020-06-01"), make.earlier(study_date=None)
    assert history(report, [same, undated, undated]) == History(None, same_day=1, undated=2)
    assert history(make.report(study_date=None), [same, undated]) == History()
    twice = [make.earlier(study=study, study_date="2019-01-01") for study in ("2.25.8", "2.25.9", "2.25.7")]
    assert history(report, twice).prior.study == "2.25.9"


def test_a_study_without_a_frontal_chest_radiograph_is_no_prior(make):
    lateral, frontal = make.earlier(study_date="2020-01-01", view="LL"), make.earlier(study="2.25.8")
    assert history(make.report(study_date="2020-06-01"), [lateral, frontal]).prior.study == "2.25.8"


def test_the_form_on_the_disk_is_the_one_of_the_report(put, tmp_path):
    put("2.25.1", "2020-01-01")
    compare_reports(tmp_path, Criteria(), "en")
    path = tmp_path / "2.25.1" / "findings.json"
    assert json.loads(path.read_text()) == json.loads(json.dumps(to_dict(read_report(path))))
