"""Whether a map of where a model looked depends on the model: the check of Adebayo et al. 2018 (arXiv 1810.03292).

Weights are randomised from the head down, and the maps they then give are held against those of the trained model. A
map that stays as it was says something of the image, not of what the model learned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import uniform_filter
from scipy.stats import spearmanr

from radvit.models.backbone import layer_of
from radvit.models.saliency import relative
from radvit.models.vit import RadiographViT
from radvit.records import FloatArray

Array = npt.NDArray[np.float64]
MapOf = Callable[[RadiographViT, FloatArray, int], FloatArray]  # model, image (1, S, S), class -> (h, w) of patches
Progress = Callable[[int, int], None]

ALIKE = 0.5  # mean rank correlation above which maps of trained and of random weights count as alike
SAME = 0.99  # above which they count as the same
STEPS = 4  # in which the blocks are randomised
SHOWN = 4  # images whose maps are kept to be drawn
LARGEST_WINDOW = 7  # of SSIM, patches; Wang et al. 2004 as scikit-image computes it


@dataclass(frozen=True, slots=True)
class Stage:
    """Maps once some weights were randomised. name: the part that came last. weights: share of all that are random.

    spearman, ssim: (N,), likeness to the trained model's map of each image; nan where one of the two is flat. maps: of
    the first images, (n, h, w) from 0 to 1.
    """

    name: str
    weights: float
    spearman: Array
    ssim: Array
    maps: FloatArray


@dataclass(frozen=True, slots=True)
class Sanity:
    """The check of one kind of map. trained: maps of the trained model and pictures: the images, both of those shown.

    stages: in the order in which weights were randomised; the last has all of them random.
    """

    method: str
    seed: int
    trained: FloatArray
    pictures: FloatArray
    stages: tuple[Stage, ...]

    @property
    def n_images(self) -> int:
        """How many images were looked at."""
        return len(self.stages[-1].spearman)

    @property
    def depends(self) -> bool | None:
        """Whether maps change with the weights; None where it can't be told, as maps are flat."""
        likeness = mean(self.stages[-1].spearman)
        return None if np.isnan(likeness) else bool(likeness <= ALIKE)

    def verdict(self) -> list[str]:
        """What came out, in sentences."""
        likeness = mean(self.stages[-1].spearman)
        if self.depends is None:
            return [f"It can't be told whether {self.method} depends on the weights: its maps are flat."]
        first = (
            f"With all weights randomised, maps of {self.method} have a rank correlation of {likeness:.2f} with before"
        )
        words = [
            f"{first}: they depend on what the model learned."
            if self.depends
            else f"{first}: they hardly depend on the weights, and show the image more than the model. Don't read them."
        ]
        if mean(self.stages[0].spearman) > SAME:
            words.append(
                f"Randomising the {self.stages[0].name} alone changes nothing: such a map does not look at it, so it "
                "can't say why a class was given."
            )
        return words

    def rows(self) -> list[tuple[str, ...]]:
        """A table: a header, and a line a stage."""
        header = ("randomised, from the top down to", "share of weights", "rank correlation", "SSIM", "flat maps")
        return [header, *(self._row(stage) for stage in self.stages)]

    def _row(self, stage: Stage) -> tuple[str, ...]:
        likeness = (f"{mean(values):.3f}" for values in (stage.spearman, stage.ssim))
        return (stage.name, f"{stage.weights:.1%}", *likeness, str(int(np.isnan(stage.spearman).sum())))

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "method": self.method,
            "images": self.n_images,
            "seed": self.seed,
            "alike_above": ALIKE,
            "depends_on_weights": self.depends,
            "verdict": self.verdict(),
            "stages": [
                {
                    "randomised_down_to": stage.name,
                    "share_of_weights": stage.weights,
                    "spearman": mean(stage.spearman),
                    "ssim": mean(stage.ssim),
                    "spearman_of_images": stage.spearman.tolist(),
                    "ssim_of_images": stage.ssim.tolist(),
                }
                for stage in self.stages
            ],
        }


def check(
    model: RadiographViT,
    map_of: MapOf,
    method: str,
    images: FloatArray,
    pictures: FloatArray,
    seed: int,
    progress: Progress | None = None,
) -> Sanity:
    """Hold maps against those of ever more randomised weights.

    map_of: the kind of map to check, of the class that is likeliest under the trained weights. images: (N, 1, S, S),
    normalised; pictures: (N, S, S) in [0, 1], the same to be shown. The model itself stays as it is.
    """
    model = copy.deepcopy(model).eval()
    labels = likeliest(model, images)
    groups = parts(model)
    total, rest = len(images) * (len(groups) + 1), [0]

    def maps() -> FloatArray:
        every = []
        for image, label in zip(images, labels, strict=True):
            every.append(map_of(model, image, label))
            rest[0] += 1
            if progress:
                progress(rest[0], total)
        return relative(torch.from_numpy(np.stack(every))).numpy().astype(np.float32)

    trained, generator = maps(), torch.Generator().manual_seed(seed)
    every = sum(parameter.numel() for parameter in model.parameters())
    done, stages = 0, []
    for name, parameters in groups:
        for parameter in parameters:
            randomise(parameter, generator)
            done += parameter.numel()
        now = maps()
        alike = np.array([[spearman(a, b), ssim(a, b)] for a, b in zip(trained, now, strict=True)])
        stages.append(Stage(name, done / every, alike[:, 0], alike[:, 1], now[:SHOWN]))
    return Sanity(method, seed, trained[:SHOWN], pictures[:SHOWN], tuple(stages))


def likeliest(model: RadiographViT, images: FloatArray) -> list[int]:
    """The class with the highest logit of each image."""
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = [model(torch.from_numpy(image[None]).to(device))["logits"][0] for image in images]
    return [int(logit.argmax()) for logit in logits]


def parts(model: RadiographViT) -> list[tuple[str, list[torch.nn.Parameter]]]:
    """Every weight of a model in groups from the top down: head, blocks in a few steps, and all before them."""
    depth = model.backbone.depth
    steps = [step.tolist() for step in np.array_split(np.arange(depth)[::-1], min(STEPS, depth))]
    names = ["head", *(f"block {step[-1] + 1}" for step in steps), "embedding"]
    step_of = {block: place for place, step in enumerate(steps, start=1) for block in step}
    groups: list[list[torch.nn.Parameter]] = [[] for _ in names]
    for name, parameter in model.named_parameters():
        layer = layer_of(name.removeprefix("backbone.")) if name.startswith("backbone.") else depth
        layer = depth - 1 if layer is None else layer  # the norm after the last block goes with it
        groups[0 if layer == depth else step_of.get(layer, len(names) - 1)].append(parameter)
    return list(zip(names, groups, strict=True))


@torch.no_grad()
def randomise(parameter: torch.nn.Parameter, generator: torch.Generator) -> None:
    """Draw a weight's values anew from a normal distribution with the mean and deviation they have now; in place."""
    drawn = torch.randn(parameter.shape, generator=generator).to(parameter.device, parameter.dtype)
    parameter.copy_(parameter.mean() + parameter.std(unbiased=False) * drawn)


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Rank correlation of two maps; nan where one is flat."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def ssim(a: FloatArray, b: FloatArray) -> float:
    """Structural similarity (Wang et al. 2004) of two maps from 0 to 1; nan where one is flat or narrower than 3."""
    side = min(LARGEST_WINDOW, *a.shape)
    side -= 1 - side % 2
    if side < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    x, y = a.astype(np.float64), b.astype(np.float64)
    mx, my = uniform_filter(x, side), uniform_filter(y, side)
    sample = side**2 / (side**2 - 1)
    vx, vy = (sample * (uniform_filter(z * z, side) - m * m) for z, m in ((x, mx), (y, my)))
    vxy = sample * (uniform_filter(x * y, side) - mx * my)
    c1, c2 = 0.01**2, 0.03**2
    local = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    edge = side // 2
    return float(local[edge : local.shape[0] - edge, edge : local.shape[1] - edge].mean())


def mean(values: Sequence[float] | Array) -> float:
    """Mean of what is defined; nan where nothing is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
