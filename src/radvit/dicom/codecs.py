"""Pixel data to integers, for every transfer syntax that is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.pixels import get_decoder

from radvit.dicom.read import frame_count
from radvit.errors import DicomReadError

StoredArray = npt.NDArray[np.integer[Any]]


def decode_samples(dataset: Dataset) -> tuple[StoredArray, str]:
    """Decode the pixel data of grey or colour.

    Returns (frames, rows, columns, samples), integers as stored, read-only, and the photometric interpretation that
    they are in: a codec may undo its own colour transform.
    Raises DicomReadError (`decode-failed`, `memory`).
    """
    shape = (frame_count(dataset), int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1)))
    stored, properties = _guarded(dataset)
    if stored.size != np.prod(shape) or stored.dtype.kind not in "iu":
        raise DicomReadError("decode-failed", f"decoded to {stored.shape}; expected {shape}")
    return stored.reshape(shape), str(properties["photometric_interpretation"])


def _guarded(dataset: Dataset) -> tuple[StoredArray, dict[str, Any]]:
    try:
        return _decode(dataset)
    except (KeyboardInterrupt, SystemExit):
        raise
    except MemoryError:
        raise DicomReadError("memory", "the pixel data need more memory than there is") from None
    except BaseException as error:  # noqa: BLE001 - a decoder in Rust that panics raises no mere Exception
        raise DicomReadError("decode-failed", f"the pixel data can't be decoded: {type(error).__name__}") from None


def _decode(dataset: Dataset) -> tuple[StoredArray, dict[str, Any]]:
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    options = {} if decoder.is_encapsulated else {"view_only": True}
    stored, properties = decoder.as_array(
        dataset, raw=True, correct_unused_bits=False, allow_excess_frames=False, **options
    )
    # Big-endian files decode to big-endian arrays, whose bits can't be looked up.
    return stored.astype(stored.dtype.newbyteorder("="), copy=False), properties
