from dataclasses import replace

import pytest

from radvit.deid import batch_report as records
from radvit.deid.reasons import REASONS
from radvit.errors import DeidError

from .batch_reports import large, small


def test_attributes_by_count_with_their_tags():
    done = {("X", "PatientAddress"): 3, ("K", "Rows"): 9, ("X", "(0011,00FF)"): 3, ("Z", "PatientAddress"): 1}
    counts = records.attribute_counts(done)
    assert [(c.keyword, c.tag, c.action, c.elements) for c in counts] == [
        ("Rows", "(0028,0010)", "K", 9),
        ("PatientAddress", "(0010,1040)", "X", 3),
        ("", "(0011,00FF)", "X", 3),
        ("PatientAddress", "(0010,1040)", "Z", 1),
    ]
    headers = replace(small().headers, attributes=counts)
    assert headers.actions == {"X": 6, "Z": 1, "D": 0, "U": 0, "C": 0, "K": 9}
    assert records.attribute_counts({}) == ()


def test_refusals_by_count_with_their_words():
    told = records.refusals([(9, "deid"), (4, "odd"), (7, "deid")], REASONS)
    assert told == (records.Refusal("deid", (7, 9), REASONS["deid"]), records.Refusal("odd", (4,), ""))
    assert records.refusals([], REASONS) == ()


def test_what_is_no_attribute_is_refused_and_not_repeated():
    for name in ("Jane Doe", "", "(0010,001)", "(0010,0010)\n", "0010,0010"):
        with pytest.raises(DeidError, match=f"attribute of {len(name)} characters") as refused:
            records.AttributeCount(name, "X", 1)
        assert "Jane" not in str(refused.value)
    with pytest.raises(DeidError, match="expected one of X, Z, D, U, C, K"):
        records.AttributeCount("Rows", "Q", 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: records.FileCounts(5, 3, 1), "5 files were read, and 4 accounted for"),
        (lambda: records.FileCounts(-1, -1, 0), r"FileCounts\.read is -1"),
        (lambda: records.PixelCounts(1, 0, -3, 0), r"PixelCounts\.regions is -3"),
        (lambda: records.AttributeCount("Rows", "K", -1), r"AttributeCount\.elements is -1"),
        (lambda: records.AuditLines(0, 4, "ab" * 32), "audit lines 0 to 4"),
        (lambda: records.AuditLines(5, 4, "ab" * 32), "audit lines 5 to 4"),
        (lambda: records.AuditLines(1, 4, "AB" * 32), "expected a range from 1 and a hash"),
        (lambda: replace(small(), key="0123456789AB"), "key fingerprint of 12 characters"),
        (lambda: replace(small(), quarantined=large().quarantined), "0 files quarantined, and 503 with a reason"),
        (lambda: replace(large(), failed=()), "41 files failed, and 0 with a reason"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(make, words):
    with pytest.raises(DeidError, match=words):
        make()
