import json
import os
import subprocess
import sys
import time

import pytest

from radvit.inference.timing import STAGES, Stopwatch, Timing, process_age_s, write_timing

SECONDS = dict.fromkeys(STAGES, 0.5) | {"model": 8.0}


def test_shares_follow_from_what_was_measured(tmp_path):
    timing = Timing(1.25, 10.0, 40, 5, 8, SECONDS)
    assert (timing.model_busy, timing.images_per_s) == (0.8, 4.0)
    assert timing.words() == (
        "first call of the model after 1.2 s, at work for 80% of the 10.0 s since; 4.00 images a second; seconds by "
        "stage: headers 0.5, read 0.5, de-identify 0.5, decode 0.5, burned-in text 0.5, grey 0.5, tensor 0.5, "
        "picture 0.5, model 8.0, findings 0.5, reports 0.5"
    )
    write_timing(timing, tmp_path)
    known = json.loads((tmp_path / "timing.json").read_text())
    assert known == {
        "schema": "radvit.timing/1",
        "model_busy": 0.8,
        "images_per_s": 4.0,
        "start_s": 1.25,
        "reading_s": 10.0,
        "images": 40,
        "batches": 5,
        "batch_size": 8,
        "seconds": SECONDS,
    }


def test_a_stopwatch_counts_calls_from_the_first_one():
    watch = Stopwatch()
    assert watch.timing(4) is None
    for images in (4, 3):
        began = watch.begin_call()
        time.sleep(0.01)
        assert watch.end_call(began, images) >= 0.01
    timing = watch.timing(4)
    assert (timing.images, timing.batches, timing.batch_size) == (7, 2, 4)
    assert 0.02 <= timing.seconds["model"] <= timing.reading_s


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")
def test_a_process_knows_its_age():
    code = (
        "import time; from radvit.inference.timing import process_age_s; age = process_age_s();"
        "print(time.clock_gettime(time.CLOCK_BOOTTIME) - age)"
    )
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tick = 1 / os.sysconf("SC_CLK_TCK")  # in which the system counts
    assert before - tick <= float(done.stdout) <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert process_age_s() > 0
