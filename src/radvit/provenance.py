"""Where a result comes from: versions, commit, time; never a person or a host."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from radvit import __version__
from radvit.origin import git_commit, now
from radvit.records import Provenance

if TYPE_CHECKING:
    from radvit.bundle import Bundle
    from radvit.data.samples import Cohort
    from radvit.data.splits import Splits

PACKAGES = ("torch", "torchvision", "timm", "pytorch-lightning", "monai", "pydicom", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """Versions of what computes."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def learned_from(name: str, seed: int, cohort: Cohort, splits: Splits) -> dict[str, Any]:
    """How and on what a model was trained, for its record. name: of the recipe."""
    return {
        "name": name,
        "seed": seed,
        "n_train": len(splits.train),
        "n_val": len(splits.val),
        "data_fingerprint": cohort.fingerprint,
        "split_hash": splits.hash,
        "version": __version__,
        "versions": versions(),
        "git_commit": git_commit(),
        "created": now(),
    }


def provenance(bundle: Bundle, precision: str) -> Provenance:
    """What made a result with this bundle."""
    trained = bundle.trained
    return Provenance(
        model=bundle.name,
        version=__version__,
        precision=precision,
        created=now(),
        weights=bundle.weights_hash,
        git_commit=git_commit(),
        seed=trained.get("seed"),
        data_fingerprint=str(trained.get("data_fingerprint", "")),
        split_hash=str(trained.get("split_hash", "")),
        extra={"versions": versions()},
    )
