from dataclasses import replace

import pytest

from radvit.errors import ConfigError
from radvit.report.build import Band, Bands, build_report


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (1.0, Band.HIGH),
        (0.81, Band.HIGH),
        (0.8, Band.MODERATE),  # the bands begin above their bounds
        (0.51, Band.MODERATE),
        (0.5, Band.LOW),
        (0.3, Band.LOW),  # but a finding is listed from the threshold on
        (0.29, Band.NONE),
    ],
)
def test_bands(score, band):
    assert Bands().of(score) is band


@pytest.mark.parametrize("bad", [(0.5, 0.8, 0.3), (0.8, 0.2, 0.3), (1.1, 0.5, 0.3), (0.8, 0.5, -0.1)])
def test_bands_out_of_order(bad):
    with pytest.raises(ConfigError, match="expected 0 <= mention <= moderate <= high <= 1"):
        Bands(*bad)


def test_findings_are_numbered_through_the_study_best_first(make):
    made = make.report([make.finding(0.4), make.finding(0.9)], [make.finding(0.6)])
    assert [(f.number, f.image, f.finding.score, f.band) for f in made.findings] == [
        (1, 1, 0.9, Band.HIGH),
        (2, 2, 0.6, Band.MODERATE),
        (3, 1, 0.4, Band.LOW),
    ]
    assert made.impression is Band.HIGH


def test_no_findings(make):
    made = make.report()
    assert made.findings == ()
    assert made.impression is Band.NONE


def test_patient_block_keeps_only_what_the_images_agree_on(make):
    result = make.study(2)
    other = replace(result.images[1], header=replace(result.images[1].header, age="064Y", sex=None))
    made = build_report(
        replace(result, images=(result.images[0], other)), ([], []), ("nodule",), Bands(), make.provenance
    )
    assert (made.patient, made.sex, made.age) == ("P-ABCDEFGHIJKLMNOP", "F", None)


def test_a_finding_below_mention_is_a_mistake(make):
    with pytest.raises(ConfigError, match=r"a finding scores 0\.2; expected at least 0\.3"):
        make.report([make.finding(0.2)])
