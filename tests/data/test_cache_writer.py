from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radvit.data.cache_writer import ArrayFile


@pytest.mark.parametrize("count", [0, 1, 1234])
@pytest.mark.parametrize(("dtype", "kind"), [("<f2", np.float16), ("|u1", np.uint8)])
def test_what_was_added_one_by_one_is_one_array(tmp_path: Path, count: int, dtype: str, kind: type) -> None:
    images = np.random.default_rng(0).integers(0, 100, (count, 3, 2)).astype(kind)
    file = ArrayFile(tmp_path / "a.npy", dtype, (3, 2))
    for image in images:
        file.add(image)
    file.close()
    back = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert back.dtype == kind
    np.testing.assert_array_equal(back, images)


def test_a_part_of_an_array_is_written_as_it_stands(tmp_path: Path) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)[:, ::2].T
    file = ArrayFile(tmp_path / "a.npy", "|u1", (3, 4))
    file.add(image)
    file.close()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), image[None])
