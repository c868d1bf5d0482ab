"""A scrubber that meets hostile files: their names tell what they do to its process. Worker processes import it."""

import os
import signal
import time

import numpy as np

from radvit.deid.file_copy import FileScrubber


class HostileScrubber(FileScrubber):
    def write(self, source, folder):
        match source.stem:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(60)
            case "greedy":
                np.ones(1 << 31, np.uint8)
        return super().write(source, folder)
