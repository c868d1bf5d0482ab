import fcntl
import os
import subprocess
import sys
import threading

import pytest

from radvit.errors import VaultError
from radvit.vault.files import alone, part, placed, sweep, told


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    with placed(tmp_path / "a") as file:
        file.write(b"whole")
        assert not (tmp_path / "a").exists()
    with pytest.raises(TypeError), placed(tmp_path / "b") as file:
        file.write("half")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_what_stood_there_stays_until_the_end(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with placed(tmp_path / "a") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"


def test_only_what_a_dead_writer_left_is_swept(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from radvit.vault.files import part\n"
        "with part(Path(sys.argv[1]) / 'dead') as unfinished: unfinished.file.write(b'half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    with part(tmp_path / "alive") as unfinished:
        assert sweep([*tmp_path.iterdir(), tmp_path / "absent.part"]) == 1
        assert not left.exists()
        unfinished.file.write(b"whole")
        unfinished.settle()
        unfinished.place()
    assert (tmp_path / "alive").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]


def test_a_part_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    swept, flock = [], fcntl.flock

    def late(descriptor, operation):
        if not swept:
            (path,) = tmp_path.iterdir()
            path.unlink()
            swept.append(path.name)
        flock(descriptor, operation)

    monkeypatch.setattr("radvit.vault.files.fcntl.flock", late)
    with placed(tmp_path / "a") as file:
        file.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert len(swept) == 1


def test_sweeping_beside_many_writers_takes_nothing_of_theirs(tmp_path):
    done = threading.Event()

    def sweeping():
        while not done.is_set():
            sweep(tmp_path.glob("*.part"))

    thread = threading.Thread(target=sweeping)
    thread.start()
    try:
        for number in range(100):
            with placed(tmp_path / str(number)) as file:
                file.write(b"whole")
    finally:
        done.set()
        thread.join()
    assert sum(1 for _ in tmp_path.iterdir()) == 100


def test_an_error_of_the_system_is_one_line(tmp_path):
    with pytest.raises(VaultError, match=r"^vault v: .*absent: No such file or directory$"), told("vault v"):
        os.open(tmp_path / "absent", os.O_RDONLY)


def test_a_file_is_durable_before_it_has_its_name_and_the_name_thereafter(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def recorded(descriptor):
        fsync(descriptor)
        known = os.fstat(descriptor)
        synced.append((known.st_ino, known.st_size, (tmp_path / "a").exists()))

    monkeypatch.setattr(os, "fsync", recorded)
    with placed(tmp_path / "a") as file:
        file.write(b"whole")
    (inode, size, named), (folder, _, named_then) = synced
    assert (inode, size, named) == ((tmp_path / "a").stat().st_ino, 5, False)
    assert (folder, named_then) == (tmp_path.stat().st_ino, True)


def test_a_folder_is_locked_for_one_at_a_time(tmp_path):
    with alone(tmp_path, "busy"), pytest.raises(VaultError, match=r"^busy$"), alone(tmp_path, "busy"):
        pass
    waited = []

    def wait():
        with alone(tmp_path):
            waited.append(True)

    with alone(tmp_path):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not waited
    thread.join()
    assert waited
