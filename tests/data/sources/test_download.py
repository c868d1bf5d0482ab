from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from radvit.data.sources.download import Remote, fetch, fetch_archive
from radvit.data.sources.published import PUBLISHED, Published, obtain
from radvit.errors import DataError


def published(path: Path, content: bytes = b"pixels") -> Remote:
    path.write_bytes(content)
    return Remote(path.as_uri(), hashlib.md5(content).hexdigest())


def archive(path: Path, *names: str) -> Remote:
    """A tar of small files, as a remote one."""
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = path.parent / "member"
            member.write_text(name)
            tar.add(member, name)
    return Remote(path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest(), suffix=".tar.gz")


def test_a_file_is_downloaded_to_its_place_once(tmp_path: Path) -> None:
    remote = published(tmp_path / "there.npz")
    place = tmp_path / "data" / "here.npz"
    fetch(remote, place, download=True)
    assert place.read_bytes() == b"pixels"
    place.write_bytes(b"mine")
    fetch(remote, place, download=True)
    assert place.read_bytes() == b"mine"


def test_without_leave_the_place_and_the_address_are_told(tmp_path: Path) -> None:
    remote = Remote("https://somewhere.org/x.npz?download=1", "0" * 32)
    with pytest.raises(DataError) as caught:
        fetch(remote, tmp_path / "x.npz", download=False)
    assert str(caught.value) == (
        f"{tmp_path}/x.npz: no such file; expected data.download=true, or "
        f"https://somewhere.org/x.npz?download=1 as {tmp_path}/x.npz"
    )


def test_what_needs_an_account_is_never_downloaded(tmp_path: Path) -> None:
    remote = Remote((tmp_path / "x").as_uri(), account=True)
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(DataError, match=r"y: no such file; get it from file:.* \(needs an account\) and put it there"):
        fetch(remote, tmp_path / "y", download=True)


def test_a_download_that_fails_or_differs_leaves_nothing(tmp_path: Path) -> None:
    good = published(tmp_path / "there.npz")
    for remote, why in (
        (Remote(good.url, "0" * 32), "its MD5 is another than the published one"),
        (Remote((tmp_path / "gone").as_uri(), "0" * 32), "can't be downloaded: .*No such file"),
    ):
        with pytest.raises(DataError, match=rf"{why}.*; expected file:.* there") as caught:
            fetch(remote, tmp_path / "here.npz", download=True)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "here.npz").exists()


def test_an_archive_is_unpacked_into_its_folder(tmp_path: Path) -> None:
    remote = archive(tmp_path / "there.tar.gz", "Set/a.txt", "Set/deep/b.txt")
    fetch_archive(remote, tmp_path / "data" / "Set", download=True)
    assert (tmp_path / "data" / "Set" / "deep" / "b.txt").read_text() == "Set/deep/b.txt"
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"Set", "Set.tar.gz"}


def test_an_archive_that_somebody_put_there_is_enough(tmp_path: Path) -> None:
    remote = archive(tmp_path / "Set.tar.gz", "Set/a.txt")
    fetch_archive(Remote("https://somewhere.org/Set.tar.gz", remote.md5, suffix=".tar.gz"), tmp_path / "Set", False)
    assert (tmp_path / "Set" / "a.txt").is_file()


def test_a_broken_archive_leaves_no_folder(tmp_path: Path) -> None:
    remote = published(tmp_path / "there.tar.gz", b"no tar")
    with pytest.raises(DataError, match=r"Set\.tar\.gz: can't be unpacked .*; delete it to get it again"):
        fetch_archive(Remote(remote.url, remote.md5, suffix=".tar.gz"), tmp_path / "Set", download=True)
    assert [path.name for path in tmp_path.iterdir() if "Set" in path.name] == ["Set.tar.gz"]
    with pytest.raises(DataError, match=r"Other: no such folder; expected data\.download=true, or .*Other\.tar\.gz"):
        fetch_archive(Remote(remote.url, suffix=".tar.gz"), tmp_path / "Other", download=False)


@pytest.mark.parametrize("name", ["rsna", "vindr", "siim"])
def test_sets_behind_an_account_say_where_to_get_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"nothing there; get it from {PUBLISHED[name].page}.* \(needs an account\)"):
        obtain(name, tmp_path / "in", [], download=True)
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"t\.csv: nothing there"):
        obtain(name, tmp_path / "in", [tmp_path / "t.csv"], download=True)
    obtain("coco", tmp_path / "nowhere", [], download=False)  # one's own: the source says what is missing


@pytest.mark.filterwarnings("ignore:No hash value")
def test_archives_of_images_are_unpacked_beside_each_other(tmp_path: Path) -> None:
    urls = tuple(archive(tmp_path / f"{n}.gz", f"images/{n}.png").url for n in range(2))
    nih = Published("https://page.org", account=False, archives=urls)
    with pytest.raises(DataError, match=r"in: nothing there; expected data\.download=true"):
        obtain("nih", tmp_path / "in", [], download=False, published=nih)
    obtain("nih", tmp_path / "in", [], download=True, published=nih)
    found = {path.relative_to(tmp_path / "in").as_posix() for path in (tmp_path / "in").rglob("*.png")}
    assert found == {"images_001/images/0.png", "images_002/images/1.png"}
    assert len(PUBLISHED["nih"].archives) == len(set(PUBLISHED["nih"].archives)) == 12
