"""What a plant knows of the file it goes into."""

from __future__ import annotations

from dataclasses import dataclass

from radvit.bench.deid.kinds import Kind
from radvit.bench.deid.people import Rng, Subject, Visit


@dataclass(frozen=True, slots=True)
class Case:
    """One image: whose, of which study, where it stands among others, and what its random choices come from.

    siblings: SOP instance UIDs of the other images of the study. frame_uid: empty where the kind has none.
    """

    rng: Rng
    subject: Subject
    visit: Visit
    kind: Kind
    sop_uid: str
    series_uid: str
    frame_uid: str
    series: int
    number: int
    siblings: tuple[str, ...]

    @property
    def station(self) -> str:
        """The AE title of the machine, which names the hospital."""
        return f"{self.subject.institution.issuer[:8]}_{self.kind.modality}1"
