"""Batch reports to test the page with: an empty batch, a small one, a large one."""

import random
from dataclasses import replace

from pydicom._dicom_dict import DicomDictionary

from radvit.deid import batch_report as records
from radvit.deid.reasons import REASONS

OPTIONS = (
    records.AppliedOption("113101", "Clean Pixel Data Option", True, "text burned into the pixels is blanked"),
    records.AppliedOption("113106", "Retain Longitudinal Temporal Information Full Dates Option", False, "dates stay"),
    records.AppliedOption(
        "113107", "Retain Longitudinal Temporal Information Modified Dates Option", True, "dates go back by some days"
    ),
    records.AppliedOption("113108", "Retain Patient Characteristics Option", True, "sex, age up to 89 and size stay"),
    records.AppliedOption("113111", "Retain Safe Private Option", False),
)


def empty():
    """Nothing was there to read."""
    return records.BatchReport(
        version="0.1.0",
        commit="",
        started="2025-11-25T13:00:00+00:00",
        ended="2025-11-25T13:00:01+00:00",
        user="jo",
        profile="Basic Application Confidentiality Profile",
        key="0123456789ab",
        options=OPTIONS,
        safeguards=records.Safeguards(True, True, True, True, False),
        files=records.FileCounts(0, 0, 0),
        written=records.WrittenCounts(0, 0, 0, 0),
        modalities=(),
        headers=records.HeaderCounts((), 0, 0, 0, 0, 0, 0),
        pixels=records.PixelCounts(0, 0, 0, 0),
    )


def small():
    """Two files, both written."""
    done = {("X", "InstitutionName"): 2, ("Z", "AccessionNumber"): 2, ("D", "PatientName"): 2, ("K", "Rows"): 2}
    return replace(
        empty(),
        commit="0fe999a4ec12cdb4695ede5b07508c9af6984f6d+",
        files=records.FileCounts(2, 2, 0),
        written=records.WrittenCounts(1, 1, 1, 2),
        modalities=(records.ModalityCounts("DX", 1, 1, 2),),
        headers=records.HeaderCounts(records.attribute_counts(done), 7, 0, 6, 4, 2, 0),
        pixels=records.PixelCounts(2, 1, 3, 1),
        rescan=records.RescanCounts(2, 4711, 12, 0),
        audit=records.AuditLines(3, 6, "ab" * 32),
    )


def large(quarantined=503, failed=41):
    """A hundred thousand files; every number is another."""
    rng = random.Random(0)
    names = [row[4] for _, row in sorted(DicomDictionary.items()) if row[4] and not row[3]][:400]
    done = {
        (rng.choice("XXXZDUCK"), name): rng.randint(1, 1_200_000 // (1 + place)) for place, name in enumerate(names)
    }
    done["X", "(0011,00FF)"] = 17
    reasons = ["identifier-left", "no-pixels", "truncated", "deid", "decode-failed", "duplicate", "unknown-code"]
    numbers = rng.sample(range(1, 100_000), quarantined + failed)
    weights = [20, 30, 10, 4, 3, 2, 1]
    of = [(number, rng.choices(reasons, weights)[0]) for number in numbers]
    return replace(
        small(),
        ended="2025-11-25T16:41:07+00:00",
        files=records.FileCounts(104_388, 104_388 - quarantined - failed, quarantined, failed),
        written=records.WrittenCounts(8_112, 11_934, 27_415, 103_844),
        modalities=tuple(
            records.ModalityCounts(name, *counts)
            for name, *counts in (("DX", 5_020, 7_001, 62_447), ("CT", 1_337, 1_502, 40_311), ("MG", 402, 511, 1_086))
        ),
        headers=records.HeaderCounts(
            records.attribute_counts(done), 3_456_789, 12_345, 987_654, 456_123, 234_567, 98_765
        ),
        pixels=records.PixelCounts(61_999, 3_210, 7_654, 5_432),
        quarantined=records.refusals(of[:quarantined], REASONS),
        failed=records.refusals([(number, "crashed") for number, _ in of[quarantined:]], REASONS),
        rescan=records.RescanCounts(103_844, 812_345_678, 1_234_567, 0),
        audit=records.AuditLines(1_204, 105_595, "c0ffee" * 10 + "beef"),
    )
