"""Work in processes that may die of it: order kept, little held at once, and a death costs one piece of work.

Each worker process is a pebble pool of one. Workers then share no pipe and no lock that a dying one could keep, and
as a worker is sent its next piece only after the last, it is certain which piece a death belongs to.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

import cv2
from pebble import ProcessExpired, ProcessPool

from radvit.errors import ConfigError, DicomReadError, RadvitError
from radvit.processes import context

if sys.platform == "linux":
    import resource

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # to start work in a process that ends before it has begun, which is not the work's fault
WORKER_LIFE = 4096  # pieces of work; what native decoders leak ends with their process
KNOWN_CALLS = 8  # callables that a worker keeps

_WORDS = {
    "crashed": "ended the worker process that read it",
    "memory": "needed more memory than a worker process may have",
    "timeout": "took longer than a worker process may",
}
_OUT_OF_MEMORY, _LEARNT = b"memory", b"learnt"  # in place of a pickled result


@dataclass(frozen=True, slots=True)
class Guard:
    """What one piece of work may take: memory beyond what its process holds to begin with, and time once it runs."""

    memory_mb: int = 2048
    deadline_s: float = 60.0

    def __post_init__(self) -> None:
        if self.memory_mb < 1 or not self.deadline_s > 0:
            raise ConfigError(f"guard: {self.memory_mb} MB and {self.deadline_s} s; expected both above 0")


DEFAULT_GUARD = Guard()


@dataclass(frozen=True, slots=True)
class Died:
    """Stands for the result of work that ended its process, or had to be ended. reason: crashed, memory or timeout."""

    reason: str

    def error(self) -> DicomReadError:
        """The same as the error of reading one file."""
        return DicomReadError(self.reason, _WORDS[self.reason])


class WorkerPool:
    """Worker processes under a guard. Leave their functions light: what these import, each worker imports.

    preload: modules the workers need, imported once and forked from then on; the first pool of a process decides.
    niceness: by how much their work gives way to that of other processes, 0 to 19.
    """

    def __init__(
        self, workers: int, guard: Guard = DEFAULT_GUARD, preload: Sequence[str] = (), niceness: int = 0
    ) -> None:
        self._context = context([__name__, *preload])
        self._guard = guard
        self._prepare = partial(prepare_worker, niceness)
        self._lock = threading.Lock()
        self._keys = itertools.count()
        self._queue: deque[_Job] = deque()
        self._lanes = {self._lane() for _ in range(max(1, workers))}
        self._idle = list(self._lanes)
        self._running: set[_Job] = set()
        self._closed = False
        if not _can_limit():
            logger.warning("this system can't limit a process's memory: files are read without that limit")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; work still under way is ended with them."""
        with self._lock:
            self._closed = True
            left = [*self._queue, *self._running]
        for job in left:
            job.outcome.cancel()
        endings = [lane.end() for lane in self._lanes]
        for ending in endings:
            ending.join()

    def ordered(
        self, call: Callable[[T], R], items: Iterable[T], ahead: int, guarded: bool = True
    ) -> Generator[tuple[T, R | Died], None, None]:
        """Yield (item, call(item)) in the order of the items, taken as they are needed, at most `ahead` under way.

        call, items and results must pickle. What call raises is raised here, except that running out of memory is
        Died. guarded: False for work of our own, such as writing reports, that grows with its input: it gets neither
        deadline nor limit. Raises RadvitError where no worker process can be started.
        """
        make = partial(_Job, next(self._keys), pickle.dumps(call), guard=self._guard if guarded else None)
        waiting: deque[tuple[T, _Job]] = deque()
        try:
            for item in items:
                waiting.append((item, self._submit(make(pickle.dumps(item)))))
                while waiting and (len(waiting) >= ahead or waiting[0][1].outcome.done()):
                    yield _take(waiting.popleft())
            while waiting:
                yield _take(waiting.popleft())
        finally:
            for _, job in waiting:
                job.outcome.cancel()

    def _submit(self, job: _Job) -> _Job:
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._queue.append(job)
        self._dispatch()
        return job

    def _dispatch(self) -> None:
        """Send waiting jobs to idle workers; runs in the consumer's thread and in those of pebble."""
        while True:
            with self._lock:
                while self._queue and self._queue[0].outcome.cancelled():
                    self._queue.popleft()
                if self._closed or not self._queue or not self._idle:
                    return
                lane, job = self._idle.pop(), self._queue.popleft()
                self._running.add(job)
            lane.send(job, self._done)

    def _done(self, lane: _Lane, job: _Job, attempt: Future[bytes]) -> None:
        """Take a job's outcome, and a new worker where the old one died of it."""
        outcome = _outcome(attempt)
        job.attempts += 1
        with self._lock:
            self._running.discard(job)
            if self._closed:
                return
            if isinstance(outcome, bytes) and lane.jobs < WORKER_LIFE:
                self._idle.append(lane)
            else:
                self._replace(lane)
            if outcome is None and job.attempts < ATTEMPTS:
                self._queue.appendleft(job)
        if outcome is not None or job.attempts >= ATTEMPTS:
            job.finish(outcome)
        self._dispatch()

    def _replace(self, lane: _Lane) -> None:
        lane.end()
        self._lanes.discard(lane)
        fresh = self._lane()
        self._lanes.add(fresh)
        self._idle.append(fresh)

    def _lane(self) -> _Lane:
        return _Lane(ProcessPool(1, initializer=self._prepare, context=self._context))


def guarded(call: Callable[[T], R], item: T, guard: Guard = DEFAULT_GUARD) -> R | Died:
    """call(item) in a worker process of its own, which takes some tenths of a second to start and end."""
    with WorkerPool(1, guard) as pool:
        ((_, result),) = pool.ordered(call, [item], 1)
    return result


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's own, or OpenCV's."""
    return isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem)


@dataclass(eq=False, slots=True)
class _Job:
    """One piece of work on its way. key: tells one callable from another. call, item: pickled."""

    key: int
    call: bytes
    item: bytes
    guard: Guard | None
    attempts: int = 0
    outcome: Future[bytes | Died | None] = field(default_factory=Future)

    def finish(self, outcome: bytes | Died | None) -> None:
        """None: no process would begin it."""
        if self.outcome.set_running_or_notify_cancel():
            self.outcome.set_result(outcome)


@dataclass(eq=False, slots=True)
class _Lane:
    """One worker process. jobs: sent to it so far. known: keys of the callables it keeps, as `_learn` keeps them."""

    pool: ProcessPool
    jobs: int = 0
    known: deque[int] = field(default_factory=lambda: deque(maxlen=KNOWN_CALLS))

    def send(self, job: _Job, done: _Done) -> None:
        """Have a job done, its callable learnt first; `done` gets the outcome, perhaps in another thread."""
        self.jobs += 1
        if job.key in self.known:
            self._work(job, done)
        else:
            self._schedule(partial(self._learnt, job, done), _learn, (job.key, job.call), None)

    def _learnt(self, job: _Job, done: _Done, attempt: Future[bytes]) -> None:
        if attempt.exception() is not None:
            done(self, job, _failed(RuntimeError("ended before the work began")))
        elif attempt.result() != _LEARNT:
            done(self, job, attempt)
        else:
            self.known.append(job.key)
            self._work(job, done)

    def _work(self, job: _Job, done: _Done) -> None:
        memory, deadline = (job.guard.memory_mb << 20, job.guard.deadline_s) if job.guard else (None, None)
        self._schedule(partial(done, self, job), _answer, (job.key, job.item, memory), deadline)

    def _schedule(
        self,
        then: Callable[[Future[bytes]], None],
        function: Callable[..., bytes],
        arguments: tuple[Any, ...],
        deadline_s: float | None,
    ) -> None:
        attempt: Future[bytes]
        try:
            attempt = self.pool.schedule(function, args=arguments, timeout=deadline_s)
        except (OSError, RuntimeError) as error:  # its process can't be started, or ended while it was idle
            attempt = _failed(error)
        attempt.add_done_callback(then)

    def end(self) -> threading.Thread:
        """End the process, in a thread: pebble's own, in which this may run, can't wait for themselves."""
        self.pool.stop()  # type: ignore[no-untyped-call]
        ending = threading.Thread(target=self.pool.join, daemon=True)
        ending.start()
        return ending


_Done = Callable[[_Lane, _Job, "Future[bytes]"], None]


def _failed(error: Exception) -> Future[bytes]:
    failed: Future[bytes] = Future()
    failed.set_exception(error)
    return failed


def _outcome(attempt: Future[bytes]) -> bytes | Died | None:
    """The pickled result, why there is none, or None where the work was not begun."""
    error = attempt.exception()
    if error is None:
        result = attempt.result()
        return result if result != _OUT_OF_MEMORY else Died("memory")
    if isinstance(error, ProcessExpired):
        return Died("crashed")
    return Died("timeout") if isinstance(error, TimeoutError) else None


def _take(sent: tuple[T, _Job]) -> tuple[T, Any]:
    item, job = sent
    outcome = job.outcome.result()
    if outcome is None:
        raise RadvitError(f"worker processes can't be started, or end before they begin; tried {ATTEMPTS} times")
    if isinstance(outcome, Died):
        return item, outcome
    error, result = pickle.loads(outcome)  # noqa: S301 - written by a process of our own
    if error is not None:
        raise error
    return item, result


# What follows runs in worker processes.


class _Ended(SystemExit):
    """Raised where a worker is told to end, so that `finally` clauses are run."""


_calls: dict[int, Callable[[Any], Any]] = {}
_baseline = 0  # bytes of data this process had to begin with, and those of the modules it imported for its callables


def prepare_worker(niceness: int = 0) -> None:
    """Set up a worker process: one thread, interrupts left to the parent, and no life without the parent."""
    global _baseline
    os.nice(niceness)
    os.environ |= {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}  # for what loads later
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _baseline = _data_bytes() if _can_limit() else 0
    signal.signal(signal.SIGTERM, _end)  # last: until here pebble's own handler ends the process at once


def _learn(key: int, call: bytes) -> bytes:
    """Keep a callable for the work to come. What it imports is ours: it counts as nobody's time or memory."""
    global _baseline
    try:
        if len(_calls) >= KNOWN_CALLS:
            del _calls[next(iter(_calls))]
        before = _data_bytes() if _can_limit() else 0
        _calls[key] = pickle.loads(call)  # noqa: S301 - written by the parent process
        _baseline += max(0, _data_bytes() - before) if _can_limit() else 0
    except _Ended:
        os._exit(1)
    except BaseException as error:  # noqa: BLE001 - an import may raise anything
        return _raised(error)
    return _LEARNT


def _answer(key: int, item: bytes, memory: int | None) -> bytes:
    """Do one piece of work. Returns (error, result) pickled, so that all that may fail fails here."""
    try:
        with _limited(memory):
            return pickle.dumps((None, _calls[key](pickle.loads(item))))  # noqa: S301
    except _Ended:
        os._exit(1)
    except BaseException as error:  # noqa: BLE001 - some native decoders raise what is no Exception
        return _OUT_OF_MEMORY if out_of_memory(error) else _raised(error)


def _raised(error: BaseException) -> bytes:
    """An error as an answer; one that can't be pickled and read again is named only."""
    try:
        error.add_note("in a worker process:\n" + traceback.format_exc())
        answer = pickle.dumps((error, None))
        pickle.loads(answer)  # noqa: S301
    except Exception:  # noqa: BLE001 - an error's own pickling may raise anything
        return pickle.dumps((RuntimeError(f"{type(error).__name__} in a worker process"), None))
    return answer


@contextmanager
def _limited(memory: int | None) -> Iterator[None]:
    """Let this process take so many bytes more than it began with.

    RLIMIT_DATA counts private writable memory alone (Linux 4.7), so libraries and mapped files don't count.
    """
    if memory is None or not _can_limit():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _baseline + memory
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _can_limit() -> bool:
    return sys.platform == "linux"


def _data_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
