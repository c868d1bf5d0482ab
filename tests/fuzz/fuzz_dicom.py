"""Fuzz the reading of DICOM files: `make fuzz`, or `python fuzz_dicom.py SECONDS CORPUS FOUND [libFuzzer's options]`.

An input is a file. Whatever is raised but the errors of reading and de-identification, a hang, and more memory than the
limit end the run, and libFuzzer keeps the input. The corpus is filled with pydicom's small files and generated ones.

All that Python does happens in this process, where libFuzzer sees what is covered. Pixel data in codecs whose decoders
are native are decoded in the guarded pool, as in production: a decoder that crashes costs a worker, is counted, and its
input is put into FOUND; one that takes too long or too much memory ends the run.

atheris itself leaks some 3 to 12 kB an input (the same inputs without it leave memory flat), so that the fuzzing
process is replaced by a new one every so many inputs.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import atheris

# What handles bytes and values. What compares arrays stays out: atheris leaks each such comparison's result.
WATCHED = [
    *(f"radvit.{name}" for name in ("dicom.directory", "dicom.parse", "dicom.read", "dicom.structure", "deid.scrub")),
    *(f"pydicom.{name}" for name in ("charset", "dataelem", "dataset", "encaps", "filereader", "fileutil", "hooks")),
    *(f"pydicom.{name}" for name in ("multival", "sequence", "uid", "valuerep", "values")),
]

with atheris.instrument_imports(include=WATCHED):
    import seeds

    from radvit.data.loader import Loader
    from radvit.deid.pseudonym import Pseudonymizer
    from radvit.dicom.directory import is_directory_file, read_directory
    from radvit.dicom.limits import Limits
    from radvit.dicom.read import read, read_header
    from radvit.errors import DeidError, DicomReadError
    from radvit.pool import Died, Guard, WorkerPool

LIMITS = Limits(pixel_bytes=1 << 24, inflated_bytes=1 << 24)
LOADER = Loader(Pseudonymizer(bytes(range(32))), LIMITS)
PLAIN = frozenset(map(str, seeds.PLAIN_SYNTAXES))
INPUTS = 12_000  # of one process
ONE_PROCESS = "one-process"
GUARD = Guard(memory_mb=512, deadline_s=10)


class Target:
    """Does with a file all that is done with one, and counts how that ended. found: where crashes' inputs are put."""

    def __init__(self, pool: WorkerPool, found: Path) -> None:
        folder = Path("/dev/shm")
        self.path = Path(tempfile.mkdtemp(dir=folder if os.access(folder, os.W_OK) else None)) / "input.dcm"
        self.pool, self.found = pool, found
        self.outcomes: Counter[str] = Counter()

    def __call__(self, data: bytes) -> None:
        """Raises whatever is no refusal."""
        self.path.write_bytes(data)
        self.outcomes[self.reason(data)] += 1
        total = sum(self.outcomes.values())
        if total & (total - 1) == 0 or total % 50_000 == 0:
            sys.stderr.write(f"{total} files: {dict(self.outcomes.most_common())}\n")

    def reason(self, data: bytes) -> str:
        """How a file was refused, or that it was loaded."""
        try:
            if is_directory_file(self.path):
                read_directory(self.path, LIMITS)
            read_header(self.path, LIMITS)
            if str(read(self.path, LIMITS).file_meta.TransferSyntaxUID) in PLAIN:
                LOADER.load(self.path)
            else:
                self.decode(data)
        except DicomReadError as error:
            return error.reason
        except DeidError:
            return "deid"
        return "loaded"

    def decode(self, data: bytes) -> None:
        """Load in a worker. Raises DicomReadError (`crashed`) where it died of its decoder."""
        ((_, images),) = self.pool.ordered(LOADER.load, [self.path], 1)
        if not isinstance(images, Died):
            return
        if images.reason != "crashed":
            raise RuntimeError(f"decoding ended by {images.reason}")
        (self.found / f"native-crash-{self.outcomes['crashed']:03}").write_bytes(data)
        raise images.error()


def fill(corpus: Path) -> None:
    """Write the seeds into the corpus."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, raw in enumerate((seeds.bundled() | seeds.generated()).values()):
        (corpus / f"seed{number:03}").write_bytes(raw)


def fuzz(corpus: str, found: str, options: list[str]) -> None:
    """Run libFuzzer in this process, to its end."""
    target = Target(WorkerPool(1, GUARD, (Loader.__module__,)), Path(found))
    atheris.Setup([sys.argv[0], corpus, f"-artifact_prefix={found}/", *options], target)
    atheris.Fuzz()


def main() -> int:
    """Run libFuzzer in one process after the other until the time is over, or one of them finds something."""
    seconds, corpus, found, *options = sys.argv[1:]
    if seconds == ONE_PROCESS:
        fuzz(corpus, found, options)
    Path(found).mkdir(parents=True, exist_ok=True)
    fill(Path(corpus))
    end = time.monotonic() + float(seconds)
    while (left := int(end - time.monotonic())) > 0:
        limits = [f"-runs={INPUTS}", f"-max_total_time={left}"]
        code = subprocess.run([sys.executable, __file__, ONE_PROCESS, corpus, found, *options, *limits]).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
