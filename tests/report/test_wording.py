import re

import pytest

from radvit.errors import ConfigError
from radvit.records import Location, SpacingPlane
from radvit.report import wording
from radvit.report.build import Bands
from radvit.report.words_en import ENGLISH
from radvit.report.words_zh import CHINESE

EN, ZH = wording.words("en"), wording.words("zh")
HEALTHY = re.compile(
    r"\bnormal\b|healthy|no disease|unremarkable|clear lungs|no abnormal|未见异常|正常|健康|无异常|未见明显异常", re.I
)


def all_sentences(report, w):
    return [
        *wording.impression(report, w),
        wording.recommendation(report, w),
        wording.findings_summary(report, w),
        *(wording.finding_sentence(item, w) for item in report.findings),
        *wording.limits(report, w, len(report.images)),
        wording.refusals(report, w),
    ]


def test_both_languages_have_every_sentence():
    def sentences(table):
        return {key for key in table if not key.startswith("type.")}

    assert sentences(ENGLISH) == sentences(CHINESE)


def test_types_are_known_in_both_languages():
    assert {k.removesuffix(".many") for k in ENGLISH if k.startswith("type.")} == {
        k for k in CHINESE if k.startswith("type.")
    }


@pytest.mark.parametrize("key", sorted(ENGLISH))
def test_both_languages_fill_in_the_same_values(key):
    if key in CHINESE:
        fields = [sorted(set(re.findall(r"{(\w+)}", table[key]))) for table in (ENGLISH, CHINESE)]
        if key.endswith(".one"):  # English may say "1" in words
            fields = [[name for name in names if name != "n"] for names in fields]
        assert fields[0] == fields[1]


def test_unknown_language():
    with pytest.raises(ConfigError, match="report language 'fr'; expected one of en, zh"):
        wording.words("fr")


@pytest.mark.parametrize(
    ("score", "english", "chinese"),
    [
        (0.81, "Highly suspicious for nodule (finding 1).", "高度可疑结节"),
        (0.8, "Suspicious for nodule (finding 1).", "可疑结节"),
        (0.5, "No suspicious finding above the threshold of 0.50.", "未见超过阈值"),
    ],
)
def test_impression_of_each_band(make, score, english, chinese):
    report = make.report([make.finding(score)])
    assert wording.impression(report, EN)[0] == english
    assert wording.impression(report, ZH)[0].startswith(chinese)


def test_impression_counts_and_groups(make):
    scores = [("nodule", 0.95), ("mass", 0.9), ("nodule", 0.85), ("nodule", 0.6), ("nodule", 0.4), ("mass", 0.35)]
    report = make.report([make.finding(score, label) for label, score in scores])
    assert wording.impression(report, EN) == [
        "Highly suspicious for nodules (findings 1 and 3).",
        "Highly suspicious for mass (finding 2).",
        "Suspicious for nodule (finding 4).",
        "Findings 5 and 6 are of low confidence and listed for attention.",
    ]


def test_impression_without_findings_excludes_nothing(make):
    assert wording.impression(make.report(), EN) == [
        "No suspicious finding above the threshold of 0.50.",
        "This does not exclude disease.",
    ]
    assert wording.impression(make.report(), ZH)[-1] == "本结果不能排除疾病。"


def test_impression_names_its_own_threshold(make):
    report = make.report([make.finding(0.4)], bands=Bands(0.9, 0.45, 0.2))
    assert wording.impression(report, EN)[0] == "No suspicious finding above the threshold of 0.45."


@pytest.mark.parametrize("w", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("score", [None, 0.35, 0.6, 0.9])
def test_no_sentence_ever_says_healthy(make, w, score):
    report = make.report([] if score is None else [make.finding(score)])
    assert not [sentence for sentence in all_sentences(report, w) if HEALTHY.search(sentence)]


@pytest.mark.parametrize(("w", "regions"), [(EN, "marked regions"), (ZH, "标注区域")], ids=["en", "zh"])
@pytest.mark.parametrize("score", [0.6, 0.9])
def test_recommendation_speaks_of_regions_only_where_some_are_marked(make, w, regions, score):
    assert regions in wording.recommendation(make.report([make.finding(score)]), w)
    whole = make.report([make.finding(score, box=None, size=None)])
    assert regions not in wording.recommendation(whole, w)
    faint_box = [make.finding(score, box=None, size=None), make.finding(0.4)]
    assert regions not in wording.recommendation(make.report(faint_box), w)


def test_finding_sentence(make):
    (item,) = make.report([make.finding(0.876, size=14.2)]).findings
    assert wording.finding_sentence(item, EN) == (
        "Nodule in the right upper zone; longest side of the box 14 mm (at the detector); "
        "confidence 0.88, highly suspicious."
    )
    chinese = wording.finding_sentence(item, ZH)
    assert chinese.startswith("右侧上野见结节征象\uff0c检测框长边约 14 mm\uff08探测器平面\uff09")
    assert chinese.endswith("置信度 0.88\uff0c高度可疑。")


def test_finding_sentence_says_what_is_missing_and_invents_nothing(make):
    (item,) = make.report([make.finding(0.4, size=None, place=Location())]).findings
    assert wording.finding_sentence(item, EN) == (
        "Nodule; size in mm unknown, as the image states no pixel spacing; confidence 0.40, low confidence."
    )


def test_finding_of_the_whole_image(make):
    (item,) = make.report([make.finding(0.9, "pneumonia", None, None, place=Location())]).findings
    assert wording.finding_sentence(item, EN) == (
        "Pneumonia, judged from the whole image; confidence 0.90, highly suspicious."
    )


@pytest.mark.parametrize(
    ("location", "english", "chinese"),
    [
        (Location("left", "lower"), "left lower zone", "左侧下野"),
        (Location("left", None), "left side", "左侧"),
        (Location(None, "middle"), "middle zone", "中野"),
        (Location("right", "upper", None, "image"), "right upper zone (by thirds of the image)", None),
        (Location("right", "upper", "peripheral", "lungs"), "right upper zone, peripheral", "右侧上野外周"),
        (Location("left", "lower", "central", "lungs"), "left lower zone, central", "左侧下野近中央处"),
        (Location("left", None, "outside", "lungs"), "left side, outside the visible lung", None),
        (Location(), "", ""),
    ],
)
def test_place(location, english, chinese):
    assert wording.place(location, EN) == english
    if chinese is None:  # in full-width brackets
        assert re.search(r"\uff08\w+\uff09$", wording.place(location, ZH))
    else:
        assert wording.place(location, ZH) == chinese


def test_contrast(make):
    denser, fainter = make.report([make.finding(0.9, contrast=1.26), make.finding(0.8, contrast=-0.51)]).findings
    assert "; contrast to its surroundings +1.3 standard deviations; " in wording.finding_sentence(denser, EN)
    assert "与周围对比 +1.3 个标准差" in wording.finding_sentence(denser, ZH)
    assert "surroundings \N{MINUS SIGN}0.5 standard" in wording.finding_sentence(fainter, EN)


@pytest.mark.parametrize(("size", "text"), [(3.14, "3.1"), (9.94, "9.9"), (9.96, "10"), (12.4, "12")])
def test_millimetres(size, text):
    assert wording.millimetres(size) == text


@pytest.mark.parametrize("plane", list(SpacingPlane))
def test_every_plane_has_words(plane):
    assert EN[f"plane.{plane.value}"]
    assert ZH[f"plane.{plane.value}"]


def test_plurals(make):
    one, two = make.report([make.finding(0.9)]), make.report([make.finding(0.9), make.finding(0.9)])
    assert wording.findings_summary(one, EN) == "1 finding with a confidence of 0.30 or more."
    assert wording.findings_summary(two, EN) == "2 findings with a confidence of 0.30 or more."
    assert wording.findings_summary(make.report(), EN) == "No finding with a confidence of 0.30 or more."
    assert wording.refusals(make.report(refused=["a"]), EN) == "1 file or image of this study was not read:"
    assert wording.refusals(make.report(refused=["a", "b"]), EN) == "2 files or images of this study were not read:"
    assert wording.refusals(make.report(), EN) == ""


@pytest.mark.parametrize(("n", "text"), [(0, ""), (1, "a"), (2, "a and b"), (3, "a, b and c")])
def test_lists(n, text):
    assert EN.listed(["a", "b", "c"][:n]) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("063Y", "63 years"), ("001Y", "1 year"), ("006M", "6 months"), ("odd", "odd"), (None, "not stated")],
)
def test_age(value, text):
    assert wording.age(value, EN) == text


def test_a_type_the_tables_do_not_know_keeps_its_name():
    assert EN.name("Lung_Cyst") == "Lung Cyst"
    assert ZH.name("Lung_Cyst", 2) == "Lung Cyst"


def test_limits_speak_only_of_what_applies(make):
    bare = wording.limits(make.report(study_date=None), EN, 1)
    assert bare == [ENGLISH["limit.research"], "The model looks for nodules and for nothing else."]
    full = wording.limits(make.report([make.finding(0.9)], [make.finding(0.8)], blanked=2), EN, 1)
    assert ENGLISH["limit.zone"] in full
    assert ENGLISH["limit.magnified"] in full
    assert ENGLISH["limit.same"] in full
    assert ENGLISH["limit.date"] in full
    assert ENGLISH["limit.lungs"] not in full
    assert ENGLISH["limit.contrast"] not in full
    by_lungs = make.finding(0.9, place=Location("left", "lower", "central", "lungs"), contrast=1.0)
    told = wording.limits(make.report([by_lungs]), EN, 1)
    assert ENGLISH["limit.lungs"] in told
    assert ENGLISH["limit.contrast"] in told
    assert ENGLISH["limit.zone"] not in told
    assert "2 regions of burned-in text were blanked in image 2; what lay beneath was not read." in full
    assert "Only 1 of 2 images is pictured here; all 2 were read." in full
