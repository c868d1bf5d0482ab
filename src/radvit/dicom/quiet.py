"""Keep pydicom's own warnings out of the logs: they quote the values they complain about."""

from __future__ import annotations

import logging
import warnings

from pydicom import config


def silence_pydicom() -> None:
    """Turn pydicom's warnings off for this process, and keep it from refusing values that are merely odd.

    A file's oddities reach the user as a DicomReadError's reason, never as pydicom's text, which holds the value.
    """
    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
