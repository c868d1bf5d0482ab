"""Write the de-identified copy of one file: header by the Basic Profile, pixels cleaned, the whole searched."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from pydicom import Dataset

from radvit.deid.basic import Deidentified, deidentify
from radvit.deid.burned_in import FOR_RELEASE, BurnedIn, Mode
from radvit.deid.clean_pixels import Cleaned, clean_samples, describe, to_little_endian
from radvit.deid.graphics import drop_lettered_overlays
from radvit.deid.options import DEFAULT, Option, Options
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.rescan import Scan, rescan
from radvit.deid.screening import is_flagged
from radvit.deid.statement import declare_clean_pixels
from radvit.deid.walk import Tally
from radvit.dicom.codecs import StoredArray
from radvit.dicom.read import Limits, read
from radvit.errors import DeidError, QuarantineError, RadvitError

_PIXEL_HEAD = struct.Struct("<HH2sHL")  # of (7FE0,0010) in explicit little endian: tag, VR, reserved, length


@dataclass(frozen=True, slots=True)
class Written:
    """What was written and done for one file; identifiers are pseudonyms, but for `identity`, which is asked for.

    searched: whether text was looked for in the pixels. blanked, allowed: lines of text overwritten and left in place.
    identity: pseudonyms, each with the attributes that it stands for.
    """

    patient: str
    study: str
    series: str
    image: str
    modality: str
    tally: Tally
    scan: Scan
    searched: bool
    blanked: int
    allowed: int
    identity: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileScrubber:
    """Writes the de-identified copy of one file. Can be pickled, for process pools.

    keep_identity: give back what the pseudonyms stand for, for a re-identification map.
    """

    pseudonymizer: Pseudonymizer
    limits: Limits = field(default_factory=Limits)
    options: Options = DEFAULT
    burned_in: BurnedIn = FOR_RELEASE
    keep_identity: bool = False

    def write(self, source: Path, folder: Path) -> Written:
        """Write `folder/<study>/<image>.dcm`, named by pseudonyms, whole or not at all.

        The pixels are decoded and written uncompressed: nothing that a codec's stream or unused bits hold gets through.
        Raises DicomReadError, or DeidError where the file can't be made safe; then nothing is written, and a copy of an
        earlier run is withdrawn.
        """
        original = read(source, self.limits)
        made = deidentify(original, self.pseudonymizer, self.options)
        target = folder / str(made.dataset.StudyInstanceUID) / f"{made.dataset.SOPInstanceUID}.dcm"
        try:
            cleaned = self._clean(original, made.dataset)
            scan = _save(made, describe(made.dataset, original, cleaned), target)
        except RadvitError:
            _withdraw(target)
            raise
        return self._written(original, made, scan, cleaned)

    def _clean(self, original: Dataset, safe: Dataset) -> Cleaned:
        """Clean pixels and overlays, and say so in the header: changes it in place."""
        off = Option.CLEAN_PIXELS not in self.options
        cleaned = clean_samples(original, replace(self.burned_in, mode=Mode.OFF) if off else self.burned_in)
        unfound = is_flagged(original) and not cleaned.blanked  # let through on request, which cleans nothing
        if cleaned.searched and not unfound:
            declare_clean_pixels(safe)
        to_little_endian(safe, original)
        drop_lettered_overlays(safe)
        return cleaned

    def _written(self, original: Dataset, made: Deidentified, scan: Scan, cleaned: Cleaned) -> Written:
        safe = made.dataset
        names = made.patient, str(safe.StudyInstanceUID), str(safe.get("SeriesInstanceUID")), str(safe.SOPInstanceUID)
        identity = _identity(original, *names) if self.keep_identity else {}
        modality = str(safe.get("Modality") or "")
        pixels = cleaned.searched, cleaned.blanked, cleaned.allowed
        return Written(*names, modality, made.tally, scan, *pixels, identity)


def _save(made: Deidentified, pixels: StoredArray, target: Path) -> Scan:
    """Search a file's bytes, write them beside its place, read them back, and move the file there.

    Raises QuarantineError where the search finds an identifier of the input; then nothing was written.
    """
    header = BytesIO()
    try:
        made.dataset.save_as(header, enforce_file_format=True)
    except Exception as error:  # noqa: BLE001 - a value that pydicom can't write; its text may quote it
        raise DeidError(f"can't write the de-identified header: {type(error).__name__}") from None
    padding = b"\0" * (pixels.nbytes % 2)
    vr = b"OW" if made.dataset.BitsAllocated > 8 else b"OB"
    head = header.getvalue() + _PIXEL_HEAD.pack(0x7FE0, 0x0010, vr, 0, pixels.nbytes + len(padding))
    scan = rescan(head, made.dataset, made.identifiers, made.own)
    if scan.hits:
        where = f", in {', '.join(scan.places)}" if scan.places else ""
        raise QuarantineError("identifier-left", f"{scan.hits} identifiers of the input are left{where}")
    with _placed(target) as part:
        with part.open("xb") as file:
            file.writelines((head, pixels.data, padding))
        with part.open("rb") as file:
            if file.read(len(head)) != head:
                raise DeidError("the disk doesn't hold what was written to it")
    return scan


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left half written below a folder; what live ones write stays."""
    for part in folder.glob("*/.*.part"):
        process = part.name.split(".")[-2]
        if not (process.isdecimal() and Path(f"/proc/{process}").exists()):
            part.unlink(missing_ok=True)


def _withdraw(target: Path) -> None:
    """Remove the copy that an earlier run wrote of a file which is now refused."""
    try:
        target.unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise DeidError(f"can't withdraw an earlier copy: {error.strerror or type(error).__name__}") from None


@contextmanager
def _placed(target: Path) -> Iterator[Path]:
    """A path beside the target; what stands there afterwards takes the target's place, unless an error was raised."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise DeidError(f"can't write the de-identified file: {error.strerror or type(error).__name__}") from None


def _identity(original: Dataset, patient: str, study: str, series: str, image: str) -> dict[str, dict[str, str]]:
    """What the pseudonyms stand for."""
    of_patient = _values(original, "PatientID", "PatientName", "PatientBirthDate")
    of_study = _values(original, "PatientID", "StudyInstanceUID", "StudyDate", "AccessionNumber")
    of_image = _values(original, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {patient: of_patient, study: of_study, image: of_image}


def _values(dataset: Dataset, *keywords: str) -> dict[str, str]:
    return {keyword: str(dataset.get(keyword) or "") for keyword in keywords}
