"""Where a result comes from: versions, commit, time; never a person or a host."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from radvit import __version__
from radvit.bundle import Bundle
from radvit.records import Provenance

PACKAGES = ("torch", "torchvision", "timm", "pytorch-lightning", "monai", "pydicom", "onnxruntime", "numpy")


def now() -> str:
    """The present moment, ISO 8601 UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def git_commit() -> str:
    """The commit of the code that runs, with `+` where files were changed since; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")


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
