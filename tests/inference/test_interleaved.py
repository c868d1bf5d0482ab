import numpy as np

from radvit.inference.interleaved import ROUNDS, interleaved_ms


def test_timings_are_taken_in_turns():
    order = []
    engines = {name: (lambda x, name=name: order.append((name, len(x)))) for name in ("a", "b")}
    ms = interleaved_ms(engines, np.zeros((4, 1, 2, 2), np.float32))
    assert set(ms) == {"a", "b"}
    assert order == [("a", 4), ("b", 4)] * (ROUNDS + 1)
