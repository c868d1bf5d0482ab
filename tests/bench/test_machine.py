from radvit import hardware
from radvit.bench.machine import machine


def test_packages_that_are_absent_are_left_out() -> None:
    found = machine(("numpy", "no-such-package"))
    assert {"cores", "cpu", "python", "radvit", "numpy"} == set(found)
    assert found["cores"] == hardware.cores()
