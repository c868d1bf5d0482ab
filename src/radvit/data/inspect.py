"""What a folder of DICOM files holds, file by file, without opening anybody's identity."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from radvit.deid.key import KEY_BYTES
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.scrub import scrub
from radvit.dicom.colour import as_grey
from radvit.dicom.geometry import geometry
from radvit.dicom.read import Limits, find_files, frame_count, read
from radvit.errors import DeidError, DicomReadError, GeometryError
from radvit.records import SpacingPlane


@dataclass(frozen=True, slots=True)
class Summary:
    """One file. path: relative to the folder. refused: the reason's code where radvit won't load it, with message.

    size_px: (rows, columns). bits: stored of allocated. spacing_mm: (row, column). burned_in: the header's own word.
    """

    path: Path
    refused: str = ""
    message: str = ""
    modality: str = ""
    body_part: str = ""
    view: str = ""
    size_px: tuple[int, int] | None = None
    frames: int = 0
    photometric: str = ""
    bits: str = ""
    syntax: str = ""
    spacing_mm: tuple[float, float] | None = None
    plane: SpacingPlane = SpacingPlane.UNKNOWN
    burned_in: str = ""


def summaries(path: Path, limits: Limits | None = None) -> Iterator[Summary]:
    """Summarise every file below a folder, or one file, in the order of their paths; the pixels aren't decoded.

    The rows come from a scrubbed header, under a key that is thrown away. Raises DicomReadError where nothing is there.
    """
    throwaway = Pseudonymizer(secrets.token_bytes(KEY_BYTES))
    for file in find_files(path):
        name = file.relative_to(path) if path.is_dir() else Path(file.name)
        try:
            yield _summary(name, file, limits or Limits(), throwaway)
        except DicomReadError as error:
            yield Summary(name, error.reason, str(error))
        except (DeidError, GeometryError) as error:
            yield Summary(name, "bad-header", str(error))


def _summary(name: Path, file: Path, limits: Limits, throwaway: Pseudonymizer) -> Summary:
    safe = scrub(as_grey(read(file, limits)), throwaway)
    size = geometry(safe)
    return Summary(
        path=name,
        modality=str(safe.get("Modality") or ""),
        body_part=str(safe.get("BodyPartExamined") or ""),
        view=str(safe.get("ViewPosition") or ""),
        size_px=(size.rows, size.columns),
        frames=frame_count(safe),
        photometric=str(safe.PhotometricInterpretation),
        bits=f"{safe.BitsStored}/{safe.BitsAllocated}",
        syntax=str(safe.file_meta.TransferSyntaxUID.name),
        spacing_mm=size.spacing_mm,
        plane=size.plane,
        burned_in=str(safe.get("BurnedInAnnotation") or ""),
    )
