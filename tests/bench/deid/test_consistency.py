import pytest

from radvit.bench.deid.answer import Category, Check, Row
from radvit.bench.deid.consistency import Identifiers
from radvit.bench.deid.find import Opened
from radvit.bench.deid.tally import Tally


def row(file, path, check, value, patient=0):
    return Row(file, path, check, Category.DIRECT, value, (value,), patient=patient)


@pytest.fixture
def learn(write, tmp_path):
    def learned(rows, **files):
        opened = {name: Opened(write(tmp_path / name, **values)) for name, values in files.items()}
        return Identifiers.of(rows, opened)

    return learned


def test_a_pseudonym_is_learned_where_the_identifier_is_the_files_own(learn):
    rows = [row(name, "00081155", Check.UID_CONSISTENT, "1.9") for name in ("a", "b", "c")]
    rows.append(row("c", "0020000D", Check.UID_CONSISTENT, "1.9"))
    wrong = {"ReferencedSOPInstanceUID": "2.25.8"}
    found = learn(rows, a=wrong, b=wrong, c=wrong | {"StudyInstanceUID": "2.25.7"})
    assert found.agree(["1.9"], "2.25.7")
    assert not found.agree(["1.9"], "2.25.8")


def test_several_uids_in_one_attribute_are_learned_one_by_one(learn):
    both = Row("a", "00083010", Check.UID_CONSISTENT, Category.DIRECT, "", ("1.1", "1.2"))
    found = learn([both], a={"IrradiationEventUID": ["2.25.1", "2.25.2"]})
    assert found.agree(["1.1", "1.2"], "2.25.1\\2.25.2")
    assert not found.agree(["1.1", "1.2"], "2.25.2\\2.25.1")


def test_two_identifiers_may_not_share_a_pseudonym(learn):
    rows = [row(name, "00100020", Check.PATID_CONSISTENT, f"patient {name}") for name in ("a", "b", "c")]
    found = learn(rows, a={"PatientID": "P-1"}, b={"PatientID": "P-1"}, c={"PatientID": "P-2"})
    assert not found.agree(["patient a"], "P-1")
    assert found.agree(["patient c"], "P-2")


def test_dates_of_a_patient_are_compared_with_each_other(learn):
    rows = [
        row("a", "00080020", Check.DATE_SHIFTED, "20200110", 1),
        row("a", "00080021", Check.DATE_SHIFTED, "20200111", 1),
        row("a", "00080022", Check.DATE_SHIFTED, "20200112", 1),
        row("b", "00080020", Check.DATE_SHIFTED, "20200110", 2),
        row("b", "00080021", Check.DATE_SHIFTED, "20200110", 2),
    ]
    moved = {"StudyDate": "20200101", "SeriesDate": "20200102", "AcquisitionDate": "20191231"}
    found = learn(rows, a=moved, b={"StudyDate": "20191111", "SeriesDate": ""})
    assert found.dates == Tally(3, 4)
