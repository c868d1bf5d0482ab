"""Whether another precision of a model may stand in for FP32: both on the same images, by the tests of `compare`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from radvit.evaluation.compare import Difference, lower_is_better

NAMES = {
    "auroc": ("auroc",),
    "cpm": ("froc/cpm",),
    "ece": ("ece",),
    "sensitivity": ("sensitivity", "lesion_sensitivity"),
    "dice": ("dice",),
}
SHOWN = {
    "auroc": "AUROC",
    "froc/cpm": "CPM",
    "ece": "ECE",
    "sensitivity": "sensitivity at the operating point",
    "lesion_sensitivity": "lesions found at the operating point",
    "dice": "Dice",
}


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How much worse each metric may be than that of FP32; for ECE, where less is better, how much larger."""

    auroc: float = 0.005
    cpm: float = 0.01
    ece: float = 0.01
    sensitivity: float = 0.01
    dice: float = 0.01


@dataclass(frozen=True, slots=True)
class Check:
    """One metric of FP32 and of the other precision.

    low, high: 95 % interval of the difference, other less FP32. loss: how much worse the other is, negative where it is
    better. allowed: how much may be lost.
    """

    name: str
    fp32: float
    other: float
    low: float
    high: float
    p: float
    loss: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether no more is lost than may be; a hair more by rounding is none."""
        return self.loss <= self.allowed + 1e-9

    def words(self) -> str:
        """The check in one clause."""
        return (
            f"{SHOWN[self.name]} {self.other:.3f} against {self.fp32:.3f} ({self.other - self.fp32:+.3f}, at most "
            f"{self.allowed:g} may be lost)"
        )

    def document(self) -> dict[str, Any]:
        """What quantization.json says of it."""
        fields = {name: getattr(self, name) for name in ("fp32", "other", "low", "high", "p", "loss", "allowed")}
        plain = {key: value if math.isfinite(value) else None for key, value in fields.items()}
        return {"metric": self.name, **plain, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says. checks: of every metric that is defined on these images; without any, nothing is released."""

    checks: tuple[Check, ...]

    @property
    def released(self) -> bool:
        """Whether the precision may be used in place of FP32."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def why(self) -> str:
        """Why it was not released, empty where it was."""
        if not self.checks:
            return "none of the gate's metrics is defined on these images"
        return "; ".join(check.words() for check in self.checks if not check.passed)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The checks for a table: metric, FP32, other, difference with its interval, allowed loss, verdict."""
        for one in self.checks:
            apart = f"{one.other - one.fp32:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
            verdict = "passed" if one.passed else "FAILED"
            yield SHOWN[one.name], f"{one.fp32:.4f}", f"{one.other:.4f}", apart, f"{one.allowed:g}", verdict


def judge(differences: Mapping[str, Difference], tolerances: Tolerances) -> Judgement:
    """Hold a comparison, A being FP32 and B the other precision, against the tolerances.

    The difference itself is held against them, not its interval: on the images at hand no more may be lost.
    """
    return Judgement(tuple(_checks(differences, tolerances)))


def _checks(differences: Mapping[str, Difference], tolerances: Tolerances) -> Iterator[Check]:
    for key, names in NAMES.items():
        for name in names:
            found = differences.get(name)
            if found is None or not math.isfinite(found.b - found.a):
                continue
            loss = (found.b - found.a) * (1 if lower_is_better(name) else -1)
            tested = found.tested
            yield Check(name, found.a, found.b, tested.low, tested.high, tested.p, loss, getattr(tolerances, key))
