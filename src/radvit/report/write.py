"""A study's result to its folder: findings.json, pictures and report.html, all of them or none."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from radvit.inference.findings import findings, weak_findings
from radvit.inference.results import ImageResult, StudyResult
from radvit.records import Finding, Provenance
from radvit.report.build import Bands, Report, build_report
from radvit.report.html import Picture, to_html
from radvit.report.json_form import to_dict
from radvit.report.overlay import decoded, draw, jpeg, png

log = logging.getLogger(__name__)

MOST_PICTURES = 8
FINDINGS = "findings.json"


class Answers(Enum):
    """What the model's findings are made of: the boxes of a detector or the image scores of a classifier."""

    BOXES = "boxes"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class StudyWriter:
    """Writes the folder of each study below `output`; picklable, for worker processes.

    labels: names of the model's labels, by number. language: `en` or `zh`. mapped: whether it was asked where the model
    looked, so that saliency.png shows it.
    """

    output: Path
    labels: tuple[str, ...]
    answers: Answers
    provenance: Provenance
    bands: Bands
    language: str = "en"
    mapped: bool = False

    def __call__(self, result: StudyResult) -> None:
        """Write output/STUDY, all of it or nothing; an earlier folder of the study is replaced."""
        found = [self._findings(image) for image in result.images]
        report = build_report(result, found, self.labels, self.bands, self.provenance, self.mapped)
        write_study(self.output / result.study, report, result.images, self.language)

    def written(self, study: str) -> tuple[int, tuple[str, ...]] | None:
        """Number of images and the refusals of a study whose folder is there, whole as every folder is; else None."""
        path = self.output / study / FINDINGS
        if not path.is_file():
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
        return len(record["images"]), tuple(record["refused"])

    def _findings(self, image: ImageResult) -> tuple[Finding, ...]:
        if self.answers is Answers.IMAGES:
            return weak_findings(image, self.labels, self.bands.mention)
        return findings(image, self.labels, self.bands.mention)


def write_study(folder: Path, report: Report, images: Sequence[ImageResult], language: str) -> None:
    """Write a report and its pictures into a folder that appears at once, in place of an earlier one.

    images: those the report is about, in its order. The most suspicious image is overlay.png, the next ones
    overlay-2.png to overlay-8.png. Where it is known where the model looked, saliency.png shows the same images.
    """
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    pictures = []
    for place, number in enumerate(picture_order(report), start=1):
        image = images[number - 1]
        canvas = draw(image.picture, image.geometry, [item for item in report.findings if item.image == number])
        (draft / ("overlay.png" if place == 1 else f"overlay-{place}.png")).write_bytes(png(canvas))
        pictures.append(Picture(number, jpeg(canvas)))
    form = json.dumps(to_dict(report), indent=2, ensure_ascii=False) + "\n"
    (draft / FINDINGS).write_text(form, encoding="utf-8")
    heat = shown_heat(draft, report, images)
    (draft / "report.html").write_text(to_html(report, tuple(pictures), language, heat), encoding="utf-8")
    _put(draft, folder)


def shown_heat(draft: Path, report: Report, images: Sequence[ImageResult]) -> Picture | None:
    """Write saliency.png, and give it for the page; None where no image has a map, or where it can't be drawn."""
    numbers = [number for number in picture_order(report) if images[number - 1].heat is not None]
    if not numbers:
        return None
    from radvit.report import saliency  # matplotlib takes a second to load

    try:
        written = saliency.draw([(number, images[number - 1]) for number in numbers], report)
    except Exception as error:  # noqa: BLE001 - a picture that can't be drawn must not cost the study its report
        log.warning("saliency.png could not be drawn: %s", type(error).__name__)
        return None
    (draft / "saliency.png").write_bytes(written)
    return Picture(0, jpeg(decoded(written)))


def picture_order(report: Report) -> list[int]:
    """Numbers of the images to picture: by their strongest finding, then those without one as they were read."""
    with_findings = dict.fromkeys(item.image for item in report.findings)
    every = dict.fromkeys([*with_findings, *(image.number for image in report.images)])
    return list(every)[:MOST_PICTURES]


def _put(draft: Path, folder: Path) -> None:
    """Move a finished folder to its name; a folder that has files can't be renamed over, so it goes first."""
    if folder.exists():
        shutil.rmtree(folder)
    draft.replace(folder)
