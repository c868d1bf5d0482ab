"""Stages of a pipeline: each in a thread of its own, with little room between it and the next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Channel(Generic[T]):
    """What lies between two stages. error: what ended the stage that fills it."""

    room: int
    values: deque[T] = field(default_factory=deque)
    ended: bool = False
    error: BaseException | None = None


class Stages:
    """Threads that run iterators ahead of whoever takes from them.

    To be used as a context manager. Leaving it ends every stage: one that waits is woken, one that computes ends after
    the value it is at, and what waits for something else has to be woken by its owner before.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def ahead(self, name: str, items: Iterable[T], room: int) -> Iterator[T]:
        """Begin to iterate `items` in a thread named `name`, at most `room` values ahead of the one that is taken.

        Gives the same values in the same order. What `items` raises is raised here, after the values before it.
        """
        channel: _Channel[T] = _Channel(room)
        thread = threading.Thread(target=self._fill, args=(channel, items), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return self._drain(channel)

    def _fill(self, channel: _Channel[T], items: Iterable[T]) -> None:
        error: BaseException | None = None
        try:
            for value in items:
                if not self._put(channel, value):
                    break
        except BaseException as caught:  # noqa: BLE001 - whatever ends a stage ends the run, in the thread that waits
            error = caught
        with self._changed:
            channel.ended, channel.error = True, error
            self._changed.notify_all()

    def _put(self, channel: _Channel[T], value: T) -> bool:
        """Hand on a value once there is room; False where nobody will take it any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(channel.values) < channel.room or self._stopped)
            channel.values.append(value)
            self._changed.notify_all()
            return not self._stopped

    def _drain(self, channel: _Channel[T]) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: channel.values or channel.ended or self._stopped)
                if self._stopped or not channel.values:
                    break
                value = channel.values.popleft()
                self._changed.notify_all()
            yield value
        if channel.error is not None and not self._stopped:
            raise channel.error
