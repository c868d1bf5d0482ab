"""The errors a user can cause: each says what is wrong, the value found, and what was expected."""

from collections.abc import Iterator
from contextlib import contextmanager


class RadvitError(Exception):
    """Base of every error that radvit raises on purpose; entry points turn it into one line and an exit code."""


class ConfigError(RadvitError):
    """A configuration value or command-line argument that can't be used."""


class BusyError(ConfigError):
    """A folder in which another process is at work."""


class ReasonedError(RadvitError):
    """What costs one file of many. `reason` is a short code for manifests, such as `not-dicom` or `identifier-left`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ReasonedError"], tuple[str, str]]:
        """Pickle with both arguments, so that the error survives a process pool."""
        return (type(self), (self.reason, str(self)))


class DicomReadError(ReasonedError):
    """A file that can't be read as a DICOM image; its reasons stand in `radvit.dicom.read`."""


class DeidError(RadvitError):
    """A data set that can't be made safe, or a pseudonymisation key that can't be used."""


class QuarantineError(ReasonedError, DeidError):
    """A file that was read but isn't safe to pass on, for a person to look at.

    Its reasons are `identifier-left`, `burned-in`, `capture`, `ultrasound` and `screenshot`.
    """


class GeometryError(RadvitError):
    """Spacing, orientation or a box that contradicts itself."""


class DataError(RadvitError):
    """A data set whose files, labels or splits don't fit together."""


class BundleError(RadvitError):
    """A folder that is no saved model, or one this version can't read."""


class QuantizeError(RadvitError):
    """An export or a quantization that failed its own checks."""


class VaultError(RadvitError):
    """An encrypted object that can't be opened."""


class AuditError(RadvitError):
    """An audit log that can't be written or read, or an entry that may not stand in one."""


class UntrueReportError(RadvitError):
    """A form of a report doesn't say what findings.json says. Its words hold nothing but the report's own."""


class SomeInputsFailedError(RadvitError):
    """A run over many inputs went through, but some of them failed; the manifest names them."""


class StoppedError(RadvitError):
    """A run that was asked to end, by a signal, and can go on later. code: the exit code that says so."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type["StoppedError"], tuple[str, int]]:
        """Pickle with both arguments, so that the error survives a process pool."""
        return (type(self), (str(self), self.code))


@contextmanager
def os_errors_as(fault: type[RadvitError], what: str) -> Iterator[None]:
    """An operating system's error as a `fault` of one line, which begins with `what`."""
    try:
        yield
    except OSError as error:
        raise fault(f"{what}: {error.filename or 'file'}: {error.strerror or error}") from None
