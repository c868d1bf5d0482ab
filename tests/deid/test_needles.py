import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvit.deid.needles import fold, of_date, of_name, of_value, squeeze


def found(needles, text: str) -> bool:
    folded = fold(text)
    return any(needle.spans(folded, squeeze(folded)) for needle in needles)


@pytest.mark.parametrize(
    "text",
    [
        "Doe^Jane",
        "DOE, JANE",
        "jane doe",
        "Jane  DOE",
        "CT for Jane",
        "doe",
        "JaneDoe",
        "Doe-Jane",
        "Jane_Doe",
        "x doe.",
    ],
)
def test_a_name_in_any_order_and_case(text):
    assert found(of_name("Doe^Jane"), text)


@pytest.mark.parametrize("text", ["Doering", "Janet", "shoed", "doex", "do e", "CT chest", ""])
def test_short_names_count_as_whole_words_only(text):
    assert not found(of_name("Doe^Jane"), text)


@pytest.mark.parametrize(
    ("name", "text"),
    [("Mühlenbröker^Jürg", "muehlenbroeker"), ("Mühlenbröker^Jürg", "MUHLENBROKER"), ("Łukasiewicz^J", "Lukasiewicz"),
     ("Вознесенцев^Мстислав", "VOZNESENTSEV"), ("Παπαδόπουλος^Ε", "Papadopoulos"), ("Ouyang^Jing=欧阳^靖", "欧阳靖"),
     ("欧阳^靖涵", "患者欧阳靖涵胸片"), ("Papadiamantopoulos^A", "PAPADIAMANTOPOUL"), ("Smithson^Al", "xSmithsonx"),
     ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ"), ("Vantrellis^Q", "Vant rellis"), ("O'Brien^P", "OBRIEN P")],
)  # fmt: skip
def test_names_of_many_scripts_and_spellings(name, text):
    assert found(of_name(name), text)


def test_letters_of_a_name_with_digits_count_from_three_on():
    assert not found(of_name("Samples^US1"), "US")
    assert found(of_name("Roe2^Jane"), "roe")


@pytest.mark.parametrize(
    ("name", "text"),
    [("李^娜", "胸部 李娜"), ("Li^Na=李^娜", "李娜"), ("王^小明", "王小明"), ("^^^^Featherstone", "for Featherstone"),
     ("^^^Roe", "ROE"), ("O'Brien^Pat", "O'BRIEN"), ("D'Souza^A", "dsouza")],
)  # fmt: skip
def test_names_of_one_character_in_odd_components_and_with_apostrophes(name, text):
    assert found(of_name(name), text)


def test_particles_titles_and_initials_are_no_names():
    needles = of_name("van der Berg^A^^Dr")
    assert not found(needles, "vue de face, van, der, A, Dr")
    assert found(needles, "Berg")


@pytest.mark.parametrize(
    "text",
    ["4711008", "0004711008", "MRN4711008", "4711 008", "47-11-008", "ID:4711008.", "x4711008x", "\x004711008 "],
)
def test_a_number_padded_or_split(text):
    assert found(of_value("4711008"), text)
    assert found(of_value("0004711008"), text)


@pytest.mark.parametrize("text", ["14711008", "47110081", "0.4711008", "471100", "4711/7/008"])
def test_another_number_is_none(text):
    assert not found(of_value("4711008"), text)


def test_short_numbers_count_in_texts_only_and_the_shortest_not_at_all():
    assert [needle.anywhere for needle in of_value("4711")] == [False]
    assert of_value("12") == ()
    assert of_value("0001") == ()


@pytest.mark.parametrize("text", ["PAT.00012.6017", "pat 00012 6017", "PAT000126017", "6017", "PAT-00012/6017"])
def test_a_number_of_several_groups(text):
    assert found(of_value("PAT.00012.6017"), text)


@pytest.mark.parametrize(
    "text", ["1 Priory Gate, 40213 Nethermoor", "PRIORY GATE", "nethermoor", "Nethermoor CT", "at 1 Priory Gate"]
)
def test_an_address_whole_in_parts_and_by_its_telling_words(text):
    assert found(of_value("1 Priory Gate, 40213 Nethermoor"), text)


def test_words_that_name_no_institution_are_let_be():
    needles = of_value("University Hospital")
    assert not found(needles, "university hospital")
    assert not found(of_value("Saint Aldhelmina Hospital"), "hospital chest")
    assert found(of_value("Saint Aldhelmina Hospital"), "at Aldhelmina")


@given(st.dates(), st.sampled_from(["%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%b-%Y", "%B %d, %Y", "%d %b %Y",
                                    "%Y%m%d101112", "%Y.%m.%d", "%d/%m/%Y", "born %Y-%m-%d"]))  # fmt: skip
def test_a_date_in_every_form(day, form):
    compact = f"{day.year:04d}{day:%m%d}"
    text = day.strftime(form.replace("%Y", f"{day.year:04d}"))
    assert found(of_date(compact), text)


@pytest.mark.parametrize("text", ["3.1950.5", "19500513", "1950", "2.25.919500312001", "0.19500312", "May 1950"])
def test_what_is_another_date_or_none(text):
    assert not found(of_date("19500312"), text)


@pytest.mark.parametrize("date", ["", "1950", "19501301", "Jane"])
def test_no_needle_of_what_is_no_date(date):
    assert of_date(date) == ()


@given(st.text(max_size=30))
def test_folding_is_stable(text):
    assert fold(fold(text)) == fold(text) or not text.isascii()
    assert squeeze(squeeze(fold(text))) == squeeze(fold(text))
