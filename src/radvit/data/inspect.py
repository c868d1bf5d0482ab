"""What files hold and what would become of them: each is loaded as it would be, and summed up without identity."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom import Dataset

from radvit.data.decoding import REASONS
from radvit.data.loader import Loader, header_of
from radvit.data.picture_kinds import Kind, picture_kind
from radvit.data.pictures import read_picture
from radvit.deid.key import KEY_BYTES
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.scrub import scrub
from radvit.dicom.geometry import geometry
from radvit.dicom.limits import Limits
from radvit.dicom.read import find_files, frame_count, read_header
from radvit.dicom.select import Selection
from radvit.dicom.series import Arrangement, Slice, arrange
from radvit.errors import RadvitError, ReasonedError
from radvit.pool import Died, Guard, WorkerPool, out_of_memory
from radvit.records import Geometry, Header, Image, SpacingPlane

PREVIEW_PX = 512  # longest side of a preview
_AHEAD = 4  # files under way for each worker
_LONGEST_WORD = 64  # characters of an original value that are shown


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file says of whom it shows, as it stands there but for control characters. Never for a log."""

    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    study: str = ""
    series: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """One file. refused: the reason's code where radvit won't load it, with message; then the rest may be empty.

    path: relative to the folder. patient, study, series: pseudonyms under a key that is thrown away. size_px: (rows,
    columns). bits: stored of allocated. spacing_mm: (row, column). blanked: regions of burned-in text that were
    overwritten. window: how its first frame is windowed, in words. slices: of each frame, what its order follows from.
    preview: a PNG of the middle frame.
    """

    path: Path
    refused: str = ""
    message: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
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
    blanked: int = 0
    window: str = ""
    slices: tuple[Slice, ...] = field(default=(), repr=False)
    identity: Identity | None = field(default=None, repr=False)
    preview: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Inspector:
    """Sums up one file; picklable. quick: by its header alone. identified: with the original identity.

    previews: make one of each file that can be loaded.
    """

    loader: Loader
    quick: bool = False
    identified: bool = False
    previews: bool = False

    def __call__(self, path: Path) -> Summary:
        """The summary of one file; what is wrong with it is part of the summary. path stays as given."""
        try:
            return self._summary(path)
        except ReasonedError as error:
            return Summary(path, error.reason, str(error))
        except RadvitError as error:
            return Summary(path, REASONS.get(type(error), "bad-header"), str(error))
        except Exception as error:  # noqa: BLE001 - a fault of our own must not hide the other files
            reason = "memory" if out_of_memory(error) else type(error).__name__
            return Summary(path, reason, "an error that radvit should not make; please report it")

    def _summary(self, path: Path) -> Summary:
        kind = picture_kind(path)
        images = () if self.quick else self.loader.load(path)
        limits = self.loader.limits
        dataset = read_header(path, limits) if kind is None else read_picture(path, limits)
        self.loader.selection.check(dataset)
        safe = scrub(dataset, self.loader.pseudonymizer, self.loader.profile)
        places = [i.geometry for i in images] or [geometry(safe, frame) for frame in range(frame_count(safe))]
        header = images[0].header if images else header_of(safe)
        return Summary(
            path,
            **_of_header(header),
            **_of_pixels(dataset, kind),
            **_of_places(places, safe),
            blanked=sum(image.header.blanked for image in images),
            identity=_identity(dataset) if self.identified else None,
            preview=_preview(images[len(images) // 2]) if self.previews and images else b"",
        )


def summaries(
    path: Path,
    workers: int = 0,
    guard: Guard = Guard(),  # noqa: B008 - frozen
    *,
    limits: Limits | None = None,
    selection: Selection | None = None,
    quick: bool = False,
    identified: bool = False,
    previews: bool = False,
) -> Iterator[Summary]:
    """Sum up every file of a folder, of a DICOMDIR, or one file, in their order.

    Pseudonyms come from a key that is thrown away. workers: processes, each under the guard; 0 for none.
    Raises DicomReadError where nothing is there.
    """
    throwaway = Pseudonymizer(secrets.token_bytes(KEY_BYTES))
    loader = Loader(throwaway, limits or Limits(), selection=selection or Selection())
    inspector = Inspector(loader, quick, identified, previews)
    files = find_files(path)
    root = path if path.is_dir() else path.parent
    for file, outcome in _outcomes(inspector, files, workers, guard):
        one = Summary(file, outcome.reason, str(outcome.error())) if isinstance(outcome, Died) else outcome
        yield replace(one, path=file.relative_to(root))


def _outcomes(
    inspector: Inspector, files: Sequence[Path], workers: int, guard: Guard
) -> Iterator[tuple[Path, Summary | Died]]:
    if workers < 1:
        yield from ((file, inspector(file)) for file in files)
        return
    with WorkerPool(min(workers, len(files)), guard, preload=(__name__,)) as pool:
        yield from pool.ordered(inspector, files, _AHEAD * workers)


def _of_header(header: Header) -> dict[str, Any]:
    return {
        "patient": header.patient,
        "study": header.study,
        "series": header.series,
        "modality": header.modality,
        "body_part": header.body_part or "",
        "view": header.view or "",
        "window": header.window,
    }


def _of_pixels(dataset: Dataset, kind: Kind | None) -> dict[str, Any]:
    """Facts of the file that scrubbing or turning it to grey changes. kind: of a picture that isn't DICOM."""
    return {
        "photometric": str(dataset.PhotometricInterpretation),
        "bits": f"{dataset.BitsStored}/{dataset.BitsAllocated}",
        "syntax": str(dataset.file_meta.TransferSyntaxUID.name) if kind is None else kind.value,
        "burned_in": _one_of(str(dataset.get("BurnedInAnnotation") or ""), ("YES", "NO")),
    }


def _of_places(places: Sequence[Geometry], safe: Dataset) -> dict[str, Any]:
    first = places[0]
    number = safe.get("InstanceNumber")
    return {
        "size_px": (first.rows, first.columns),
        "frames": len(places),
        "spacing_mm": first.spacing_mm,
        "plane": first.plane,
        "slices": tuple(
            Slice.of(place, int(number) if number not in (None, "", []) else None, frame)
            for frame, place in enumerate(places)
        ),
    }


def _one_of(word: str, words: tuple[str, ...]) -> str:
    return word if word in words else ""


def _identity(dataset: Dataset) -> Identity:
    keywords = ("PatientID", "PatientName", "StudyDate", "StudyDescription", "SeriesDescription")
    return Identity(*(_original(dataset, keyword) for keyword in keywords))


def _original(dataset: Dataset, keyword: str) -> str:
    try:
        return escaped(str(dataset.get(keyword) or ""))[:_LONGEST_WORD]
    except Exception:  # noqa: BLE001 - a malformed value counts as absent
        return ""


def escaped(text: str) -> str:
    """A text with its control characters spelled out, so that it can't steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _preview(image: Image) -> bytes:
    """A PNG of at most 512 px a side, in true proportions where the image tells them."""
    rows, columns = image.pixels.shape
    between_rows, between_columns = image.geometry.spacing_mm or (1.0, 1.0)
    height, width = rows * between_rows, columns * between_columns
    scale = min(PREVIEW_PX, max(rows, columns)) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA)
    done, png = cv2.imencode(".png", np.rint(small * 255).astype(np.uint8))
    return png.tobytes() if done else b""


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One series: the summaries of its files, numbered by their place among all, and how its images lie."""

    files: tuple[tuple[int, Summary], ...]
    arrangement: Arrangement

    @property
    def images(self) -> int:
        """Images in all files, each frame being one."""
        return sum(summary.frames for _, summary in self.files)


@dataclass(frozen=True, slots=True)
class StudyView:
    """One study. patient: a running number among the patients."""

    patient: int
    series: tuple[SeriesView, ...]

    @property
    def images(self) -> int:
        """Images in all series."""
        return sum(one.images for one in self.series)


def studies(found: Sequence[Summary]) -> tuple[StudyView, ...]:
    """The files that would be loaded, by study and series, in the order in which they first come up."""
    patients: dict[str, int] = {}
    tree: dict[tuple[str, str], dict[str, list[tuple[int, Summary]]]] = {}
    for number, one in enumerate(found, 1):
        if not one.refused:
            patients.setdefault(one.patient, len(patients) + 1)
            tree.setdefault((one.patient, one.study), {}).setdefault(one.series, []).append((number, one))
    return tuple(
        StudyView(patients[patient], tuple(SeriesView(tuple(files), _arranged(files)) for files in series.values()))
        for (patient, _), series in tree.items()
    )


def _arranged(files: list[tuple[int, Summary]]) -> Arrangement:
    return arrange([slice_ for _, summary in files for slice_ in summary.slices])


def remarks(view: SeriesView) -> tuple[str, ...]:
    """What a person should know of a series, in words: how its slices lie, what is missing, what was overwritten."""
    stacks, order = view.arrangement.stacks, view.arrangement.order
    words = []
    if len(stacks) > 1:
        words.append(f"{len(stacks)} orientations")
    elif stacks and stacks[0].spacing_mm is not None:
        words.append(f"every {stacks[0].spacing_mm:.4g} mm")
    gaps = [gap for stack in stacks for gap in stack.gaps]
    if len(gaps) == 1:
        words.append(f"{gaps[0].missing} missing after slice {order.index(gaps[0].after) + 1}")
    elif gaps:
        words.append(f"{view.arrangement.missing} missing in {len(gaps)} places")
    if view.arrangement.repeated:
        words.append(_repetitions(view.arrangement))
    if stacks and view.arrangement.unplaced:
        words.append(f"{len(view.arrangement.unplaced)} without a place")
    blanked = sum(summary.blanked > 0 for _, summary in view.files)
    if blanked:
        words.append("burned-in text overwritten" + (f" in {blanked} files" if blanked > 1 else ""))
    return tuple(words)


def _repetitions(arrangement: Arrangement) -> str:
    """The same number of slices in every place is how repetitions in time are stored; else some are copies."""
    groups = [len(group) for stack in arrangement.stacks for group in stack.duplicates]
    slices = sum(len(stack.order) for stack in arrangement.stacks)
    if sum(groups) == slices and len(set(groups)) == 1:
        return f"{groups[0]} in each place"
    return f"{arrangement.repeated} in a place already taken"


def refusals(found: Sequence[Summary]) -> list[tuple[str, int, Summary]]:
    """Reason, number of files and first example of what would be refused, the most frequent first."""
    counts = Counter(one.refused for one in found if one.refused)
    first = {reason: next(one for one in found if one.refused == reason) for reason in counts}
    return [(reason, count, first[reason]) for reason, count in counts.most_common()]
