from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from radvit.audit import AuditLog
from radvit.deid.batch import Failure
from radvit.deid.batch_report import AttributeCount, Safeguards
from radvit.deid.burned_in import FOR_RELEASE, Depth, Mode
from radvit.deid.file_copy import FileScrubber, Written
from radvit.deid.ledger import Ledger, applied, guards, line
from radvit.deid.options import DEFAULT, Option
from radvit.deid.rescan import Scan
from radvit.deid.walk import Tally

DONE = {
    ("D", "PatientName"): 1, ("U", "SOPInstanceUID"): 1, ("C", "StudyDate"): 2, ("C", "StudyDescription"): 1,
    ("X", "SeriesDescription"): 1, ("X", "PatientAddress"): 1, ("K", "Rows"): 1, ("X", "(6000,3000)"): 1,
}  # fmt: skip


def written(pseudonymizer, patient, study, image, modality="CR", blanked=0):
    return Written(
        patient=pseudonymizer.patient(patient),
        study=pseudonymizer.uid(study),
        series=pseudonymizer.uid(f"{study}.1"),
        image=pseudonymizer.uid(image),
        modality=modality,
        tally=Tally(Counter(DONE), private_removed=3, private_kept=1),
        scan=Scan(100, 20, 0),
        searched=True,
        blanked=blanked,
        allowed=2,
    )


@pytest.fixture
def told(tmp_path, pseudonymizer):
    ledger, log = Ledger(), AuditLog(tmp_path / "log.jsonl", b"a" * 32)
    outcomes = [
        written(pseudonymizer, "A", "1.1", "1.1.1", blanked=2),
        Failure(Path("Jane Roe/x.dcm"), "burned-in", "no text"),
        written(pseudonymizer, "A", "1.2", "1.2.1", "CT"),
        written(pseudonymizer, "B", "1.3", "1.3.1"),
        Failure(Path("Jane Roe/y.dcm"), "timeout", "too long"),
    ]
    with log.batch() as lines:
        for outcome in outcomes:
            ledger.add(outcome, lines)
    return ledger, list(log.records()), outcomes


def test_files_patients_and_modalities_are_counted(told):
    ledger, _, _ = told
    files, counts = ledger.files(), ledger.written_counts()
    assert (files.read, files.written, files.quarantined, files.failed) == (5, 3, 1, 1)
    assert (counts.patients, counts.studies, counts.series, counts.images) == (2, 3, 3, 3)
    assert [(one.modality, one.patients, one.studies, one.images) for one in ledger.modalities()] == [
        ("CR", 2, 2, 2),
        ("CT", 1, 1, 1),
    ]


def test_headers_pixels_and_searches_are_summed(told):
    ledger, _, _ = told
    headers, pixels, scan = ledger.headers(), ledger.pixel_counts(), ledger.rescan()
    assert AttributeCount("StudyDate", "C", 6) in headers.attributes
    assert (headers.private_removed, headers.private_kept) == (9, 3)
    assert (headers.uids_replaced, headers.dates_shifted) == (3, 6)
    assert (headers.texts_removed, headers.texts_cleaned) == (3, 3)
    assert (pixels.searched, pixels.blanked, pixels.regions, pixels.allowed) == (3, 1, 2, 6)
    assert (scan.files, scan.bytes, scan.identifiers, scan.hits) == (3, 300, 60, 0)


def test_the_log_gets_pseudonyms_and_attributes_and_no_file_name(told):
    _, records, outcomes = told
    assert [record["event"] for record in records[1:]] == [
        *("deid.file", "deid.quarantined", "deid.file", "deid.file", "deid.failed"),
    ]
    assert records[2] == records[2] | {"number": 1, "reason": "burned-in"}
    assert records[5] == records[5] | {"number": 2, "reason": "timeout"}
    assert "Jane" not in str(records)
    assert records[1]["image"] == outcomes[0].image
    assert line(outcomes[0])["actions"] == {
        "C": ["StudyDate", "StudyDescription"],
        "D": ["PatientName"],
        "U": ["SOPInstanceUID"],
        "X": ["(6000,3000)", "PatientAddress", "SeriesDescription"],
    }


def test_refusals_go_by_number(told):
    (refusal,), (failure,) = told[0].quarantined(), told[0].failed()
    assert (refusal.reason, refusal.files) == ("burned-in", (1,))
    assert (failure.reason, failure.files) == ("timeout", (2,))
    assert refusal.words
    assert failure.words


@pytest.mark.parametrize("reason", ["memory", "timeout", "crashed", "error", "disk"])
def test_what_is_no_fault_of_the_file_failed_and_is_not_in_quarantine(reason):
    ledger = Ledger(failures=[Failure(Path("x"), reason, ""), Failure(Path("y"), "not-dicom", "")], read=2)
    assert (ledger.files().quarantined, ledger.files().failed) == (1, 1)
    assert [refusal.reason for refusal in (*ledger.quarantined(), *ledger.failed())] == ["not-dicom", reason]


@pytest.mark.parametrize(
    ("changed", "options", "expected"),
    [
        ({}, DEFAULT, (True, True, True, True)),
        ({"mode": Mode.SUSPECT}, DEFAULT, (True, False, True, True)),
        ({"depth": Depth.QUICK}, DEFAULT, (True, True, False, True)),
        ({"allow_none": True}, DEFAULT, (True, True, True, False)),
        ({"captures": False}, DEFAULT, (True, True, True, False)),
        ({"mode": Mode.OFF}, DEFAULT, (False, False, False, False)),
        ({}, DEFAULT - {Option.CLEAN_PIXELS}, (False, False, False, False)),
    ],
)
def test_a_safeguard_that_is_off_is_told(pseudonymizer, changed, options, expected):
    scrubber = FileScrubber(pseudonymizer, options=options, burned_in=replace(FOR_RELEASE, **changed))
    assert guards(scrubber, project=False) == Safeguards(*expected, project=False)
    assert guards(scrubber, project=True).project


def test_every_option_is_told_on_or_off():
    options = applied(DEFAULT)
    assert len(options) == len(Option)
    assert {option.code for option in options if option.on} == {"113101", "113107", "113108"}


def test_an_empty_batch():
    ledger = Ledger()
    assert (ledger.files().read, ledger.written_counts().images) == (0, 0)
    assert ledger.modalities() == ledger.quarantined() == ledger.failed() == ()
    assert ledger.headers().attributes == ()
