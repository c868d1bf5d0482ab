import hashlib

import pytest

from radvit.bench import kills
from radvit.bench.kills import kill_at_random
from radvit.bench.vault_child import newest
from radvit.errors import VaultError


def survived(folder, count, seed):
    seen = []
    report = kill_at_random(folder, count, seed, lambda *counts: seen.append(counts))
    assert report.told > 0
    assert report.rotations > 0
    assert report.in_rotation > 0  # else no kill has met what it was to meet
    assert seen[-1] == (count, count)
    vault, _ = newest(folder)
    assert not vault.ring.rotating
    assert len(vault.list()) >= report.told
    assert not list(vault.folder.rglob("*.part"))
    return report


def test_kills_lose_nothing(tmp_path):
    report = survived(tmp_path, 20, 0)
    assert (report.kills, report.lost, report.faults, report.quick_faults) == (20, 0, 0, 0)


@pytest.mark.slow
def test_many_kills_lose_nothing(tmp_path):
    report = survived(tmp_path, 200, 1)
    assert (report.kills, report.lost, report.faults, report.quick_faults) == (200, 0, 0, 0)


def test_a_loss_would_be_counted(tmp_path):
    kill_at_random(tmp_path, 1)
    vault, _ = newest(tmp_path)
    object_id, content = vault.put(b"told"), hashlib.sha256(b"told").hexdigest()
    assert kills._content(vault, object_id) == content
    vault.path(object_id).unlink()
    with (tmp_path / "puts.log").open("a") as log:
        log.write(f"stored {object_id} {content}\nstored {'ab' * 32} {content}\nstored cut off")
    report = kills._report(tmp_path, 1, 0)
    assert (report.lost, report.quick_faults) == (2, 1)


def test_a_process_that_ends_by_itself_is_told(tmp_path):
    process = kills._start("puts", tmp_path, "0")
    process.wait()  # there is no vault
    with pytest.raises(VaultError, match="ended by itself, with exit code 1"):
        kills._kill(process)
    (tmp_path / "puts.log").write_text("start\n")
    with pytest.raises(VaultError, match=r"ended by itself: .*none of 0 keys opens the vault"):
        kills._wait_ready(process, tmp_path / "puts.log")
