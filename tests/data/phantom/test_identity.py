import datetime

import numpy as np
import pydicom
import pytest

from radvit.data.phantom.identity import draw_dates, draw_identity, draw_visit, secrets_of, uid
from radvit.data.phantom.names import NAMES


def raw(written, name):
    return (written.folder / name).read_bytes()


def test_headers_hold_what_the_answer_key_lists(written):
    """A leak test that searches for these strings would find them in the originals."""
    for person in written.people:
        sets = [written.datasets[name] for name in person["files"]]
        for dataset in sets:
            for word in str(dataset.PatientName).replace("^", " ").replace("=", " ").split():
                assert word in person["strings"] or len(word.encode()) < 5
            assert {dataset.PatientID, dataset.PatientBirthDate, dataset.StudyDate} <= set(person["strings"])
            assert {dataset.AccessionNumber, dataset.StationName, dataset.InstitutionName} <= set(person["strings"])
            assert {dataset.SOPInstanceUID, dataset.StudyInstanceUID} <= set(person["uids"])
            assert {dataset.PatientBirthDate, dataset.StudyDate} <= set(person["dates"])
        bytes_of_person = b"".join(raw(written, name) for name in person["files"])
        encodings = [pydicom.charset.python_encoding[str(sets[0].SpecificCharacterSet)], "ascii"]
        for text in person["strings"]:
            assert any(can_encode(text, e) and text.encode(e) in bytes_of_person for e in encodings), text


def can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def test_strings_are_long_enough_not_to_be_hit_by_chance(written):
    assert min(len(text.encode()) for person in written.people for text in person["strings"]) >= 5


def test_identity_occurs_in_sequences_private_groups_and_free_text(written):
    sets = list(written.datasets.values())
    private = [d for d in sets if (0x0009, 0x0010) in d]
    assert private
    for dataset in private:
        creator, value = dataset[0x0009, 0x0010].value, dataset[0x0009, 0x1001].value
        told = [
            v.decode().strip() if isinstance(v, bytes) else v for v in (creator, value)
        ]  # bytes where VR is implicit
        assert told == ["RADVIT PHANTOM PACS", dataset.PatientID]
    assert all(d.RequestAttributesSequence[0].AccessionNumber == d.AccessionNumber for d in sets)
    assert any("OtherPatientIDsSequence" in d for d in sets)
    assert any("ReferencedStudySequence" in d for d in sets)
    corrected = [d for d in sets if "OriginalAttributesSequence" in d]
    before = [d.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName for d in corrected]
    assert before
    assert before == [d.PatientName for d in corrected]
    assert all(d.PatientID in d.AdditionalPatientHistory for d in sets)


def test_burned_in_text_is_flagged(written):
    flags = {dataset.BurnedInAnnotation for dataset in written.datasets.values()}
    assert flags == {"YES", "NO"}


def test_earlier_study_is_referenced_by_its_own_uid(written):
    studies = {dataset.StudyInstanceUID for dataset in written.datasets.values()}
    for dataset in written.datasets.values():
        for reference in dataset.get("ReferencedStudySequence", []):
            assert reference.ReferencedSOPInstanceUID in studies - {dataset.StudyInstanceUID}


@pytest.mark.parametrize("script", NAMES, ids=lambda script: script.families[0][1])
def test_every_name_can_be_written_in_its_character_set(script):
    encoding = pydicom.charset.python_encoding[script.character_set]
    for seed in range(20):
        name, plain = script.draw(np.random.default_rng(seed), female=bool(seed % 2))
        assert name.encode(encoding)
        assert plain.isascii()
        assert len(name) <= 64


def test_uids_are_valid_and_depend_on_every_part():
    uids = {uid(0, 1, 2), uid(0, 1, 3), uid(1, 1, 2), uid(0, 12)}
    assert len(uids) == 4
    assert all(pydicom.uid.UID(value).is_valid and len(value) <= 64 for value in uids)


def test_ages_and_dates_fit():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        identity = draw_identity(rng, seed, female=bool(seed % 2))
        days = draw_dates(rng, 4)
        assert days == sorted(set(days))
        assert days[-1] < datetime.date(2030, 1, 1)
        visit = draw_visit(rng, 0, seed, 1, identity, days[1])
        assert identity.birth < days[0]
        assert int(visit.age[:3]) == (days[1] - identity.birth).days // 365
        assert visit.date in secrets_of(identity.person, [visit], [])
