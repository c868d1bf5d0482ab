"""The reports of an output folder, each against the patient's earlier one; where that changes, written anew.

Studies are read in any order and by several runs, so this looks at all the folder's reports. It keeps nothing of its
own: what stands in each findings.json is compared with what should stand there, so that a run that was killed is made
good by the next one, and another run over a finished folder writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from radvit.errors import DataError
from radvit.report.build import Report
from radvit.report.compare import History, compare, has_frontal
from radvit.report.json_read import read_report
from radvit.report.verdicts import Criteria
from radvit.report.write import FINDINGS, rewrite, was_interrupted

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def compare_reports(
    output: Path,
    criteria: Criteria | None,
    language: str,
    progress: Progress | None = None,
    check: bool = True,
) -> int:
    """Compare every study below a folder with the patient's earlier ones. Returns how many reports were written anew.

    criteria: None takes comparisons out of the reports. A findings.json that can't be read is named on the log and
    left as it is. check: see StudyWriter. progress: called with (patients done, patients in all).
    """
    patients = by_patient(output)
    written = 0
    for done, folders in enumerate(patients, start=1):
        reports = {folder: report for folder in folders if (report := _read(folder)) is not None}
        for folder, report in reports.items():
            others = [other for other in reports.values() if other is not report]
            wanted = None if criteria is None else compare(report, history(report, others), criteria)
            if wanted != report.comparison or was_interrupted(folder):
                rewrite(folder, replace(report, comparison=wanted), language, check)
                written += 1
        if progress:
            progress(done, len(patients))
    return written


def by_patient(output: Path) -> list[list[Path]]:
    """The studies' folders, those of one patient together; a study that names no patient stands alone."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(output.glob(f"*/{FINDINGS}")):
        folder = path.parent
        report = None if folder.name.startswith(".") else _read(folder)
        if report is not None:
            groups.setdefault(report.patient or folder.name, []).append(folder)
    return list(groups.values())


def history(report: Report, others: Sequence[Report]) -> History:
    """What the patient's other studies are to this one; only those with a frontal chest radiograph count.

    The prior is of the latest day before this study's. Of several of that day it is the one whose pseudonym is last:
    which of them came later isn't known.
    """
    if not report.patient or report.study_date is None:
        return History()
    counted = [other for other in others if has_frontal(other)]
    dated = [(other.study_date, other.study, other) for other in counted if other.study_date is not None]
    earlier = [item for item in dated if item[0] < report.study_date]
    return History(
        prior=max(earlier, key=lambda item: item[:2])[2] if earlier else None,
        same_day=sum(item[0] == report.study_date for item in dated),
        undated=len(counted) - len(dated),
    )


def _read(folder: Path) -> Report | None:
    try:
        return read_report(folder / FINDINGS)
    except DataError as error:
        log.warning("%s; not compared", error)
        return None
