"""What one form of a report says of a finding, and of what became of it, read back from it."""

from __future__ import annotations

from dataclasses import dataclass

Corners = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A finding as a form tells it; None where it tells nothing of that, or where there is nothing to tell.

    type: the model's label, or its name in the form's language. score, size_mm: as exactly as the form tells them.
    box_px: x1, y1, x2, y2 in pixels of the stored image. verdict, change_mm: what became of it since the earlier study,
    in forms that tell it finding by finding.
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
    verdict: str | None = None
    change_mm: float | None = None


@dataclass(frozen=True, slots=True)
class ChangeSaid:
    """What became of a finding as a sentence tells it, rounded as it stands there; None where it tells no sizes.

    number: of the finding, in the earlier report where is_earlier.
    """

    verdict: str
    number: int
    is_earlier: bool
    before_mm: float | None = None
    now_mm: float | None = None
    change_mm: float | None = None
    percent: float | None = None
    plane: str | None = None
