from pathlib import Path

import pytest

from radvit.bench.machine import features, machine

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni avx_vnni amx_int8\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp sve i8mm bf16\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86, "avx2 avx512f avx512_vnni avx_vnni amx_int8"),
        (ARM, "asimddp bf16 i8mm sve"),
        (X86 + X86.replace("avx2", "nothing"), "avx2 avx512f avx512_vnni avx_vnni amx_int8"),
        ("model name\t: Some CPU\n", ""),
    ],
)
def test_features_that_multiply_matrices_are_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert features(tmp_path / "cpuinfo") == expected


def test_a_system_that_does_not_tell_has_none(tmp_path: Path) -> None:
    assert features(tmp_path / "cpuinfo") == ""


def test_packages_that_are_absent_are_left_out() -> None:
    found = machine(("numpy", "no-such-package"))
    assert {"cores", "cpu", "python", "radvit", "numpy"} == set(found)
