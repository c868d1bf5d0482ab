import pytest

from radvit import hardware

INTEL = """processor\t: 0
model name\t: Example CPU @ 2.0GHz
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni

processor\t: 1
model name\t: Other CPU
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


@pytest.fixture
def told(tmp_path, monkeypatch):
    def tell(text):
        (tmp_path / "cpuinfo").write_text(text)
        monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "cpuinfo")

    return tell


def test_model_and_features_are_those_of_the_first_processor(told):
    told(INTEL)
    assert hardware.cpu() == "Example CPU @ 2.0GHz"
    assert hardware.cpu_features() == ("avx2", "avx512f", "avx512_vnni")
    assert hardware.sums_bytes_exactly()


def test_arm_calls_them_otherwise(told):
    told(ARM)
    assert hardware.cpu_features() == ("asimddp", "i8mm")
    assert hardware.sums_bytes_exactly()


@pytest.mark.parametrize("text", ["flags\t: fpu sse2 avx2 avx512f\n", "", "flags\n"])
def test_without_such_instructions_sums_may_overflow(told, text):
    told(text)
    assert not hardware.sums_bytes_exactly()


def test_a_system_that_does_not_tell_has_no_known_features(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "none")
    assert hardware.cpu_features() == ()
    assert hardware.cpu()


def test_some_core_may_be_used():
    assert hardware.cores() >= 1


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("", None), ("0", None), ("many", None)])
def test_threads_are_as_many_as_cores_unless_asked_for(monkeypatch, asked, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert hardware.compute_threads() == (threads or hardware.cores())
