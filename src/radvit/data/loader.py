"""The one door through which images come in: read, scrub, blank, window. What leaves it holds no identity."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from radvit.data.picture_kinds import picture_kind
from radvit.data.pictures import read_picture
from radvit.deid.burned_in import BurnedIn, blank_burned_in
from radvit.deid.header_words import identity_words
from radvit.deid.options import DEFAULT, Options
from radvit.deid.profile import BASIC, Profile
from radvit.deid.pseudonym import Pseudonymizer
from radvit.deid.scrub import scrub
from radvit.dicom.colour import as_grey
from radvit.dicom.geometry import geometry
from radvit.dicom.pixels import decode, to_grey
from radvit.dicom.read import Limits, read
from radvit.dicom.select import Selection
from radvit.dicom.voi import Voi, resolve
from radvit.errors import DicomReadError, GeometryError
from radvit.records import Axes, FloatArray, Header, Image

Passed = Callable[[str], None]  # told the name of each stage once it is over

_AXES = ("LR", "PA", "HF")  # the letter towards positive and towards negative x, y, z of LPS (PS3.3 C.7.6.1.1.1)


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads files as de-identified images. Can be pickled, for process pools.

    options: of the Basic Profile, see `scrub`. voi: which window is applied. selection: rules on the header, before
    de-identification; others are refused.
    """

    pseudonymizer: Pseudonymizer
    limits: Limits = field(default_factory=Limits)
    profile: Profile = BASIC
    options: Options = DEFAULT
    burned_in: BurnedIn = field(default_factory=BurnedIn)
    voi: Voi = field(default_factory=Voi)
    selection: Selection = field(default_factory=Selection)

    def load(self, path: Path, passed: Passed = lambda stage: None) -> tuple[Image, ...]:
        """The images of a file, one for each frame. passed: told when each of the stages is over.

        Raises DicomReadError (its `reason` tells the kind) or DeidError, and nothing else.
        """
        dataset = read_any(path, self.limits)
        passed("read")
        self.selection.check(dataset)
        original = as_grey(resolve(dataset, self.voi))
        safe = scrub(original, self.pseudonymizer, self.profile, self.options)
        passed("de-identify")
        stored = decode(safe)
        passed("decode")
        blanked = blank_burned_in(stored, original, self.burned_in, identity_words(original))
        del stored  # where text was blanked, the pixels are there twice
        passed("burned-in text")
        frames = to_grey(safe, blanked.pixels, self.voi)
        try:
            images = tuple(
                _image(safe, frame, pixels, window, blanked.counts[frame])
                for frame, (pixels, window) in enumerate(frames)
            )
        except GeometryError as error:
            raise DicomReadError("bad-header", str(error)) from None
        except Exception as error:  # noqa: BLE001 - values that no rule foresaw; the text may quote the file
            raise DicomReadError("bad-header", f"the header can't be read: {type(error).__name__}") from None
        passed("grey")
        return images


def read_any(path: Path, limits: Limits) -> Dataset:
    """Read a file of any kind that radvit knows, told by its content. Raises DicomReadError, and nothing else."""
    return read(path, limits) if picture_kind(path) is None else read_picture(path, limits)


def _image(safe: Dataset, frame: int, pixels: FloatArray, window: str, blanked: int) -> Image:
    place = geometry(safe, frame)
    return Image(pixels, place, replace(header_of(safe, place.axes), window=window, blanked=blanked, frame=frame))


def header_of(safe: Dataset, axes: Axes | None = None) -> Header:
    """The header record of a scrubbed data set. axes: direction cosines of the frame, see Geometry."""
    return Header(
        patient=str(safe.PatientID),
        study=str(safe.StudyInstanceUID),
        series=str(safe.SeriesInstanceUID),
        image=str(safe.SOPInstanceUID),
        modality=_word(safe, "Modality") or "OT",
        body_part=_word(safe, "BodyPartExamined"),
        view=_word(safe, "ViewPosition"),
        study_date=_iso_date(_word(safe, "StudyDate")),
        sex=_word(safe, "PatientSex"),
        age=_word(safe, "PatientAge"),
        manufacturer=_word(safe, "Manufacturer"),
        patient_orientation=_orientation(safe, axes),
        instance_number=_whole(safe, "InstanceNumber"),
        sop_class=_word(safe, "SOPClassUID"),
    )


def _word(safe: Dataset, keyword: str) -> str | None:
    """The attribute's value, the first one that isn't empty where there are several, or None."""
    value = safe.get(keyword) or ""
    words = [value] if isinstance(value, str) else list(value)
    return next((str(word) for word in words if word), None)


def _whole(safe: Dataset, keyword: str) -> int | None:
    """The attribute as a whole number; None where it is absent or isn't one."""
    try:
        return int(str(safe.get(keyword)))
    except ValueError:
        return None


def _iso_date(date: str | None) -> str | None:
    return None if date is None else datetime.date(int(date[:4]), int(date[4:6]), int(date[6:])).isoformat()


def _orientation(safe: Dataset, axes: Axes | None) -> tuple[str, str] | None:
    """Direction letters of a row and of a column: as the file says, else from its direction cosines."""
    told = safe.get("PatientOrientation")
    if told:
        return str(told[0]), str(told[1])
    if axes is None:
        return None
    row, column = (_direction(vector) for vector in np.array(axes).reshape(2, 3))
    return row, column


def _direction(vector: npt.NDArray[np.float64]) -> str:
    """The letter of the patient's axis that a direction, (3,) LPS, follows most closely."""
    axis = int(np.abs(vector).argmax())
    return _AXES[axis][0 if vector[axis] > 0 else 1]
