"""An iterable that works in a thread of its own, a bounded way ahead of whoever reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PATIENCE_S = 0.05  # between looks at whether the other side is still there


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    """No more items. error: what the iterable raised, to be raised by the reader."""

    error: BaseException | None = None


class Ahead(Generic[T]):
    """Items in their order, of which a thread takes at most `most` before they are asked for.

    What the iterable raises is raised to the reader, after the items before it. Once stopped it has no more items, and
    its thread ends, after the item it is at.
    """

    def __init__(self, items: Iterable[T], most: int) -> None:
        self._queue: Queue[_Item[T] | _End] = Queue(max(1, most))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(items,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Wait for an item, in short turns: a signal's handler runs between them."""
        while not self._stopped.is_set():
            try:
                got = self._queue.get(timeout=PATIENCE_S)
            except Empty:
                continue
            if isinstance(got, _Item):
                return got.value
            self._stopped.set()
            if got.error is not None:
                raise got.error
        raise StopIteration

    def stop(self) -> None:
        """Ask the thread to end; to be called from any thread."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _fill(self, items: Iterable[T]) -> None:
        """Runs in the thread."""
        end = _End()
        try:
            for item in items:
                if not self._put(_Item(item)):
                    break
        except BaseException as error:  # noqa: BLE001 - whatever it is, the reader raises it
            end = _End(error)
        close = getattr(items, "close", None)  # of a generator: it lets go of what it holds
        if close is not None:
            close()
        self._put(end)

    def _put(self, item: _Item[T] | _End) -> bool:
        """Wait for room; False where nobody reads any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=PATIENCE_S)
            except Full:
                continue
            return True
        return False


@contextmanager
def ended(*ahead: Ahead[Any]) -> Iterator[None]:
    """Stop all of them at the end, then wait for their threads: one may be reading from another."""
    try:
        yield
    finally:
        for one in ahead:
            one.stop()
        for one in ahead:
            one.join()
