"""Fuzz the reading of DICOM files: `make fuzz`, or `python fuzz_dicom.py CORPUS FOUND [libFuzzer's options]`.

An input is a file. Whatever is raised but the errors of reading and de-identification, a hang, and more memory than the
limit end the run, and libFuzzer keeps the input. The corpus is filled with pydicom's small files and generated ones.

All that Python does happens in this process, where libFuzzer sees what is covered. Pixel data in codecs whose decoders
are native are decoded in the guarded pool, as in production: a decoder that crashes costs a worker, is counted, and its
input is put into FOUND; one that takes too long or too much memory ends the run.
"""

import importlib.util
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import atheris


def array_modules() -> list[str]:
    """Modules of radvit that use numpy. atheris leaks the result of every comparison of arrays that it watches."""
    (root,) = map(Path, importlib.util.find_spec("radvit").submodule_search_locations)
    files = [path for path in root.rglob("*.py") if "import numpy" in path.read_text()]
    return [".".join(("radvit", *path.relative_to(root).with_suffix("").parts)) for path in files]


with atheris.instrument_imports(include=["radvit", "pydicom"], exclude=array_modules()):
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


def main() -> None:
    """Run libFuzzer until it is told to stop."""
    script, corpus, found, *options = sys.argv
    Path(found).mkdir(parents=True, exist_ok=True)
    fill(Path(corpus))
    target = Target(WorkerPool(1, GUARD, (Loader.__module__,)), Path(found))
    atheris.Setup([script, corpus, f"-artifact_prefix={found}/", *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
