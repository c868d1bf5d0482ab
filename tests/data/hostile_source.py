"""A source whose items do to their process what hostile files do. Worker processes import it."""

import os
import signal
import time
from dataclasses import dataclass

import numpy as np

from radvit.data.sources import Labelled
from radvit.errors import DicomReadError
from radvit.records import Geometry, Header, Image


@dataclass(frozen=True)
class HostileSource:
    """deeds: of the items in turn: a letter for each, `.` for one that can be read."""

    deeds: str
    name = "made up"
    labels = ("nodule",)
    light = False
    official = None

    def fingerprint(self):
        return self.deeds

    def __len__(self):
        return len(self.deeds)

    def read(self, index):
        match self.deeds[index]:
            case "k":
                os.kill(os.getpid(), signal.SIGKILL)
            case "h":
                time.sleep(60)
            case "g":
                np.ones(1 << 31, np.uint8)
            case "r":
                raise DicomReadError("no-pixels", "none")
            case "v":
                raise ValueError("a name")
        header = Header("P-1", "1", "2", str(index), "DX")
        return [Labelled(Image(np.full((4, 4), index / len(self), np.float32), Geometry(4, 4), header), (0.0,))]
