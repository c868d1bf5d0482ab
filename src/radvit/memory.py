"""How much memory this process takes and may still take, as Linux tells it."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

if sys.platform == "linux":
    import resource

UNLIMITED = 1 << 62
STATUS = Path("/proc/self/status")


def can_tell() -> bool:
    """Whether this system tells; where it doesn't, nothing else here may be called."""
    return sys.platform == "linux"


def free_memory() -> int:
    """Bytes this process may still take: what the machine has available, its control group and its own limits leave."""
    left = [proc_bytes(Path("/proc/meminfo"), "MemAvailable")]
    group = Path("/sys/fs/cgroup")
    if (group / "memory.max").is_file() and (most := (group / "memory.max").read_text().strip()) != "max":
        left.append(int(most) - int((group / "memory.current").read_text()))
    for kind, used in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        soft, _ = resource.getrlimit(kind)
        bound = UNLIMITED if soft == resource.RLIM_INFINITY else soft
        left.append(bound - proc_bytes(STATUS, used))
    return max(0, min(left))


def used_memory() -> int:
    """Bytes this process has in memory now."""
    return proc_bytes(STATUS, "VmRSS")


def reset_peak() -> None:
    """Begin to measure peak memory anew."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)  # else memory that was freed before would be used again unseen
    Path("/proc/self/clear_refs").write_text("5")  # see proc(5)


def peak_memory() -> int:
    """The most bytes this process had in memory since `reset_peak`, or since it began."""
    return proc_bytes(STATUS, "VmHWM")


def proc_bytes(path: Path, name: str) -> int:
    """A size that Linux tells in kB in a file of /proc."""
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) << 10
