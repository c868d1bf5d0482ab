"""What one form of a report says of a finding, read back from it."""

from __future__ import annotations

from dataclasses import dataclass

Corners = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A finding as a form tells it; None where it tells nothing of that, or where there is nothing to tell.

    type: the model's label, or its name in the form's language. score, size_mm: as exactly as the form tells them.
    box_px: x1, y1, x2, y2 in pixels of the stored image.
    """

    number: int
    type: str
    score: float
    band: str
    side: str | None = None
    zone: str | None = None
    depth: str | None = None
    size_mm: float | None = None
    size_plane: str | None = None
    box_px: Corners | None = None
