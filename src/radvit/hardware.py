"""What this machine computes with: never a host's name."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# of a processor's features, those that decide how fast and how exactly matrices are multiplied (x86, then ARM)
FEATURES = (
    *("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni"),
    *("amx_tile", "amx_bf16", "amx_int8", "amx_fp16", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme"),
)
INTEGER_DOT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_threads() -> int:
    """Threads for one computation: as many as cores, or as OMP_NUM_THREADS asks for."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else cores()


def cpu() -> str:
    """The processor's model as Linux tells it, else as Python does."""
    return _told("model name") or platform.processor() or platform.machine()


def cpu_features() -> tuple[str, ...]:
    """Which of FEATURES the processor has; empty where the system doesn't tell."""
    told = set((_told("flags") or _told("Features")).split())
    return tuple(name for name in FEATURES if name in told)


def sums_bytes_exactly() -> bool:
    """Whether products of unsigned by signed bytes are summed in 32 bits.

    Without such instructions ONNX Runtime adds pairs of them in 16 bits, which overflow unless one factor has 7 bits.
    """
    return bool(INTEGER_DOT & set(cpu_features()))


def _told(name: str) -> str:
    """The first value of a field of /proc/cpuinfo; empty where there is none."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
