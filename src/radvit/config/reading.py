"""The schemas of how files are read and lose their identity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from radvit.config.ranges import INF, check_ranges
from radvit.errors import ConfigError


@dataclass
class ReadConfig:
    """What a file may cost. Sizes in MiB: of the file, of its pixels once decoded, of a deflated file once inflated.

    frames, side: most frames, most rows or columns. depth: of nested sequences. elements: of the header. memory_mb,
    deadline_s: what a worker process may use, and how long, for one file.
    """

    file_mb: int = 1024
    pixel_mb: int = 512
    inflated_mb: int = 256
    frames: int = 4096
    side: int = 32768
    depth: int = 64
    elements: int = 400_000
    memory_mb: int = 2048
    deadline_s: float = 60.0

    def __post_init__(self) -> None:
        counts = ("file_mb", "pixel_mb", "inflated_mb", "frames", "side", "depth", "elements")
        check_ranges("read", vars(self), **dict.fromkeys(counts, (1, INF)), memory_mb=(64, INF), deadline_s=(0.1, INF))


class PixelText(Enum):
    """How text in the pixels is looked for; see radvit.deid.burned_in."""

    off = "off"
    quick = "quick"
    thorough = "thorough"


@dataclass
class DeidConfig:
    """How images are de-identified as they are loaded; the options are those of PS3.15 Annex E.3, see conf/deid.

    key: a file with the key of the pseudonyms. None: RADVIT_DEID_KEY, else .radvit/deid.key, made if missing.
    project: a name; pseudonyms of two projects can't be linked.
    """

    key: str | None = None
    project: str = ""
    modified_dates: bool = True
    full_dates: bool = False
    patient_characteristics: bool = True
    pixel_text: PixelText = PixelText.quick

    def __post_init__(self) -> None:
        if self.modified_dates and self.full_dates:
            raise ConfigError("deid.modified_dates and deid.full_dates exclude each other; expected at most one")
