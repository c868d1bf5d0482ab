"""When something was made, and by which commit of the code; light enough for every command."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path


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
