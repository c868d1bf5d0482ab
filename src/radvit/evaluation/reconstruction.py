"""What a masked autoencoder makes of images: the original, what it was shown, and what it drew."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from radvit.records import FloatArray

ROWS = ("original", "shown", "drawn")


def reconstruction_figure(rows: Sequence[FloatArray], caption: str) -> Figure:
    """Images side by side, one column an image. rows: originals, masked and redrawn, each (n, S, S) in [0, 1]."""
    n = len(rows[0])
    figure = Figure(figsize=(1.7 * n + 0.4, 5.6), dpi=150, layout="constrained", facecolor="white")
    grid = figure.subplots(len(rows), n, squeeze=False)
    for line, images, name in zip(grid, rows, ROWS, strict=True):
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    figure.suptitle(caption, x=0.01, ha="left", fontsize=10)
    return figure
