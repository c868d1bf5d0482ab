"""What is too large to read."""

from __future__ import annotations

from dataclasses import dataclass

from radvit.errors import DicomReadError


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too large to read. Counted before anything is decoded, so that no file can ask for all memory.

    file_bytes: size on disk. inflated_bytes: size of a deflated file once inflated. pixel_bytes: of the pixels once
    decoded, rows x columns x frames x samples x bytes allocated; no value of the file may be 1 MiB longer. side: most
    rows or columns. depth: of nested sequences; content trees of structured reports, the deepest in practice, stay
    below 20, and pydicom, which parses by recursion, spends three Python frames of its 1000 on each. elements: of the
    whole file, items included; an enhanced CT has about 60 a frame.
    """

    file_bytes: int = 1 << 30
    inflated_bytes: int = 1 << 28
    pixel_bytes: int = 1 << 29
    frames: int = 4096
    side: int = 32768
    depth: int = 64
    elements: int = 400_000


DEFAULT = Limits()


def check_size(side: int, frames: int, pixel_bytes: int, limits: Limits) -> None:
    """Raise DicomReadError (`too-large`) where a picture exceeds a limit. side: the larger of rows and columns."""
    counted = ((side, limits.side, "rows or columns"), (frames, limits.frames, "frames"))
    for found, most, what in (*counted, (pixel_bytes, limits.pixel_bytes, "bytes of pixels")):
        if found > most:
            raise DicomReadError("too-large", f"{found} {what}; the limit is {most}")
