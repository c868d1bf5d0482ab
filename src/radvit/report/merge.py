"""Findings of several images of one study to a list of the study's own: one lesion, one entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from radvit.records import Finding, Geometry, Header

FRONTAL = frozenset({"PA", "AP"})
LATERAL = frozenset({"LL", "RL", "LATERAL"})


class SeenOn(Protocol):
    """An image of the study."""

    @property
    def header(self) -> Header: ...  # noqa: D102

    @property
    def geometry(self) -> Geometry: ...  # noqa: D102


class Numbered(Protocol):
    """A finding with its number within the study and that of its image, both from 1."""

    @property
    def number(self) -> int: ...  # noqa: D102

    @property
    def image(self) -> int: ...  # noqa: D102

    @property
    def finding(self) -> Finding: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class StudyFinding:
    """What is taken for one lesion of a study.

    score: the highest among its findings; those of lateral images don't count. numbers: of its findings, the best
    first. supported_by: numbers of findings of the same type and zone on lateral images.
    """

    type: str
    score: float
    side: str | None
    zone: str | None
    numbers: tuple[int, ...]
    supported_by: tuple[int, ...] = ()


def merge(images: Sequence[SeenOn], findings: Sequence[Numbered]) -> tuple[StudyFinding, ...]:
    """The study's own list, best score first.

    Findings of the same type, side and zone on two frontal images are one; where an image has several of them, they are
    paired so that the sum of distances between centres, in fractions of the images' sizes, is smallest. A finding
    without side or zone stands for itself. Beside frontal images a lateral one only supports: it raises no score and
    makes no entry. images: in the order of their numbers. findings: best score first.
    """
    has_frontal = any(image.header.view in FRONTAL for image in images)
    groups: list[list[Numbered]] = []
    lateral: list[Numbered] = []
    for number, image in enumerate(images, start=1):
        own = [item for item in findings if item.image == number]
        if has_frontal and image.header.view in LATERAL:
            lateral += own
        elif image.header.view in FRONTAL:
            _join(groups, own, images)
        else:
            groups += [[item] for item in own]
    entries = sorted((_entry(group) for group in groups), key=lambda entry: entry.numbers[0])
    return tuple(_supported(entry, lateral) for entry in entries)


def _join(groups: list[list[Numbered]], own: Sequence[Numbered], images: Sequence[SeenOn]) -> None:
    """Add one image's findings to the groups of the same lesion, or as new groups; in place."""
    left = list(own)
    for key in dict.fromkeys(_key(item.finding) for item in own if _is_placed(item.finding)):
        mine = [item for item in own if _key(item.finding) == key]
        open_groups = [group for group in groups if _is_placed(group[0].finding) and _key(group[0].finding) == key]
        if not open_groups:
            continue
        from scipy.optimize import linear_sum_assignment  # takes long to load, and few studies need it

        ends = [np.array([_centre(item, images) for item in side]) for side in (mine, [g[0] for g in open_groups])]
        cost = np.linalg.norm(ends[0][:, None] - ends[1][None], axis=2)  # (mine, groups)
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            open_groups[j].append(mine[i])
            left.remove(mine[i])
    groups += [[item] for item in left]


def _key(finding: Finding) -> tuple[str, str | None, str | None]:
    return finding.type, finding.location.side, finding.location.zone


def _is_placed(finding: Finding) -> bool:
    return finding.box_px is not None and bool(finding.location.side and finding.location.zone)


def _centre(item: Numbered, images: Sequence[SeenOn]) -> tuple[float, float]:
    """Centre of a finding's box in fractions of its image's width and height."""
    geometry, box = images[item.image - 1].geometry, item.finding.box_px
    x1, y1, x2, y2 = box or (0.0, 0.0, 0.0, 0.0)
    return (x1 + x2) / 2 / geometry.columns, (y1 + y2) / 2 / geometry.rows


def _entry(group: Sequence[Numbered]) -> StudyFinding:
    members = sorted(group, key=lambda item: item.number)
    best = members[0].finding
    place = best.location
    return StudyFinding(best.type, best.score, place.side, place.zone, tuple(item.number for item in members))


def _supported(entry: StudyFinding, lateral: Sequence[Numbered]) -> StudyFinding:
    """The entry with the lateral findings of its type and zone; one without a zone has none."""
    wanted = entry.type, entry.zone
    same = [item.number for item in lateral if (item.finding.type, item.finding.location.zone) == wanted]
    return replace(entry, supported_by=tuple(sorted(same)) if entry.zone else ())
