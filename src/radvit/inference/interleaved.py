"""How long engines take, in turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from radvit.inference.engine import Engine
from radvit.records import FloatArray

ROUNDS = 9


def interleaved_ms(engines: Mapping[str, Engine], images: FloatArray, rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds an image of each engine; one round before the others warms up and isn't counted."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds + 1):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine(images)
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t[1:]) * 1000 / len(images)) for name, t in times.items()}
