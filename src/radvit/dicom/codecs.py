"""Pixel data to integers, for every transfer syntax that is read.

pydicom splits the frames and puts the samples in order. What decodes a frame is chosen here, one decoder a codestream,
so that a file is read alike on every machine (processor time for 1760 x 2140 pixels):

    JPEG of 8 bits      Pillow          9 ms; GDCM 32
    JPEG of 12 bits     GDCM            nothing else has it; pydicom doesn't let GDCM try
    JPEG Lossless       GDCM            75 ms; nothing else under a licence that fits
    JPEG-LS             GDCM            100 ms
    JPEG 2000           pylibjpeg-openjpeg  330 ms; Pillow 335; GDCM 366, though spread over two threads
    HTJ2K               pylibjpeg-openjpeg  45 ms; nothing else has it
    RLE                 pylibjpeg-rle   8 ms, in Rust; pydicom's own is in Python

A frame's own header is read first, and must agree with the data set's: a decoder never sees a codestream that would
unfold to more than the data set says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
import openjpeg
import rle.utils
from PIL import Image
from pydicom import Dataset, uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner

from radvit.dicom.codestream import Codestream, inspect_j2k, inspect_jpeg
from radvit.dicom.read import frame_count
from radvit.errors import DicomReadError

StoredArray = npt.NDArray[np.integer[Any]]
_Decode = Callable[[bytes, Codestream, DecodeRunner], bytes | bytearray]

PLUGIN = "radvit"
_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)

gdcm.Trace.WarningOff()
gdcm.Trace.ErrorOff()
gdcm.Trace.DebugOff()


class _Through(BaseException):
    """Carries an error through pydicom, which turns every Exception of a decoder into a RuntimeError."""

    def __init__(self, error: DicomReadError) -> None:
        super().__init__()
        self.error = error


def decode_samples(dataset: Dataset) -> tuple[StoredArray, str]:
    """Decode the pixel data of grey or colour.

    Returns (frames, rows, columns, samples), integers as stored, read-only where they are native, and the photometric
    interpretation that they are in: a codec may undo its own colour transform.
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
    except _Through as carried:
        raise carried.error from None
    except MemoryError:
        raise _no_memory() from None
    except BaseException as error:  # noqa: BLE001 - a decoder in Rust that panics raises no mere Exception
        raise DicomReadError("decode-failed", f"the pixel data can't be decoded: {type(error).__name__}") from None


def _decode(dataset: Dataset) -> tuple[StoredArray, dict[str, Any]]:
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    options: dict[str, Any] = {"raw": True, "correct_unused_bits": False, "allow_excess_frames": False}
    if not decoder.is_encapsulated:
        stored, properties = decoder.as_array(dataset, view_only=True, **options)
        # Big-endian files decode to big-endian arrays, whose bits can't be looked up.
        return stored.astype(stored.dtype.newbyteorder("="), copy=False), properties
    with _silenced():
        stored, properties = decoder.as_array(dataset, decoding_plugin=PLUGIN, **options)
    return stored, properties


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what libraries in C print on standard error from the user: GDCM tries one codec after another, aloud."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


# --- The plug-in, as pydicom asks for it: is_available, DECODER_DEPENDENCIES and a function of a frame.

DECODER_DEPENDENCIES: dict[uid.UID, tuple[str, ...]] = {}


def is_available(syntax: str) -> bool:
    """Whether the plug-in decodes a transfer syntax."""
    return syntax in _DECODERS


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """Decode one frame for pydicom, after its own header was held against the data set's."""
    try:
        return _checked(frame, runner)
    except DicomReadError as error:
        raise _Through(error) from None
    except MemoryError:
        raise _Through(_no_memory()) from None


def _checked(frame: bytes, runner: DecodeRunner) -> bytes | bytearray:
    inspect, decode = _DECODERS[runner.transfer_syntax]
    said = (
        inspect(frame)
        if inspect
        else Codestream(runner.rows, runner.columns, runner.samples_per_pixel, runner.bits_allocated)
    )
    expected = (runner.rows, runner.columns, runner.samples_per_pixel)
    if (said.rows, said.columns, said.samples) != expected or said.precision > runner.bits_allocated:
        raise DicomReadError(
            "decode-failed",
            f"a frame of {said.rows} x {said.columns} x {said.samples} of {said.precision} bits; "
            f"the header says {' x '.join(map(str, expected))} of {runner.bits_allocated}",
        )
    decoded = decode(frame, said, runner)
    runner.set_option("bits_allocated", said.container)  # of this frame; pydicom sets it back when all are in
    if len(decoded) != np.prod(expected) * said.container // 8:
        raise DicomReadError("decode-failed", f"a frame of {len(decoded)} bytes once decoded; expected {expected}")
    _check_range(decoded, said, runner)
    return decoded


def _check_range(decoded: bytes | bytearray, said: Codestream, runner: DecodeRunner) -> None:
    """Refuse values of more bits than are stored, which would be cut off.

    Of RLE and JPEG Lossless the bits above may hold the overlays of old files, and are left for `Coding` to cut off.
    """
    bits = runner.bits_stored
    if said.precision <= bits or said.lossless_jpeg or runner.transfer_syntax == uid.RLELossless:
        return
    values = np.frombuffer(decoded, runner.pixel_dtype)
    least = -(1 << (bits - 1)) if runner.pixel_representation else 0
    if values.size and (values.max() >= 1 << bits or values.min() < least):
        raise DicomReadError("decode-failed", f"values of {said.precision} bits; the header says {bits}")


def _jpeg(frame: bytes, said: Codestream, runner: DecodeRunner) -> bytes:
    """What the codestream is counts, and not what the transfer syntax calls it: old files mix up the processes."""
    if said.start_of_frame in (0xC0, 0xC1, 0xC2) and said.precision == 8:
        return _pillow(frame, said)
    if not said.orderly:  # GDCM ends the process where libjpeg warns
        raise DicomReadError("decode-failed", "a JPEG frame whose header is out of order")
    return _gdcm(frame, said, runner, uid.JPEGLosslessSV1 if said.lossless_jpeg else uid.JPEGExtended12Bit)


def _pillow(frame: bytes, said: Codestream) -> bytes:
    image = Image.open(BytesIO(frame), formats=("JPEG",))
    if said.samples > 1 and "adobe_transform" not in image.info:
        image.draft("YCbCr", image.size)  # leave the colours as they are: the data set tells their model
    return bytes(image.tobytes())


def _jpeg_ls(frame: bytes, said: Codestream, runner: DecodeRunner) -> bytes:
    runner.set_option("planar_configuration", 0)
    return _gdcm(frame, said, runner, runner.transfer_syntax)


def _j2k(frame: bytes, said: Codestream, runner: DecodeRunner) -> bytearray:
    decoded: bytearray = openjpeg.decode_pixel_data(frame, version=2)
    _undone_transform(runner)
    return decoded


def _undone_transform(runner: DecodeRunner) -> None:
    """Decoders of JPEG 2000 undo its colour transform."""
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")


def _rle(frame: bytes, said: Codestream, runner: DecodeRunner) -> bytearray:
    decoded: bytearray = rle.utils.decode_pixel_data(frame, version=2, **runner.options)
    runner.set_option("planar_configuration", 1)
    return decoded


def _gdcm(frame: bytes, said: Codestream, runner: DecodeRunner, syntax: uid.UID) -> bytes:
    """Decode with GDCM, told that all bits of the container count.

    Told of fewer it would clear the others, which `Coding` does, and end the process where the container has 8.
    """
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((said.columns, said.rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if said.samples > 1:
        image.SetPlanarConfiguration(runner.planar_configuration)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    bits, signed = said.container, runner.pixel_representation
    image.SetPixelFormat(gdcm.PixelFormat(said.samples, bits, bits, bits - 1, signed))
    decoded = image.GetBuffer()
    if decoded is None:
        raise DicomReadError("decode-failed", "a compressed frame that its decoder refuses")
    # SWIG gives C bytes as text.
    return bytes(decoded.encode("utf-8", "surrogateescape"))


def _no_memory() -> DicomReadError:
    return DicomReadError("memory", "the pixel data need more memory than there is")


_JPEG_SYNTAXES = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_DECODERS: dict[uid.UID, tuple[Callable[[bytes], Codestream] | None, _Decode]] = {
    **dict.fromkeys(_JPEG_SYNTAXES, (inspect_jpeg, _jpeg)),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), (inspect_jpeg, _jpeg_ls)),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), (inspect_j2k, _j2k)),
    **dict.fromkeys(_HTJ2K, (inspect_j2k, _j2k)),
    uid.RLELossless: (None, _rle),
}
for _syntax in _DECODERS:
    get_decoder(_syntax).add_plugin(PLUGIN, (__name__, decode_frame.__name__))
