import json
import threading

import pytest

from radvit.inference import stages
from radvit.inference.stages import FILE, Stages


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(stages, "perf_counter", clock)
    return clock


def test_busy_is_the_models_share_of_the_time_between_its_first_and_last_call(clock, tmp_path):
    told = Stages(started=clock.now)
    clock.now = 104.0
    with told.model(8):
        clock.now += 3.0
    clock.now += 1.0
    with told.model(4):
        clock.now += 5.0
    clock.now += 10.0
    told.add("decode", 2.5)
    told.add("decode", 0.5)
    told.write(tmp_path)
    record = json.loads((tmp_path / FILE).read_text())
    assert record == {
        "wall_s": 23.0,
        "before_the_model_s": 4.0,
        "model_busy": pytest.approx(8 / 9),
        "images": 12,
        "images_per_s": pytest.approx(12 / 9),
        "stages_s": {"decode": 3.0, "model": 8.0},
    }
    assert told.words() == (
        "time by stage, over all processes: decode 3.0 s, model 8.0 s; the model was busy 89% of the time since its "
        "first image"
    )


def test_a_run_without_images_has_no_share(tmp_path):
    told = Stages()
    told.write(tmp_path)
    record = json.loads((tmp_path / FILE).read_text())
    assert record["model_busy"] is None
    assert record["images"] == 0
    assert "busy" not in told.words()


def test_a_call_that_fails_counts_no_images():
    told = Stages()
    with pytest.raises(ValueError, match="broken"), told.model(3):
        raise ValueError("broken")
    assert told.images == 0


def test_threads_add_up():
    told = Stages()

    def work():
        for _ in range(2000):
            told.add("decode", 1.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.seconds["decode"] == 8000
