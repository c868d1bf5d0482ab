"""A run to be killed: `python interrupted.py INPUT OUTPUT PAUSE_S`.

Files named crash*, hang* and greedy* do to their worker process what hostile ones do.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from radvit.data.loader import Loader
from radvit.data.preprocess import Preprocess
from radvit.deid.pseudonym import Pseudonymizer
from radvit.inference.predictor import predict_folder
from radvit.pool import Guard
from radvit.records import Boxes, Provenance
from radvit.report.build import Bands
from radvit.report.write import Answers, StudyWriter


class HostileLoader(Loader):
    def load(self, path, *passed):
        if path.name.startswith("crash"):
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name.startswith("hang"):
            time.sleep(60)
        if path.name.startswith("greedy"):
            np.ones(1 << 31, np.uint8)
        return super().load(path, *passed)


class SlowDetector:
    def __init__(self, pause_s):
        self.pause_s = pause_s

    def __call__(self, images):
        time.sleep(self.pause_s)
        return np.zeros((len(images), 1), np.float32), [Boxes.empty() for _ in images]


def main(source, output, pause_s):
    provenance = Provenance("none", "0", "fp32", "2026-01-01T00:00:00Z")
    writer = StudyWriter(Path(output), ("nodule",), Answers.BOXES, provenance, Bands())
    totals = predict_folder(
        Path(source),
        Path(output),
        HostileLoader(Pseudonymizer(bytes(32))),
        Preprocess(32),
        SlowDetector(float(pause_s)),
        lambda header: None,
        writer,
        workers=2,
        batch_size=1,
        written=writer.written,
        guard=Guard(memory_mb=512, deadline_s=3),
    )
    counts = (totals.done, totals.failed, totals.refused, totals.skipped, totals.files_failed)
    sys.stdout.write(" ".join(map(str, counts)))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    main(*sys.argv[1:])
