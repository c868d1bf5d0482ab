"""report.html: one file that needs nothing else, escapes all it is given, and runs no script but its own."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from radvit import pages
from radvit.records import Basis, Geometry
from radvit.report import wording, wording_comparison
from radvit.report.build import Report, ReportFinding, ReportImage
from radvit.report.plain import plain
from radvit.report.wording import Words

METER_PX = 72  # width of the confidence bar in the template
TAGS_A_SIDE = 38  # heights of a tag's digits that fit into the longer side of an image
PLAIN = re.compile(r'<img class="plain" src="data:image/jpeg;base64,([A-Za-z0-9+/]+={0,2})"')


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to embed.

    image: number of the image it shows, 0 for one of all images. jpeg: the file's bytes. marked: whether its findings
    are drawn on it already, so that the page draws none.
    """

    image: int
    jpeg: bytes
    marked: bool = False

    @property
    def data_uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding's box and the tag with its number, in pixels of the stored image; tags are `width` by `height`.

    below: whether the tag hangs from its place and doesn't stand on it, as where the box begins at the image's top.
    """

    number: int
    band: str
    sentence: str
    dashed: bool
    box: tuple[float, float, float, float]
    tag: tuple[float, float]
    width: float
    height: float
    below: bool


def plain_jpegs(page: str) -> list[bytes]:
    """The files of the pictures without marks that a page of `to_html` holds, in its order."""
    return [base64.b64decode(found) for found in PLAIN.findall(page)]


def to_html(report: Report, pictures: tuple[Picture, ...], language: str, saliency: Picture | None = None) -> str:
    """Render a report in `en` or `zh`. saliency: where a classifier looked. Raises ConfigError for another language."""
    w = wording.words(language)
    figures = [(picture, *_drawn(picture, report, w)) for picture in pictures]
    return pages.load("radvit.report", "report").render(
        w=w,
        title=wording.title(report, w),
        report=report,
        patient=[(name, plain(value)) for name, value in _patient(report, w)],
        study=[(name, plain(value)) for name, value in _study(report, w)],
        images=[(w["field.image"].format(n=image.number), plain(_image(image, w))) for image in report.images],
        findings=[(item, wording.finding_sentence(item, w)) for item in report.findings],
        figures=figures,
        linked={mark.number for _, marks, _ in figures for mark in marks},
        merged=wording.merged(report, w),
        summary=wording.findings_summary(report, w),
        comparison=_comparison(report, w),
        impression=wording.impression(report, w),
        recommendation=wording.recommendations(report, w),
        limits=[*wording.limits(report, w, len(pictures)), *wording_comparison.limits(report, w)],
        refused=wording.refusals(report, w),
        reasons=[plain(reason) for reason in report.refused],
        provenance=[(name, plain(value)) for name, value in _provenance(report, w)],
        saliency=saliency,
        meter_px=METER_PX,
    )


def _drawn(picture: Picture, report: Report, w: Words) -> tuple[list[Mark], Geometry]:
    """What to draw over a picture, the most suspicious last, on top, and the image's geometry."""
    geometry = report.images[picture.image - 1].geometry
    found = [] if picture.marked else [item for item in reversed(report.findings) if item.image == picture.image]
    return [mark for item in found if (mark := _mark(item, geometry, w))], geometry


def _mark(item: ReportFinding, geometry: Geometry, w: Words) -> Mark | None:
    """The mark of a finding, its tag within the image; None for a finding without a box."""
    finding = item.finding
    if finding.box_px is None:
        return None
    x1, y1, x2, y2 = finding.box_px
    digit = max(geometry.rows, geometry.columns) / TAGS_A_SIDE
    width, height = digit * (0.6 * len(str(item.number)) + 0.7), 1.3 * digit
    below = y1 < height
    top = min(y2, geometry.rows - height) if below else y1 - height
    left = min(max(x1, 0.0), max(geometry.columns - width, 0.0))
    return Mark(
        number=item.number,
        band=item.band.value,
        sentence=wording.finding_sentence(item, w),
        dashed=finding.basis is Basis.ATTENTION,
        box=(x1, y1, x2 - x1, y2 - y1),
        tag=(left, top),
        width=width,
        height=height,
        below=below,
    )


def _comparison(report: Report, w: Words) -> dict[str, object] | None:
    """The sentences about the comparison, and each finding's verdict, its word and reason; None where not asked."""
    if report.comparison is None:
        return None
    changes = [(item.verdict.value, *wording_comparison.change(item, w)) for item in report.comparison.changes]
    prior = report.comparison.prior
    return {
        "sentences": wording_comparison.compared_with(report.comparison, w),
        "changes": changes,
        "study": (w["field.prior"], prior.study) if prior else None,
    }


def _patient(report: Report, w: Words) -> list[tuple[str, str]]:
    return [
        (w["field.pseudonym"], report.patient),
        (w["field.sex"], wording.sex(report.sex, w)),
        (w["field.age"], wording.age(report.age, w)),
        (w["field.date"], w.or_unknown(report.study_date)),
    ]


def _study(report: Report, w: Words) -> list[tuple[str, str]]:
    """What the images of the study say, each different value once."""
    headers = [image.header for image in report.images]

    def said(values: list[str]) -> str:
        return w.listed(list(dict.fromkeys(values)))

    return [
        (w["field.modality"], said([wording.modality(h.modality, w) for h in headers])),
        (w["field.body_part"], said([wording.body_part(h.body_part, w) for h in headers])),
        (w["field.view"], said([wording.view(h.view, w) for h in headers])),
        (w["field.study"], report.study),
    ]


def _image(image: ReportImage, w: Words) -> str:
    """One line about an image: its view, its size, its grey window."""
    geometry = image.geometry
    size = w["image.size"].format(columns=geometry.columns, rows=geometry.rows)
    if geometry.spacing_mm:
        row_mm, column_mm = (f"{mm:.3g}" for mm in geometry.spacing_mm)
        values = {"columns": geometry.columns, "rows": geometry.rows, "row_mm": row_mm, "column_mm": column_mm}
        size = w["image.size_mm"].format(**values)
    parts = [wording.view(image.header.view, w) if image.header.view else "", size, image.header.window]
    return " · ".join(part for part in parts if part)


def _provenance(report: Report, w: Words) -> list[tuple[str, str]]:
    made, bands = report.provenance, report.bands
    limits = {"high": f"{bands.high:.2f}", "moderate": f"{bands.moderate:.2f}", "mention": f"{bands.mention:.2f}"}
    rows = [
        (w["field.model"], made.model),
        (w["field.version"], made.version),
        (w["field.precision"], made.precision),
        (w["field.created"], made.created),
        (w["field.weights"], made.weights[:16]),
        (w["field.commit"], made.git_commit[:12]),
        (w["field.bands"], w["bands"].format(**limits)),
    ]
    return [(name, value) for name, value in rows if value]
