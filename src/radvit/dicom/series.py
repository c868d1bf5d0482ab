"""The slices of a series in the order in which they lie in the patient, and what is missing or twice among them.

Slices of one orientation form a stack. They are ordered along their common normal, towards the left, the back or the
head, whichever the normal is nearest to: so that turning an image within its plane doesn't reverse the order.
Source of positions and directions: DICOM PS3.3 C.7.6.2.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radvit.records import Axes, Geometry, Point

SAME_DIRECTION = 1e-2  # largest difference of two cosines that count as one direction: about half a degree
SAME_PLACE_MM = 1e-2  # files round positions
GAP_FROM = 1.5  # spacings between two neighbours from which slices are missing between them

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slice:
    """What the order of an image follows from. number: InstanceNumber, and the frame's number behind it."""

    position_mm: Point | None = None
    axes: Axes | None = None
    number: tuple[int, int] | None = None

    @staticmethod
    def of(geometry: Geometry, number: int | None = None, frame: int = 0) -> Slice:
        """From an image's geometry and its InstanceNumber, where it has one."""
        return Slice(geometry.position_mm, geometry.axes, None if number is None else (number, frame))


@dataclass(frozen=True, slots=True)
class Gap:
    """Slices missing. after: index of the slice before the gap. missing: how many, by the usual spacing."""

    after: int
    missing: int


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices of one orientation; all numbers are indices into what was given.

    order: along the normal. spacing_mm: median distance of neighbours, None for less than two places. duplicates:
    groups of slices in the same place, by number within each: repetitions in time or echo, or copies.
    """

    order: tuple[int, ...]
    spacing_mm: float | None = None
    gaps: tuple[Gap, ...] = ()
    duplicates: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A series in order. stacks: one for each orientation. unplaced: slices that tell no place, by number."""

    stacks: tuple[Stack, ...] = ()
    unplaced: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """Indices of all slices: stack after stack, then those without a place."""
        return (*(index for stack in self.stacks for index in stack.order), *self.unplaced)

    @property
    def missing(self) -> int:
        """Slices missing in all stacks."""
        return sum(gap.missing for stack in self.stacks for gap in stack.gaps)

    @property
    def repeated(self) -> int:
        """Slices beyond the first in their place, in all stacks."""
        return sum(len(group) - 1 for stack in self.stacks for group in stack.duplicates)


def arrange(slices: Sequence[Slice]) -> Arrangement:
    """Order the slices of one series. The result doesn't depend on the order in which those with a place are given.

    Slices without a place go last, by number, those without a number behind them as they were given.
    """
    numbers = [(slice_.number is None, slice_.number or (0, 0)) for slice_ in slices]
    by_number = sorted(range(len(slices)), key=numbers.__getitem__)
    placed = [i for i in by_number if slices[i].position_mm is not None and slices[i].axes is not None]
    unplaced = tuple(i for i in by_number if slices[i].position_mm is None or slices[i].axes is None)
    if not placed:
        return Arrangement(unplaced=unplaced)
    axes = np.array([slices[i].axes for i in placed], np.float64)
    positions = np.array([slices[i].position_mm for i in placed], np.float64)
    stacks = tuple(_stack(np.array(placed)[rows], axes[rows], positions[rows]) for rows in _alike(axes))
    return Arrangement(stacks, unplaced)


def _alike(axes: _Array) -> list[npt.NDArray[np.int64]]:
    """Group rows of cosines, (N, 6), that are the same direction; the groups in an order that follows from them."""
    left = np.lexsort(axes.T[::-1])
    groups = []
    while len(left):
        same = np.abs(axes[left] - axes[left[0]]).max(axis=1) <= SAME_DIRECTION
        groups.append(np.sort(left[same]))  # back in the order of their numbers
        left = left[~same]
    return groups


def _stack(indices: npt.NDArray[np.int64], axes: _Array, positions: _Array) -> Stack:
    """Order one stack; indices (N,), axes (N, 6), positions (N, 3), by number."""
    # One normal for all, and one that doesn't depend on which slice comes first.
    mean = axes[np.lexsort(axes.T[::-1])].mean(axis=0)
    normal = np.cross(mean[:3], mean[3:])
    normal = normal / np.linalg.norm(normal)
    normal = normal * np.sign(normal[np.abs(normal).argmax()])
    depth = positions @ normal
    places = _places(depth)
    order = [i for place in places for i in sorted(place)]
    steps = np.diff([depth[place[0]] for place in places])
    spacing = float(np.median(steps)) if len(steps) else None
    return Stack(
        tuple(int(indices[i]) for i in order),
        spacing,
        tuple(_gaps(indices, places, steps, spacing)),
        tuple(tuple(int(indices[i]) for i in group) for place in places for group in _copies(place, positions)),
    )


def _places(depth: _Array) -> list[list[int]]:
    """Group depths along the normal that are the same within rounding, ascending."""
    places: list[list[int]] = []
    for i in np.argsort(depth, kind="stable").tolist():
        if places and depth[i] - depth[places[-1][0]] <= SAME_PLACE_MM:
            places[-1].append(i)
        else:
            places.append([i])
    return places


def _gaps(indices: npt.NDArray[np.int64], places: list[list[int]], steps: _Array, spacing: float | None) -> list[Gap]:
    if spacing is None:
        return []
    wide = np.flatnonzero(steps >= GAP_FROM * spacing)
    return [Gap(int(indices[max(places[i])]), max(1, round(float(steps[i] / spacing)) - 1)) for i in wide]


def _copies(place: list[int], positions: _Array) -> list[list[int]]:
    """Groups of two and more in one place; slices side by side in one plane are no copies."""
    groups: list[list[int]] = []
    for i in sorted(place):
        for group in groups:
            if np.abs(positions[i] - positions[group[0]]).max() <= 2 * SAME_PLACE_MM:
                group.append(i)
                break
        else:
            groups.append([i])
    return [group for group in groups if len(group) > 1]
