"""The standard's formulas, one value at a time: what the quick implementation is held against."""

import math


def by_the_standard(x: float, center: float, width: float, function: str) -> float:
    """The pseudo-code of PS3.3 C.11.2.1.2.1 and C.11.2.1.3, for an output from 0 to 1."""
    if function == "SIGMOID":
        exponent = -4 * (x - center) / width
        return 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))
    if function == "LINEAR":
        if x <= center - 0.5 - (width - 1) / 2:
            return 0.0
        if x > center - 0.5 + (width - 1) / 2:
            return 1.0
        return (x - (center - 0.5)) / (width - 1) + 0.5
    if x <= center - width / 2:
        return 0.0
    return 1.0 if x > center + width / 2 else (x - center) / width + 0.5
