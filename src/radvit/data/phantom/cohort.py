"""Write the synthetic cohort: DICOM files, truth, and the key that says which strings identify whom."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from radvit.data.phantom.patient import IMAGES, plan_patient, write_patient
from radvit.data.phantom.spec import CohortSpec
from radvit.data.phantom.truth import TruePatient, to_answer_key, to_coco
from radvit.errors import DataError

FORMAT = 3  # raise it whenever the same spec gives other files
STARTED, FINISHED, TRUTH, ANSWER_KEY = "cohort.started.json", "cohort.json", "truth.json", "identities.json"
_OURS = {STARTED, FINISHED, TRUTH, ANSWER_KEY, IMAGES}
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CohortSummary:
    """What a cohort holds. nodules: annotations, one a nodule and image. lesions: distinct nodules."""

    patients: int
    studies: int
    positive_studies: int
    images: int
    positive_images: int
    nodules: int
    lesions: int

    def words(self) -> str:
        """One line for people."""
        return (
            f"{self.images} images of {self.patients} patients in {self.studies} studies; "
            f"{self.positive_studies} studies show {self.lesions} nodules, {self.nodules} times in all"
        )


def write_cohort(folder: Path, spec: CohortSpec, workers: int, progress: Progress | None = None) -> CohortSummary:
    """Write a cohort into a folder: dicom/, truth.json, identities.json, and cohort.json last.

    The same spec gives the same bytes, whatever the number of workers. A folder that already holds this cohort is left
    as it is; one where writing broke off, or that holds another phantom, is written anew. progress: called with
    images done and images in all.
    Raises DataError where the folder holds something that is no phantom.
    """
    found = _read_json(folder / FINISHED)
    wanted = {"format": FORMAT, "spec": spec.to_dict()}
    if found is not None and {key: found.get(key) for key in wanted} == wanted:
        return CohortSummary(**found["summary"])
    _clear(folder)
    _write_json(folder / STARTED, wanted)
    plans = [plan_patient(spec, patient) for patient in range(spec.patients)]
    total, done, patients = sum(sum(plan.images) for plan in plans), 0, []
    for truth in _patients(folder, spec, workers):
        patients.append(truth)
        done += len(truth.images)
        if progress is not None:
            progress(done, total)
    summary = summarise(patients)
    _write_json(folder / TRUTH, to_coco(patients, {"description": "radvit phantom", **wanted}))
    _write_json(folder / ANSWER_KEY, to_answer_key(patients))
    _write_json(folder / FINISHED, {**wanted, "summary": asdict(summary)})
    (folder / STARTED).unlink()
    return summary


def summarise(patients: list[TruePatient]) -> CohortSummary:
    """Count what a cohort holds."""
    images = [image for patient in patients for image in patient.images]
    positive = [image for image in images if image.nodules]
    return CohortSummary(
        patients=len(patients),
        studies=len({image.study for image in images}),
        positive_studies=len({image.study for image in positive}),
        images=len(images),
        positive_images=len(positive),
        nodules=sum(len(image.nodules) for image in images),
        lesions=len({nodule.lesion_id for image in images for nodule in image.nodules}),
    )


def _patients(folder: Path, spec: CohortSpec, workers: int) -> Iterator[TruePatient]:
    """Every patient, in order; written in this process if one worker is asked for."""
    work = partial(write_patient, folder, spec)
    if workers <= 1:
        yield from map(work, range(spec.patients))
        return
    # Spawned, not forked: the caller may hold threads (torch, OpenCV) that a fork would break.
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        yield from pool.map(work, range(spec.patients), chunksize=2)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


def _clear(folder: Path) -> None:
    """Make an empty folder of nothing, or of an earlier phantom. Raises DataError for a folder of anything else."""
    if folder.is_file():
        raise DataError(f"{folder} is a file; expected a folder to write the phantom into")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names and (names - _OURS or not names & {STARTED, FINISHED}):
        raise DataError(f"{folder} holds {sorted(names)[0]!r} and is no phantom; expected a new or empty folder")
    for name in sorted(names):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """Write all of it or nothing."""
    partly = path.with_name(f".{path.name}.tmp")
    partly.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    partly.replace(path)
