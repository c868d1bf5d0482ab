"""Whether a log is as it was written, line by line, and where it isn't."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from radvit.audit.head import START, Extent, Head
from radvit.audit.line import MOST_LINE_BYTES, Line, Seal, read_line


class Kind(Enum):
    """What can be wrong with a log, in words for a person."""

    CHANGED = "it isn't as it was written"
    MISSING = "lines before it are gone"
    MISPLACED = "it stands out of order, or twice"
    FOREIGN = "it follows another line than the one before it"
    CUT = "lines are gone from the end"
    ADDED = "bytes follow that the head doesn't know of"
    HEAD = "the head beside the log is missing, changed, or an older one"
    OLDER = "the log doesn't hold the line whose hash was given"


@dataclass(frozen=True, slots=True)
class Fault:
    """line: number in the file, from 1, or 0 where no line is meant. count: lines that are gone, where it is known."""

    line: int
    kind: Kind
    count: int = 0

    def __str__(self) -> str:
        gone = f" ({self.count})" if self.count else ""
        return f"{f'line {self.line}' if self.line else 'log'}: {self.kind.name.lower()}: {self.kind.value}{gone}"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What a write that didn't end left. bytes: after the last whole line. lines: announced, not come, at most."""

    bytes: int
    lines: int


@dataclass(frozen=True, slots=True)
class Examined:
    """reached: how far the log is whole, from its beginning, where it has no faults. interrupted: no fault, a crash."""

    reached: Extent
    faults: tuple[Fault, ...]
    interrupted: Interrupted | None = None


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file with their ends, from where it stands; one longer than any that is written comes in parts."""
    while piece := file.readline(MOST_LINE_BYTES):
        yield piece


def follow(file: BinaryIO, seal: Seal, start: Extent, most_lines: int) -> Iterator[Extent]:
    """How far an unbroken chain goes on from `start`, where the file stands: line by line, to number `most_lines`."""
    reached = start
    for piece in pieces(file):
        line = opened(piece, seal)
        if line is None or (line.n, line.previous) != (reached.lines + 1, reached.hash) or line.n > most_lines:
            return
        reached = Extent(line.n, reached.bytes + len(piece), line.hash)
        yield reached


def opened(piece: bytes, seal: Seal) -> Line | None:
    """The line of a piece of the file; None where its end is missing or its seal doesn't hold."""
    return read_line(piece[:-1], seal) if piece.endswith(b"\n") else None


def left_open(reached: Extent, head: Head, size: int) -> Interrupted | None:
    """What an announced write left undone in a log of `size` bytes; None where it arrived whole."""
    left = Interrupted(size - reached.bytes, head.lines - reached.lines)
    return left if left.bytes or left.lines else None


def examine(file: BinaryIO, size: int, seal: Seal, head: Head | None, wanted: str | None = None) -> Examined:
    """Read a whole log and hold it against its head. size: its bytes. head: None where it is missing or broken.

    wanted: the hash of a line that must be there.
    """
    walk = _Walk(seal, head, wanted)
    interrupted = None
    while not (head is not None and walk.may_be_interrupted(head, size)):
        piece = file.readline(MOST_LINE_BYTES)
        if not piece:
            walk.end()
            break
        walk.step(piece)
    else:
        interrupted = walk.finish(file, head, size)
    if not walk.found:
        walk.faults.append(Fault(0, Kind.OLDER))
    return Examined(walk.last, tuple(walk.faults), interrupted)


class _Walk:
    """What was read so far. last: the last line that stood in its place. broken: lines after it that can't be read."""

    def __init__(self, seal: Seal, head: Head | None, wanted: str | None) -> None:
        self._seal, self._head, self._wanted = seal, head, wanted
        self._place = self._read = self._broken = 0  # lines, bytes, lines
        self.last = START
        self.found = wanted is None
        self.faults: list[Fault] = []

    def step(self, piece: bytes) -> None:
        """Judge the next line."""
        self._place += 1
        self._read += len(piece)
        line = opened(piece, self._seal)
        if line is None:
            self._break(piece)
        elif line.n <= self.last.lines:
            self._add(Kind.MISPLACED)
        else:
            gone = line.n - self.last.lines - 1 - self._broken
            if gone > 0:
                self._add(Kind.MISSING, gone)
            elif line.n == self.last.lines + 1 and line.previous != self.last.hash:
                self._add(Kind.FOREIGN)
            self._go_on(Extent(line.n, self._read, line.hash))

    def may_be_interrupted(self, head: Head, size: int) -> bool:
        """Whether the log is whole as far as the head keeps it, and the rest may be an announced write's."""
        return head.is_pending and not self.faults and self.last == head.kept and size <= head.bytes

    def finish(self, file: BinaryIO, head: Head, size: int) -> Interrupted | None:
        """Read on through an announced write, as far as it came."""
        for reached in follow(file, self._seal, head.kept, head.lines):
            self._go_on(reached)
        return left_open(self.last, head, size)

    def end(self) -> None:
        """Hold the end of the log against its head."""
        if self._head is None:
            self.faults.append(Fault(0, Kind.HEAD))
            return
        gone = self._head.kept.lines - self.last.lines - self._broken
        if gone > 0:
            self.faults.append(Fault(self._place + 1, Kind.CUT, gone))
        elif not self.faults and self.last != self._head.kept:
            self.faults.append(Fault(0, Kind.HEAD))

    def _go_on(self, reached: Extent) -> None:
        self.last, self._broken = reached, 0
        self.found = self.found or reached.hash == self._wanted

    def _break(self, piece: bytes) -> None:
        self._broken += 1
        if self._head is not None and self.last.lines >= self._head.kept.lines:
            self._add(Kind.ADDED)
        else:
            self._add(Kind.CHANGED if piece.endswith(b"\n") else Kind.CUT)

    def _add(self, kind: Kind, count: int = 0) -> None:
        self.faults.append(Fault(self._place, kind, count))
