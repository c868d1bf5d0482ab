import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
import pytest

from radvit.data.phantom import CohortSpec, CohortSummary, write_cohort

# As small as images get: what is tested does not depend on the number of pixels.
TINY = CohortSpec(14, 3, size_px=(400, 560), field_mm=(320.0, 390.0), jpeg2000=0.15)


@dataclass(frozen=True)
class Written:
    folder: Path
    spec: CohortSpec
    summary: CohortSummary
    progress: Sequence[tuple[int, int]]

    @cached_property
    def truth(self) -> dict[str, Any]:
        return json.loads((self.folder / "truth.json").read_text())

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "identities.json").read_text())["patients"]

    @cached_property
    def datasets(self) -> dict[str, pydicom.Dataset]:
        return {image["file_name"]: pydicom.dcmread(self.folder / image["file_name"]) for image in self.truth["images"]}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    progress: list[tuple[int, int]] = []
    summary = write_cohort(folder, TINY, 1, lambda done, total: progress.append((done, total)))
    return Written(folder, TINY, summary, progress)
