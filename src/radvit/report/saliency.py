"""saliency.png: each image beside itself with a heat map of where the classifier looked."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from radvit.inference.results import Heat, ImageResult, Picture
from radvit.report.build import Band, Report

COLOURS = "inferno"  # its lightness rises evenly, so that it reads the same with any colour vision and in grey
FAINTEST, STRONGEST = 0.15, 0.62  # opacity of the heat where the model looked most: from none at this much heat
EDGES = {Band.HIGH: "#eb3c3c", Band.MODERATE: "#fa9628", Band.LOW: "#fad73c"}  # as on overlay.png
PAPER, INK, SOFT = "#ffffff", "#1a1f26", "#5a6472"
WIDTH_IN = 7.2
DPI = 130


def draw(images: Sequence[tuple[int, ImageResult]], report: Report) -> bytes:
    """A PNG file with a row an image: the image, and the same with heat and boxes; below them what colours mean.

    images: numbers and images of the report that have a map, in the order to show them.
    """
    heights = [WIDTH_IN / 2 * _aspect(image) + 0.25 for _, image in images]
    figure = Figure(figsize=(WIDTH_IN, sum(heights) + 0.95), dpi=DPI, facecolor=PAPER)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.02, wspace=0.02))
    grid = figure.add_gridspec(len(images) + 1, 2, height_ratios=[*heights, 0.16])
    for row, (number, image) in enumerate(images):
        left, right = (figure.add_subplot(grid[row, column]) for column in (0, 1))
        _show(left, image)
        _show(right, image)
        left.set_title(f"Image {number}", loc="left", fontsize=10, color=INK, fontweight="bold")
        right.set_title(_said(image, report.looked_for), loc="left", fontsize=10, color=INK)
        if image.heat is not None:
            right.imshow(tinted(image.heat.values), extent=_extent(image), interpolation="bilinear")
        _mark(right, number, report)
    _key(figure.add_subplot(grid[len(images), :]))
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def tinted(heat: Picture) -> Picture:
    """Heat as colours that let the image through: (rows, columns) uint8 to (rows, columns, 4) uint8, RGBA."""
    share = heat.astype(np.float32) / 255
    colours = colormaps[COLOURS](0.2 + 0.8 * share)
    colours[..., 3] = STRONGEST * np.clip((share - FAINTEST) / (1 - FAINTEST), 0, 1) ** 0.6
    return np.asarray(np.rint(255 * colours), np.uint8)


def _aspect(image: ImageResult) -> float:
    return min(image.geometry.rows / image.geometry.columns, 2.0)


def _extent(image: ImageResult) -> tuple[float, float, float, float]:
    """Edges in pixels of the stored image, which its boxes are in."""
    return 0, image.geometry.columns, image.geometry.rows, 0


def _show(axes: Axes, image: ImageResult) -> None:
    axes.imshow(image.picture, cmap="gray", vmin=0, vmax=255, extent=_extent(image))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _said(image: ImageResult, labels: Sequence[str]) -> str:
    """What the map is of, and what the model said of the image."""
    heat: Heat | None = image.heat
    if heat is None or heat.is_flat:
        return "no map: it looked alike everywhere"
    scores = [(score, label.replace("_", " ")) for score, label in zip(image.scores, labels, strict=True)]
    score, label = max(scores) if heat.label is None else scores[heat.label]
    return f"{label} {score:.2f}" if heat.label is not None else f"all classes; most likely {label} {score:.2f}"


def _mark(axes: Axes, number: int, report: Report) -> None:
    """The boxes of one image's findings, with their numbers."""
    for item in report.findings:
        if item.image != number or item.finding.box_px is None:
            continue
        x1, y1, x2, y2 = item.finding.box_px
        for colour, width, dashes in (("black", 2.2, "-"), (EDGES[item.band], 1.6, (0, (4, 2)))):
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=width, ls=dashes))
        given = {"facecolor": EDGES[item.band], "edgecolor": "none", "pad": 1.5}
        axes.text(x1, y1, f"{item.number}", fontsize=8, va="bottom", color="black", bbox=given, clip_on=True)


def _key(axes: Axes) -> None:
    """The colour bar, in words."""
    steps = np.linspace(0, 255, 256).astype(np.uint8)[None]
    axes.imshow(np.full_like(steps, 96), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 0, 1), aspect="auto")
    axes.imshow(tinted(steps), extent=(0, 1, 0, 1), aspect="auto")
    axes.set(yticks=[], xticks=[0, 0.5, 1])
    axes.set_xticklabels(
        ["looked least", "half as much as at the brightest place", "looked most"], fontsize=8, color=INK
    )
    left, _, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    axes.tick_params(length=0, pad=4)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(
        "Each map runs from its own least to its own most: colours can't be compared between images.\n"
        "Dashed boxes are drawn around where the classifier looked. Research use only.",
        fontsize=7.5,
        color=SOFT,
        loc="left",
    )
