"""A study's result to its folder: findings.json, pictures and report.html, all of them or none.

Later only the words change, when an earlier study of the patient is found: `rewrite` puts them in their place.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from radvit.inference.findings import findings, weak_findings
from radvit.inference.location import lungs_of
from radvit.inference.lung_field import LungField
from radvit.inference.results import ImageResult, StudyResult
from radvit.records import Finding, Provenance
from radvit.report.build import Bands, Report, build_report
from radvit.report.compare import History, compare
from radvit.report.fleischner import Stated
from radvit.report.forms import Form, checked, present, rendered
from radvit.report.html import Picture, plain_jpegs, to_html
from radvit.report.json_form import to_dict
from radvit.report.overlay import decoded, draw, enlarged, jpeg
from radvit.report.verdicts import Criteria

log = logging.getLogger(__name__)

MOST_PICTURES = 8
FINDINGS = "findings.json"
PAGE = "report.html"
SALIENCY = "saliency.png"


class Answers(Enum):
    """What the model's findings are made of: the boxes of a detector or the image scores of a classifier."""

    BOXES = "boxes"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class StudyWriter:
    """Writes the folder of each study below `output`; picklable, for worker processes.

    labels: names of the model's labels, by number. language: `en` or `zh`. mapped: whether it was asked where the model
    looked, so that saliency.png shows it. criteria: None where the studies are not to be compared with earlier ones.
    forms: what else each report is written as. check: whether every form is read back and compared before any is kept.
    stated: what a user states of nodules on CT; None for nothing.
    """

    output: Path
    labels: tuple[str, ...]
    answers: Answers
    provenance: Provenance
    bands: Bands
    language: str = "en"
    mapped: bool = False
    criteria: Criteria | None = None
    forms: tuple[Form, ...] = ()
    check: bool = True
    stated: Stated | None = None

    def __call__(self, result: StudyResult) -> None:
        """Write output/STUDY, all of it or nothing; an earlier folder of the study is replaced."""
        lungs = [self._lungs(image) for image in result.images]
        found = [self._findings(image, field) for image, field in zip(result.images, lungs, strict=True)]
        extents = [None if field is None else field.extent for field in lungs]
        report = build_report(
            result, found, self.labels, self.bands, self.provenance, extents, self.mapped, self.stated
        )
        if self.criteria:
            report = replace(report, comparison=compare(report, History(), self.criteria))
        write_study(self.output / result.study, report, result.images, self.language, self.forms, self.check)

    def written(self, study: str) -> tuple[int, tuple[str, ...]] | None:
        """Number of images and the refusals of a study whose folder is there, whole as every folder is; else None."""
        path = self.output / study / FINDINGS
        if not path.is_file():
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
        return len(record["images"]), tuple(record["refused"])

    def _lungs(self, image: ImageResult) -> LungField | None:
        """The lungs, where a box is to be placed by them or an earlier study's finding to be looked for in them."""
        boxed = bool((image.boxes.scores >= self.bands.mention).any())
        wanted = boxed or (self.answers is Answers.BOXES and self.criteria is not None)
        return lungs_of(image.picture, image.header) if wanted else None

    def _findings(self, image: ImageResult, lungs: LungField | None) -> tuple[Finding, ...]:
        if self.answers is Answers.IMAGES:
            return weak_findings(image, self.labels, self.bands.mention, lungs)
        return findings(image, self.labels, self.bands.mention, lungs)


def write_study(
    folder: Path,
    report: Report,
    images: Sequence[ImageResult],
    language: str,
    forms: Sequence[Form] = (),
    check: bool = True,
) -> None:
    """Write a report and its pictures into a folder that appears at once, in place of an earlier one.

    images: those the report is about, in its order. The most suspicious image is overlay.png, the next ones
    overlay-2.png to overlay-8.png. Where it is known where the model looked, saliency.png shows the same images.
    Raises UntrueReportError where a form that was read back differs, DataError where one can't hold the report.
    """
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    pictures = []
    for place, number in enumerate(picture_order(report), start=1):
        image = images[number - 1]
        drawing = draw(image.picture, image.geometry, [item for item in report.findings if item.image == number])
        (draft / picture_name(place)).write_bytes(drawing.png())
        if Form.OVERLAY in forms:
            from radvit.report.capture import to_capture  # pydicom takes a while to load

            capture = to_capture(report, number, drawing.bgr(), language)
            (draft / picture_name(place)).with_suffix(".dcm").write_bytes(capture)
        pictures.append(Picture(number, jpeg(enlarged(image.picture))))
    heat = shown_heat(draft, report, images)
    for name, content in _words(report, tuple(pictures), language, heat, forms, check).items():
        (draft / name).write_bytes(content)
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
    (draft / SALIENCY).write_bytes(written)
    return _page_heat(draft)


def rewrite(folder: Path, report: Report, language: str, check: bool = True) -> None:
    """Put other words about the same images in place of a folder's: its forms, and then findings.json.

    Each file is replaced at once. A rewrite that is killed leaves a draft behind, by which `was_interrupted` knows it.
    """
    pictures, heat = page_pictures(folder, report), _page_heat(folder)
    words = _words(report, pictures, language, heat, tuple(present(folder)), check)
    for name, content in words.items():
        with (folder / _draft_name(name)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for name in reversed(words):  # findings.json, whose draft is the first to come, is the last to go
        (folder / _draft_name(name)).replace(folder / name)


def was_interrupted(folder: Path) -> bool:
    """Whether a rewrite of the folder was killed, so that its two files may disagree."""
    return (folder / _draft_name(FINDINGS)).exists()


def page_pictures(folder: Path, report: Report) -> tuple[Picture, ...]:
    """The pictures for a folder's page: those of the page that is there, else the ones with marks beside it."""
    order = picture_order(report)
    page = folder / PAGE
    plain = plain_jpegs(page.read_text(encoding="utf-8", errors="replace")) if page.is_file() else []
    if len(plain) == len(order):
        return tuple(Picture(number, file) for number, file in zip(order, plain, strict=True))
    paths = [(number, folder / picture_name(place)) for place, number in enumerate(order, start=1)]
    return tuple(
        Picture(number, jpeg(decoded(path.read_bytes())), marked=True) for number, path in paths if path.is_file()
    )


def _page_heat(folder: Path) -> Picture | None:
    """A folder's saliency.png for its page, None where it has none."""
    path = folder / SALIENCY
    return Picture(0, jpeg(decoded(path.read_bytes()))) if path.is_file() else None


def picture_order(report: Report) -> list[int]:
    """Numbers of the images to picture: by their strongest finding, then those without one as they were read."""
    with_findings = dict.fromkeys(item.image for item in report.findings)
    every = dict.fromkeys([*with_findings, *(image.number for image in report.images)])
    return list(every)[:MOST_PICTURES]


def _words(
    report: Report,
    pictures: tuple[Picture, ...],
    language: str,
    heat: Picture | None,
    forms: Sequence[Form],
    check: bool,
) -> dict[str, bytes]:
    """What a folder says by file name, findings.json first. check: read it back before it is kept."""
    form = json.dumps(to_dict(report), indent=2, ensure_ascii=False) + "\n"
    page = to_html(report, pictures, language, heat)
    others = rendered(report, page, language, forms)
    if check:
        checked(report, others, page, language)
    return {FINDINGS: form.encode(), PAGE: page.encode(), **others}


def picture_name(place: int) -> str:
    """The file of the picture at a place of `picture_order`, from 1."""
    return "overlay.png" if place == 1 else f"overlay-{place}.png"


def _draft_name(name: str) -> str:
    return f".{name}.part"


def _put(draft: Path, folder: Path) -> None:
    """Move a finished folder to its name; a folder that has files can't be renamed over, so it goes first."""
    if folder.exists():
        shutil.rmtree(folder)
    draft.replace(folder)
