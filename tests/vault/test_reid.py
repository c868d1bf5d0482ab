import json
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvit.errors import VaultError
from radvit.vault import reid
from radvit.vault.keys import KeyFile, Passphrase
from radvit.vault.reid import ReidentificationMap

JANE, JOHN, STUDY = "P-ABCDEFGHIJKLMNOP", "P-QRSTUVWXYZ234567", "2.25.7"
IDENTITY = {"PatientName": "Doe^Jane", "PatientID": "4711-22", "PatientBirthDate": "19700101"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.map"


@pytest.fixture
def people(path, provider):
    return ReidentificationMap.open(path, provider)


def test_what_is_added_is_found(people, path, provider):
    people.add(JANE, IDENTITY)
    people.add(STUDY, {"StudyInstanceUID": "1.2.3"})
    for opened in (people, ReidentificationMap.open(path, provider)):
        assert opened.find(JANE) == IDENTITY
        assert opened.find(STUDY) == {"StudyInstanceUID": "1.2.3"}
        assert opened.find(JOHN) is None


def test_adding_again_writes_nothing(people, path):
    people.add(JANE, IDENTITY)
    before = rows(path)
    people.add(JANE, IDENTITY)
    people.add(JANE, {"PatientID": "4711-22"})
    assert rows(path) == before


def test_further_values_are_merged_and_none_is_lost(people):
    people.add(JANE, IDENTITY)
    people.add(JANE, {"PatientSex": "F", "PatientName": "Roe^Jane"})
    assert people.find(JANE) == IDENTITY | {"PatientSex": "F", "PatientName": "Doe^Jane\\Roe^Jane"}


words = st.text(st.characters(codec="utf-8", exclude_characters="\\"), max_size=5)
identities = st.lists(st.dictionaries(st.sampled_from("abc"), words, max_size=3), max_size=4)


@given(identities)
def test_merging_does_not_depend_on_the_order_and_is_idempotent(several):
    def merged(parts):
        whole = {}
        for part in parts:
            whole = reid._merged(whole, part)
        return whole

    once = merged(several)
    assert merged(reversed(several)) == merged(several * 2) == once
    for part in several:
        assert all(not value or value in once[name].split("\\") for name, value in part.items())


def rows(path):
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT * FROM people ORDER BY pseudonym").fetchall()


def all_bytes(path):
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_nothing_can_be_read_without_the_key(people, path, provider):
    people.add(JANE, IDENTITY)
    data = all_bytes(path)
    key = provider.path.read_text().strip()
    for word in (*IDENTITY, *IDENTITY.values(), JANE, JANE[2:], key):
        assert word.encode() not in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(f"{path.name}*")} == {0o600}


def test_lengths_tell_little(people, path):
    people.add(JANE, {"PatientName": "Li"})
    people.add(JOHN, {"PatientName": "Featherstonehaugh-Cholmondeley^Marjoribanks"})
    assert len({len(record) for _, record in rows(path)}) == 1


def test_the_key_must_be_the_maps(people, path, tmp_path, provider):
    stranger = KeyFile(tmp_path / "other.key")
    stranger.fresh()
    with pytest.raises(VaultError, match="the key is not this map's"):
        ReidentificationMap.open(path, stranger)
    with pytest.raises(VaultError, match="opens by a key file"):
        ReidentificationMap.open(path, Passphrase("correct horse"))
    assert ReidentificationMap.open(path, provider).find(JANE) is None


def test_a_key_that_is_in_use_elsewhere_is_refused_and_no_map_is_made(path, tmp_path):
    provider = KeyFile(tmp_path / "deid.key")
    provider.fresh()
    key = bytes.fromhex(provider.path.read_text().strip())
    with pytest.raises(VaultError, match="in use for pseudonyms or for a vault"):
        ReidentificationMap.open(path, provider, apart_from=(bytes(32), key))
    assert b"CREATE TABLE people" not in all_bytes(path)
    people = ReidentificationMap.open(path, provider, apart_from=(bytes(32),))
    with pytest.raises(VaultError, match="in use"):
        ReidentificationMap.open(path, provider, apart_from=(key,))
    with pytest.raises(VaultError, match="in use"):
        people.rotate(provider, apart_from=(key,))


def test_a_passphrase_opens_one_too(path):
    ReidentificationMap.open(path, Passphrase("correct horse"), (bytes(32),)).add(JANE, IDENTITY)
    assert ReidentificationMap.open(path, Passphrase("correct horse")).find(JANE) == IDENTITY
    with pytest.raises(VaultError, match="the key is not this map's"):
        ReidentificationMap.open(path, Passphrase("correct horsf"))


@pytest.mark.parametrize("pseudonym", ["Doe^Jane", "P-1", "1.2.840.1", "", "P-ABCDEFGHIJKLMNOP\n"])
def test_only_pseudonyms_are_looked_up_and_none_is_repeated(people, pseudonym):
    for call in (people.find, lambda name: people.add(name, IDENTITY)):
        with pytest.raises(VaultError, match=f"pseudonym of {len(pseudonym)} characters; expected") as caught:
            call(pseudonym)
        assert "Jane" not in str(caught.value)


def test_many_writers_at_once(path, provider):
    provider.fresh()
    names = [JANE[:-1] + letter for letter in "ABCDEFGH"]

    def add(number):
        people = ReidentificationMap.open(path, provider)
        people.add(names[number % 8], {f"Field{number // 8}": str(number)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(32)))
    people = ReidentificationMap.open(path, provider)
    for place, name in enumerate(names):
        assert people.find(name) == {f"Field{turn}": str(8 * turn + place) for turn in range(4)}


def test_records_that_were_swapped_are_refused(people, path):
    people.add(JANE, IDENTITY)
    people.add(JOHN, {"PatientName": "Doe^John"})
    (one, first), (two, second) = rows(path)
    with sqlite3.connect(path) as connection:
        for name, record in ((one, second), (two, first)):
            connection.execute("UPDATE people SET record = ? WHERE pseudonym = ?", (record, name))
    with pytest.raises(VaultError, match="a record stands in another's place"):
        people.find(JANE)


def test_a_changed_record_is_refused(people, path):
    people.add(JANE, IDENTITY)
    ((_, record),) = rows(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE people SET record = ?", (record[:-5] + b"AAAA=",))
    with pytest.raises(VaultError, match="wrong key for this record, or it was changed"):
        people.find(JANE)


def test_a_rotation_leaves_nothing_that_the_old_key_opens(people, path, provider, tmp_path):
    for letters in ("AB", "CD", "EF", "GH"):  # of several pages
        for last in "ABCDEFGHIJ":
            people.add(f"{JANE[:-3]}{letters}{last}", IDENTITY | {"PatientComments": "x" * 400})
    for name in (JANE, JOHN):
        people.add(name, IDENTITY)
    stale, before = ReidentificationMap.open(path, provider), rows(path)
    new = KeyFile(tmp_path / "new.key")
    assert people.rotate(new) == 42
    assert people.find(JANE) == ReidentificationMap.open(path, new).find(JOHN) == IDENTITY
    with pytest.raises(VaultError, match="the key is not this map's"):
        ReidentificationMap.open(path, provider)
    data = all_bytes(path)
    assert not any(part in data for row in before for part in row)
    for call in (stale.find, lambda name: stale.add(name, IDENTITY | {"PatientSex": "F"})):
        with pytest.raises(VaultError, match="its key was changed meanwhile"):
            call(JANE)


def test_files_that_are_no_map(path, provider, tmp_path):
    path.write_text("no database" * 100)
    with pytest.raises(VaultError, match="not a database"):
        ReidentificationMap.open(path, provider)
    with pytest.raises(VaultError, match="No such file"):
        ReidentificationMap.open(tmp_path / "absent" / "people.map", provider)


@pytest.mark.parametrize("column", ["version = 2", "derivation = '[]'", "derivation = 'x'", "told = 'x'"])
def test_a_changed_head_is_refused(people, path, provider, column):
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE meta SET {column}")
    with pytest.raises(VaultError, match=r"version 2; expected 1|malformed|the key is not"):
        ReidentificationMap.open(path, provider)


def test_identities_of_any_script(people):
    identity = {"PatientName": "山田^太郎\\Yamada^Tarou", "PatientComments": "ä" * 5000}
    people.add(JANE, identity)
    assert people.find(JANE) == {**identity, "PatientName": "Yamada^Tarou\\山田^太郎"}
    assert json.dumps(people.find(JANE))


def test_many_who_open_a_map_that_is_not_there_agree_on_one(tmp_path, provider):
    provider.fresh()

    def opened(path, barrier):
        barrier.wait()
        return ReidentificationMap.open(path, provider)

    with ThreadPoolExecutor(8) as pool:
        for turn in range(12):
            path, barrier = tmp_path / f"{turn}.map", threading.Barrier(8)
            found = [pool.submit(opened, path, barrier) for _ in range(8)]
            found[0].result().add(JANE, IDENTITY)
            assert all(people.result().find(JANE) == IDENTITY for people in found)
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("mode", ["wal", "delete"])  # the second as a run left it that was killed in the making
def test_opening_waits_for_nobody_who_writes(people, path, provider, mode):
    people.add(JANE, IDENTITY)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert writer.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
        writer.execute("BEGIN IMMEDIATE")
        assert ReidentificationMap.open(path, provider).find(JANE) == IDENTITY


def test_a_map_is_made_whole_or_not_at_all(path, provider, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("radvit.vault.reid._insert_meta", fail)
        with pytest.raises(KeyboardInterrupt):
            ReidentificationMap.open(path, provider)
    assert not path.exists()
    path.touch()  # as an earlier version left it
    ReidentificationMap.open(path, provider).add(JANE, IDENTITY)
    assert ReidentificationMap.open(path, provider).find(JANE) == IDENTITY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
