"""Where the radiograph data sets are published whose truth comes in a form of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radvit.data.sources.download import Remote, fetch_archive, require


@dataclass(frozen=True, slots=True)
class Published:
    """A data set. page: where a person gets it. archives: of its images, where anybody may download them."""

    page: str
    account: bool = True
    archives: tuple[str, ...] = ()


_BOX = "https://nihcc.box.com/shared/static"

# The archives of ChestX-ray14 are those of the batch_download_zips.py that it is published with.
PUBLISHED = {
    "rsna": Published("https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"),
    "vindr": Published("https://physionet.org/content/vindr-cxr/1.0.0/"),
    "siim": Published("https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation/data"),
    "nih": Published(
        "https://nihcc.app.box.com/v/ChestXray-NIHCC",
        account=False,
        archives=(
            f"{_BOX}/vfk49d74nhbxq3nqjg0900w5nvkorp5c.gz",
            f"{_BOX}/i28rlmbvmfjbl8p2n3ril0pptcmcu9d1.gz",
            f"{_BOX}/f1t00wrtdk94satdfb9olcolqx20z2jp.gz",
            f"{_BOX}/0aowwzs5lhjrceb3qp67ahp0rd1l1etg.gz",
            f"{_BOX}/v5e3goj22zr6h8tzualxfsqlqaygfbsn.gz",
            f"{_BOX}/asi7ikud9jwnkrnkj99jnpfkjdes7l6l.gz",
            f"{_BOX}/jn1b4mw4n6lnh74ovmcjb8y48h8xj07n.gz",
            f"{_BOX}/tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j.gz",
            f"{_BOX}/upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj.gz",
            f"{_BOX}/l6nilvfa9cg3s28tqv1qc1olm3gnz54p.gz",
            f"{_BOX}/hhq8fkdgvcari67vfhs7ppg2w6ni4jze.gz",
            f"{_BOX}/ioqwiy20ihqwyr8pf4c24eazhh281pbu.gz",
        ),
    ),
}


def obtain(name: str, images: Path, truth: Sequence[Path], download: bool, published: Published | None = None) -> None:
    """Make sure that a data set's images and files of truth are in their places; of one not listed, nothing is known.

    Archives are unpacked into images/images_001 and so on. Raises DataError, which says where to get what is missing.
    """
    known = published or PUBLISHED.get(name)
    if known is None:
        return
    page = Remote(known.page, account=known.account)
    for file in truth:
        require(page, file)  # small files, which have no lasting address of their own
    ours = not images.exists() or any(images.glob("images_0*"))  # else somebody unpacked them in another way
    if download and ours:
        for number, url in enumerate(known.archives, start=1):
            images.mkdir(parents=True, exist_ok=True)
            fetch_archive(Remote(url, suffix=".tar.gz"), images / f"images_{number:03d}", download)
    require(page, images)
