"""The check of maps against randomised weights as a section of REPORT.md and a figure."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from radvit.evaluation.figures import COLORS, FAINT, INK
from radvit.evaluation.sanity import ALIKE, Sanity, mean
from radvit.evaluation.tables import markdown
from radvit.plural import counted
from radvit.records import FloatArray

COLOURS = "inferno"  # its lightness rises evenly: the same with any colour vision


def section(found: Sanity) -> str:
    """What REPORT.md says of the check."""
    how = (
        f"Maps of {found.method} on {counted(found.n_images, 'image')} as weights are randomised from the head down, "
        "against those of the trained model (Adebayo et al. 2018); 1: the same map, 0: nothing in common."
    )
    return "\n\n".join(("## Do the maps depend on the model?", " ".join(found.verdict()), markdown(found.rows()), how))


def figure(found: Sanity) -> Figure:
    """Maps of a few images, stage by stage, above their likeness to those of the trained model."""
    rows, columns = len(found.trained), len(found.stages) + 2
    drawn = Figure(figsize=(1.35 * columns, 1.45 * rows + 2.6), dpi=150, layout="constrained")
    grid = drawn.add_gridspec(rows + 1, columns, height_ratios=[1.4] * rows + [2.0])
    titles = ["image", "trained", *(stage.name for stage in found.stages)]
    for row in range(rows):
        heats = [None, found.trained[row], *(stage.maps[row] for stage in found.stages)]
        for column, heat in enumerate(heats):
            axes = drawn.add_subplot(grid[row, column])
            axes.imshow(over(found.pictures[row], heat))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if row == 0:
                axes.set_title(titles[column], fontsize=9, color=INK)
    words = drawn.add_subplot(grid[rows, 0])
    words.text(0, 0.5, "likeness to\nthe maps of the\ntrained model", fontsize=9, va="center", color=INK)
    words.set_axis_off()
    _curves(drawn, grid[rows, 1:], found)
    drawn.suptitle(f"Where it looked ({found.method}), as weights are randomised from the head down", fontsize=11)
    return drawn


def over(picture: FloatArray, heat: FloatArray | None) -> FloatArray:
    """A map laid over its image: (S, S) and (h, w) to (S, S, 3), all in [0, 1]; a flat map leaves the image alone."""
    grey = np.repeat(picture[..., None].astype(np.float32), 3, axis=2)
    if heat is None:
        return grey
    at = [np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip(picture.shape, heat.shape, strict=True)]
    whole = heat[at[0]][:, at[1]]
    opacity = 0.7 * whole[..., None] ** 0.6
    return np.asarray((1 - opacity) * grey + opacity * colormaps[COLOURS](0.2 + 0.8 * whole)[..., :3], np.float32)


def _curves(drawn: Figure, place: SubplotSpec, found: Sanity) -> None:
    axes = drawn.add_subplot(place)
    at = np.arange(len(found.stages) + 1)
    for i, (name, marker) in enumerate((("rank correlation", "o"), ("SSIM", "s"))):
        values = [1.0, *(mean(stage.ssim if i else stage.spearman) for stage in found.stages)]
        axes.plot(at, values, marker=marker, color=COLORS[i], label=name, markersize=5, zorder=3)
    axes.axhline(ALIKE, color=INK, linewidth=1, linestyle="--", label="alike above this", zorder=2)
    least = float(np.nanmin(np.concatenate([line.get_ydata() for line in axes.lines])))
    axes.set(ylim=(min(-0.35, least - 0.1), 1.08), xlim=(-0.5, len(found.stages) + 0.5), xticks=at)
    axes.set_xticklabels(["trained", *(stage.name for stage in found.stages)], fontsize=9)
    axes.grid(color=FAINT, linewidth=0.5, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=3)
