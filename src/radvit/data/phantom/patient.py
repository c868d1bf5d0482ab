"""One patient: planned, imaged and written, from the cohort's seed and the patient's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radvit.data.phantom.acquisition import draw_exposure, expose
from radvit.data.phantom.anatomy import Anatomy, draw_anatomy
from radvit.data.phantom.blobs import Blob
from radvit.data.phantom.coding import (
    MACHINES,
    Frame,
    Machine,
    burn_in,
    draw_coding,
    draw_frame,
    draw_windows,
    quantise,
)
from radvit.data.phantom.collimation import Border, draw_border, surround
from radvit.data.phantom.distractors import Lead, draw_leads, draw_lookalikes
from radvit.data.phantom.identity import Identity, draw_dates, draw_identity, draw_visit, secrets_of, uid
from radvit.data.phantom.nodules import Nodule, draw_nodules
from radvit.data.phantom.pose import Pose, draw_pose
from radvit.data.phantom.spec import CohortSpec
from radvit.data.phantom.truth import TrueImage, TruePatient, true_nodule
from radvit.dicom.write import Radiograph, write_radiograph
from radvit.dicom.written import Capture, Visit

IMAGES = "dicom"
_SECOND_IMAGE = 0.15
_BURNED_IN = 0.12
_SOURCE_TO_DETECTOR_MM = 1800

# Each part has its own generator, seeded [cohort, patient, part, ...]: 0 plan, 1 identity, 2 chest, 3 dates,
# 4 study, 5 image, 6 nodules, 7 lookalikes, 8 collimation. So a knob of one part leaves the others as they were.


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decided before anything is drawn. images: number of images of each study."""

    patient: int
    female: bool
    images: tuple[int, ...]

    def files(self) -> list[str]:
        """Paths of the files, relative to the cohort's folder."""
        return [_file_name(self.patient, study, k) for study, n in enumerate(self.images) for k in range(n)]


@dataclass(frozen=True, slots=True)
class _Chest:
    anatomy: Anatomy
    nodules: tuple[Nodule, ...]
    lookalikes: tuple[Blob, ...]


@dataclass(frozen=True, slots=True)
class _Session:
    """One study: who, when, on which machine, and what lies on the skin."""

    study: int
    years: float
    visit: Visit
    machine: Machine
    station: str
    serial: str
    bedside: bool
    frame: Frame
    leads: tuple[Lead, ...]


def plan_patient(spec: CohortSpec, patient: int) -> Plan:
    """Decide a patient's sex, studies and images."""
    rng = np.random.default_rng([spec.seed, patient, 0])
    studies = 1 + int(rng.choice(len(spec.studies), p=spec.studies))
    return Plan(patient, bool(rng.random() < 0.5), tuple(1 + int(rng.random() < _SECOND_IMAGE) for _ in range(studies)))


def write_patient(folder: Path, spec: CohortSpec, patient: int) -> TruePatient:
    """Draw one patient and write their files below the folder. Returns what is true of them."""
    plan = plan_patient(spec, patient)
    identity = draw_identity(np.random.default_rng([spec.seed, patient, 1]), patient, plan.female)
    chest = _draw_chest(spec, plan)
    days = draw_dates(np.random.default_rng([spec.seed, patient, 3]), len(plan.images))
    images: list[TrueImage] = []
    sessions: list[_Session] = []
    for study, day in enumerate(days):
        rng = np.random.default_rng([spec.seed, patient, 4, study])
        visit = draw_visit(rng, spec.seed, patient, study, identity, day)
        sessions.append(_draw_session(rng, spec, study, (day - days[0]).days / 365.25, visit))
        images += [
            _write_image(folder, spec, plan, chest, identity, sessions[-1], k) for k in range(plan.images[study])
        ]
    visits = [session.visit for session in sessions]
    machines = [text for session in sessions for text in (session.station, session.serial)]
    return TruePatient(
        identity.person.patient_id,
        tuple(images),
        tuple(secrets_of(identity.person, visits, machines)),
        tuple(sorted({identity.person.birth_date, *(visit.date for visit in visits)})),
        tuple(sorted({image.sop_instance_uid for image in images} | {visit.study_uid for visit in visits})),
    )


def placed_images(spec: CohortSpec, patient: int) -> Iterator[tuple[str, Anatomy, Pose]]:
    """The file name, the chest and the pose of each of a patient's images, drawn again without exposing any."""
    plan = plan_patient(spec, patient)
    identity = draw_identity(np.random.default_rng([spec.seed, patient, 1]), patient, plan.female)
    anatomy = draw_anatomy(np.random.default_rng([spec.seed, patient, 2]), plan.female)
    days = draw_dates(np.random.default_rng([spec.seed, patient, 3]), len(plan.images))
    for study, day in enumerate(days):
        rng = np.random.default_rng([spec.seed, patient, 4, study])
        visit = draw_visit(rng, spec.seed, patient, study, identity, day)
        session = _draw_session(rng, spec, study, 0.0, visit)
        for number in range(plan.images[study]):
            rng = np.random.default_rng([spec.seed, patient, 5, study, number])
            pose = _stand(rng, anatomy, session.frame)[1]
            yield (
                _file_name(patient, study, number),
                anatomy,
                _within(pose, _border(spec, patient, study, number, pose)),
            )


def _stand(rng: np.random.Generator, anatomy: Anatomy, frame: Frame) -> tuple[float, Pose]:
    """How much the detector's image is magnified, and where the patient stands before it."""
    magnification = float(rng.uniform(1.04, 1.10))
    size = (frame.columns * frame.pitch_mm / magnification, frame.rows * frame.pitch_mm / magnification)
    return magnification, draw_pose(rng, anatomy.extent_mm(), size, (frame.rows, frame.columns))


def _border(spec: CohortSpec, patient: int, study: int, number: int, pose: Pose) -> Border:
    rng = np.random.default_rng([spec.seed, patient, 8, study, number])
    return draw_border(rng, spec.collimated, (pose.rows, pose.columns))


def _within(pose: Pose, border: Border) -> Pose:
    return pose.within(border.left, border.top, border.right, border.bottom)


def _draw_chest(spec: CohortSpec, plan: Plan) -> _Chest:
    rng = np.random.default_rng([spec.seed, plan.patient, 2])
    anatomy = draw_anatomy(rng, plan.female)
    nodules = draw_nodules(np.random.default_rng([spec.seed, plan.patient, 6]), anatomy, spec, len(plan.images))
    return _Chest(anatomy, nodules, draw_lookalikes(np.random.default_rng([spec.seed, plan.patient, 7]), anatomy, spec))


def _draw_session(rng: np.random.Generator, spec: CohortSpec, study: int, years: float, visit: Visit) -> _Session:
    machine = MACHINES[int(rng.integers(len(MACHINES)))]
    bedside = bool(rng.random() < 0.2)
    unit = int(rng.integers(100, 1000))
    return _Session(
        study,
        years,
        visit,
        machine,
        f"XRAYROOM{unit}",
        f"SN{unit}-{rng.integers(10**5, 10**6)}",
        bedside,
        draw_frame(rng, spec),
        draw_leads(rng, spec, bedside),
    )


def _write_image(
    folder: Path, spec: CohortSpec, plan: Plan, chest: _Chest, identity: Identity, session: _Session, number: int
) -> TrueImage:
    """Expose, store and write one image."""
    rng = np.random.default_rng([spec.seed, plan.patient, 5, session.study, number])
    frame = session.frame
    magnification, pose = _stand(rng, chest.anatomy, frame)
    shown = [
        (nodule, nodule.at(session.study, session.years, spec.nodule_mm[1], spec.contrast_growth))
        for nodule in chest.nodules
    ]
    present = [(nodule, blob) for nodule, blob in shown if blob is not None]
    blobs = (*(blob for _, blob in present), *chest.lookalikes)
    exposure = draw_exposure(rng, session.bedside, spec.noise)
    image = expose(rng, chest.anatomy, pose, blobs, session.leads, exposure)
    coding = draw_coding(rng, session.machine, spec)
    stored, coding = quantise(image, coding, draw_windows(rng, session.machine))
    capture = _capture(rng, spec, plan, identity, session, number, pose, magnification)
    lines = _text_lines(identity, session) if capture.burned_in else []
    burn_in(stored, lines, coding, str(rng.choice(["L", "R", ""], p=[0.4, 0.3, 0.3])))
    border = _border(spec, plan.patient, session.study, number, pose)
    stored, placed = surround(stored, border, coding), _within(pose, border)
    name = _file_name(plan.patient, session.study, number)
    write_radiograph(folder / name, Radiograph(identity.person, session.visit, capture, coding, stored))
    truth = tuple(
        true_nodule(f"{plan.patient:05d}-{nodule.lesion}", blob, placed, nodule.behind_rib) for nodule, blob in present
    )
    return TrueImage(
        name, capture.sop_uid, placed.rows, placed.columns, round(pose.spacing_mm, 6), session.visit.study_uid, truth
    )


def _capture(
    rng: np.random.Generator,
    spec: CohortSpec,
    plan: Plan,
    identity: Identity,
    session: _Session,
    number: int,
    pose: Pose,
    magnification: float,
) -> Capture:
    parts = (spec.seed, plan.patient, session.study, number)
    imager, patient_plane = round(pose.spacing_mm * magnification, 6), round(pose.spacing_mm, 6)
    tells = "both" if session.machine.kind == "DX" and rng.random() < 0.4 else "imager"
    if session.machine.kind == "CR":
        tells = str(rng.choice(["both", "imager", "pixel"], p=[0.3, 0.35, 0.35]))
    seconds = int(session.visit.time[4:]) + 20 * number
    minutes = int(session.visit.time[2:4]) + seconds // 60
    comment = f"{identity.person.plain_name}: repeat on {session.visit.date}" if number else ""
    return Capture(
        kind=session.machine.kind,
        view="AP" if session.bedside else "PA",
        series_uid=uid(*parts, "series"),
        sop_uid=uid(*parts, "image"),
        series_number=number + 1,
        number=1,
        time=f"{session.visit.time[:2]}{min(minutes, 59):02d}{seconds % 60:02d}",
        manufacturer=session.machine.manufacturer,
        model=session.machine.model,
        station=session.station,
        serial=session.serial,
        software=session.machine.software,
        detector_id=f"DET{session.serial[2:]}",
        imager_mm=None if tells == "pixel" else imager,
        patient_mm=None if tells == "imager" else patient_plane,
        magnification=round(magnification, 4),
        source_to_detector_mm=1200 if session.bedside else _SOURCE_TO_DETECTOR_MM,
        kvp=90 if session.bedside else 125,
        exposure_ms=int(rng.integers(5, 25)),
        exposure_mas=int(rng.integers(1, 6)),
        burned_in=bool(rng.random() < _BURNED_IN),
        comments=comment,
        private=bool(rng.random() < 0.7),
    )


def _text_lines(identity: Identity, session: _Session) -> list[str]:
    date = session.visit.date
    person = identity.person
    return [person.plain_name, f"{person.patient_id}  {person.sex}", f"{date[:4]}-{date[4:6]}-{date[6:]}"]


def _file_name(patient: int, study: int, number: int) -> str:
    return f"{IMAGES}/{patient:05d}/ST{study:02d}/IM{number:04d}.dcm"
