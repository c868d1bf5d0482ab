"""Where a result comes from: versions, commit, time; never a person or a host."""

from __future__ import annotations

import platform
from importlib.metadata import version

from radvit import __version__
from radvit.bundle import Bundle
from radvit.origin import git_commit, now
from radvit.records import Provenance

PACKAGES = ("torch", "torchvision", "timm", "pytorch-lightning", "monai", "pydicom", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """Versions of what computes."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


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
