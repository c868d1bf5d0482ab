import pytest

from radvit.records import Basis, Finding, Geometry, Header, SpacingPlane
from radvit.report.build import ReportFinding, ReportImage
from radvit.report.fleischner import (
    Advice,
    Density,
    Fleischner,
    Reason,
    Risk,
    Stated,
    advised,
    assess,
    whole_mm,
    years,
)

CT_SLICE = "1.2.840.10008.5.1.4.1.1.2"
AXIAL, CORONAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
STATED = Stated(Density.SOLID, Risk.LOW, True)
A = Advice

# MacMahon et al. 2017, Table: density, several, risk, and the entries for 5, 6, 8, 9 and 30 mm.
TABLE = [
    ("solid", False, "low", *[A.NO_ROUTINE, *[A.CT_6_12_CONSIDER_18_24] * 2, *[A.CONSIDER_3_PET_TISSUE] * 2]),
    ("solid", False, "high", *[A.OPTIONAL_12, *[A.CT_6_12_THEN_18_24] * 2, *[A.CONSIDER_3_PET_TISSUE] * 2]),
    ("solid", True, "low", *[A.NO_ROUTINE, *[A.CT_3_6_CONSIDER_18_24] * 4]),
    ("solid", True, "high", *[A.OPTIONAL_12, *[A.CT_3_6_THEN_18_24] * 4]),
    ("ground_glass", False, None, *[A.NO_ROUTINE, *[A.CT_6_12_THEN_2_YEARLY] * 4]),
    ("part_solid", False, None, *[A.NO_ROUTINE, *[A.CT_3_6_THEN_YEARLY] * 4]),
    ("ground_glass", True, None, *[A.CT_3_6_CONSIDER_2_4_YEARS, *[A.CT_3_6_MOST_SUSPICIOUS] * 4]),
    ("part_solid", True, None, *[A.CT_3_6_CONSIDER_2_4_YEARS, *[A.CT_3_6_MOST_SUSPICIOUS] * 4]),
]


def image(number=1, spacing=(0.5, 0.5), axes=AXIAL, plane=SpacingPlane.PATIENT, **changes):
    told = {"modality": "CT", "body_part": "CHEST", "age": "063Y", "sop_class": CT_SLICE} | changes
    header = Header("P-A", "2.25.1", "2.25.2", f"2.25.{number}", **told)
    return ReportImage(number, header, Geometry(512, 512, spacing, plane, "PixelSpacing", (0.0, 0.0, 0.0), axes))


def nodule(number=1, on=1, sides=(14, 12), label="nodule", basis=Basis.BOX, band=None):
    box = None if sides is None else (100.0, 200.0, 100.0 + sides[0], 200.0 + sides[1])
    return ReportFinding(number, on, band, Finding(label, 0.9, f"2.25.{on}", box, basis=basis))


def assessed(*findings, images=None, age="063Y", stated=STATED, unsure=()):
    return assess(images or [image()], findings or [nodule()], unsure, age, stated)


@pytest.mark.parametrize(("density", "several", "risk", "entries"), [(*row[:3], row[3:]) for row in TABLE])
def test_every_entry_of_the_table(density, several, risk, entries):
    stated = Stated(Density(density), risk and Risk(risk), True)
    assert tuple(advised(size, several, stated) for size in (5, 6, 8, 9, 30)) == entries


@pytest.mark.parametrize("risk", [None, *Risk])
def test_risk_changes_nothing_of_subsolid_nodules(risk):
    made = assessed(stated=Stated(Density.GROUND_GLASS, risk, True))
    assert (made.reasons, made.advice) == ((), A.CT_6_12_THEN_2_YEARLY)


@pytest.mark.parametrize(("size", "whole"), [(5.49, 5), (5.5, 6), (6.5, 7), (8.49, 8), (8.5, 9), (0.2, 0)])
def test_sizes_are_taken_in_whole_mm_halves_up(size, whole):
    assert whole_mm(size) == whole


@pytest.mark.parametrize(
    ("age", "old"), [("063Y", 63), ("420M", 35), ("007D", 7 / 365.25), ("63Y", None), ("٠٦٣Y", None), (None, None)]
)
def test_ages(age, old):
    assert years(age) == pytest.approx(old)


def test_a_single_nodule_with_all_its_inputs():
    made = assessed(nodule(sides=(14, 12)), images=[image(spacing=(0.5, 0.25))])
    assert made == Fleischner((1,), ((14 * 0.25 + 12 * 0.5) / 2,), False, "063Y", STATED, (), A.NO_ROUTINE)


@pytest.mark.parametrize(("sides", "advice"), [((11, 10.9), A.NO_ROUTINE), ((11, 11), A.CT_6_12_CONSIDER_18_24)])
def test_a_size_at_the_edge_of_a_row(sides, advice):
    assert assessed(nodule(sides=sides)).advice is advice  # 5.475 and 5.5 mm


def test_several_nodules_of_one_slice_go_by_the_largest():
    made = assessed(nodule(1, sides=(8, 8)), nodule(2, sides=(14, 14)))
    assert (made.several, made.sizes_mm, made.advice) == (True, (4.0, 7.0), A.CT_3_6_CONSIDER_18_24)


def test_what_is_no_nodule_counts_for_nothing():
    assert assessed(nodule(label="mass")) is None
    made = assessed(nodule(1), nodule(2, label="effusion"), unsure=(2,))
    assert (made.numbers, made.several, made.reasons) == ((1,), False, ())
    assert assessed(nodule(label="Nodule/Mass")).advice is A.CT_6_12_CONSIDER_18_24


@pytest.mark.parametrize("modality", ["CR", "DX", "RF", "MG", "XA", "MR", "OT", "PT", "ct"])
def test_no_other_image_has_even_a_word_of_it(modality):
    assert assessed(images=[image(modality=modality)]) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"axes": CORONAL}, Reason.SLICE),  # as a scout has it
        ({"axes": None}, Reason.SLICE),
        ({"plane": SpacingPlane.UNKNOWN}, Reason.SLICE),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.7"}, Reason.SLICE),  # Secondary Capture
        ({"sop_class": None}, Reason.SLICE),
        ({"body_part": None}, Reason.BODY),
        ({"body_part": "ABDOMEN"}, Reason.BODY),
        ({"spacing": None}, Reason.SIZE),
    ],
)
def test_an_image_that_is_no_axial_slice_of_the_chest(change, reason):
    made = assessed(images=[image(**change)])
    assert (made.reasons, made.advice) == ((reason,), None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sides": None}, Reason.SIZE),
        ({"basis": Basis.ATTENTION}, Reason.SIZE),
        ({"sides": (61, 61)}, Reason.LARGE),  # 30.5 mm
    ],
)
def test_a_nodule_of_unknown_or_too_large_size(change, reason):
    assert assessed(nodule(**change)).reasons == (reason,)
    assert assessed(nodule(sides=(60.9, 60.9))).reasons == ()


@pytest.mark.parametrize(
    ("stated", "reasons"),
    [
        (Stated(), (Reason.DENSITY, Reason.RISK, Reason.INCIDENTAL)),
        (Stated(Density.SOLID, None, True), (Reason.RISK,)),
        (Stated(Density.SOLID, Risk.HIGH), (Reason.INCIDENTAL,)),
        (Stated(None, Risk.HIGH, True), (Reason.DENSITY,)),
        (Stated(Density.PART_SOLID), (Reason.INCIDENTAL,)),
    ],
)
def test_what_was_not_stated_is_named(stated, reasons):
    assert assessed(stated=stated).reasons == reasons


@pytest.mark.parametrize(
    ("age", "reasons"),
    [(None, (Reason.AGE,)), ("odd", (Reason.AGE,)), ("034Y", (Reason.YOUNG,)), ("419M", (Reason.YOUNG,)), ("035Y", ())],
)
def test_age(age, reasons):
    assert assessed(age=age).reasons == reasons


def test_an_unsure_nodule_makes_their_count_unsure():
    assert assessed(nodule(1), nodule(2), unsure=(2,)).reasons == (Reason.UNSURE,)


def test_findings_of_two_slices_may_be_one_nodule():
    made = assessed(nodule(1, 1), nodule(2, 2), images=[image(1), image(2)])
    assert (made.several, made.reasons) == (False, (Reason.SAME,))
    on_a_radiograph = assessed(nodule(1, 1), nodule(2, 2), images=[image(1), image(2, modality="DX")])
    assert (on_a_radiograph.numbers, on_a_radiograph.reasons) == ((1,), (Reason.SAME,))
    two_of_one = assessed(nodule(1, 1), nodule(2, 1), nodule(3, 2), images=[image(1), image(2)])
    assert (two_of_one.several, two_of_one.reasons) == (True, ())


def test_several_reasons_are_all_named_in_order():
    made = assessed(nodule(sides=None), images=[image(axes=None, body_part=None)], age=None, stated=Stated())
    told = [Reason.SLICE, Reason.BODY, Reason.SIZE, Reason.AGE, Reason.DENSITY, Reason.RISK, Reason.INCIDENTAL]
    assert list(made.reasons) == told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"advice": A.OPTIONAL_12}, "the guideline's table has Advice.CT_6_12_CONSIDER_18_24"),
        ({"advice": None}, "the guideline's table has"),
        ({"reasons": (Reason.AGE,)}, "the guideline's table has None"),
        ({"sizes_mm": (None,)}, "expected one of each nodule"),
        ({"sizes_mm": (6.0, 7.0)}, "1 nodules with 2 sizes"),
        ({"stated": Stated()}, "density None"),
        ({"stated": Stated(Density.SOLID)}, "risk None"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, words):
    right = {
        "numbers": (1,),
        "sizes_mm": (6.5,),
        "several": False,
        "age": "063Y",
        "stated": STATED,
        "advice": A.CT_6_12_CONSIDER_18_24,
    }
    Fleischner(**right)
    with pytest.raises(ValueError, match=words):
        Fleischner(**(right | changes))
