"""The conformance corpus: every format of values in every transfer syntax, and colour that is grey in fact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import imagecodecs
import jpegls
import numpy as np
from corpus_files import SHAPE, Case, Format, codes_of, compressed, native, share, values_of
from pydicom import uid

FORMATS = {
    "u8": Format(8, 8),
    "u7": Format(7, 8),
    "i8": Format(8, 8, signed=True),
    "u10": Format(10),
    "u12": Format(12),
    "u12 high": Format(12, high=15),
    "u12 junk": Format(12, junk=True),
    "u10 middle junk": Format(10, high=12, junk=True),
    "i12": Format(12, signed=True),
    "i12 junk": Format(12, signed=True, junk=True),
    "u15": Format(15),
    "u16": Format(16),
    "i16": Format(16, signed=True),
    "u32": Format(32, 32),
    "i32": Format(32, 32, signed=True),
    "u20 in 32": Format(20, 32),
    "i16 frames": Format(16, signed=True, frames=3),
    "u8 frames": Format(8, 8, frames=3),
    "u12 white": Format(12, photometric="MONOCHROME1"),
    "bits": Format(1, 1),
    "bits frames": Format(1, 1, frames=3),
}
NATIVE = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}


def native_cases() -> Iterator[Case]:
    for syntax_name, syntax in NATIVE.items():
        for name, kind in FORMATS.items():
            values = values_of(kind)
            yield Case(f"{syntax_name}: {name}", native(codes_of(values, kind), kind, syntax), share(values, kind))


def _packed(plane: bytes) -> bytes:
    """One segment of RLE (PS3.5 G.3): runs of two bytes and more as such, the others as they are."""
    out, at, literal = bytearray(), 0, bytearray()

    def flush() -> None:
        for start in range(0, len(literal), 128):
            part = literal[start : start + 128]
            out.extend(bytes([len(part) - 1]) + part)
        literal.clear()

    while at < len(plane):
        run = next((n for n in range(1, 128) if plane[at + n : at + n + 1] != plane[at : at + 1]), 128)
        if run == 1:
            literal.append(plane[at])
        else:
            flush()
            out.extend(bytes([257 - run, plane[at]]))
        at += run
    flush()
    return bytes(out) + b"\0" * (len(out) % 2)


def rle(codes: np.ndarray, kind: Format) -> bytes:
    """A frame of RLE: its byte planes, the highest first (PS3.5 G.2, G.5)."""
    planes = codes.astype(codes.dtype.newbyteorder(">")).reshape(-1).view(np.uint8).reshape(codes.size, -1).T
    segments = [_packed(plane.tobytes()) for plane in planes]
    starts = np.cumsum([64, *map(len, segments)])[:-1]
    header = np.zeros(16, "<u4")
    header[0], header[1 : 1 + len(starts)] = len(starts), starts
    return header.tobytes() + b"".join(segments)


def _jpeg(**options: Any) -> Callable[[np.ndarray, Format], bytes]:
    def encode(codes: np.ndarray, kind: Format) -> bytes:
        return bytes(imagecodecs.jpeg8_encode(codes, bitspersample=kind.stored, **options))

    return encode


def _jpeg_ls(near: int) -> Callable[[np.ndarray, Format], bytes]:
    return lambda codes, kind: jpegls.encode(codes.astype(np.int64), kind.stored, near)


def _j2k(**options: Any) -> Callable[[np.ndarray, Format], bytes]:
    def encode(codes: np.ndarray, kind: Format) -> bytes:
        signed = codes.view(f"i{codes.itemsize}") if kind.signed else codes
        if kind.signed:  # the bits above the stored ones repeat the sign
            signed = (signed << (16 - kind.stored)) >> (16 - kind.stored)
        return bytes(imagecodecs.jpeg2k_encode(signed, codecformat="j2k", bitspersample=kind.stored, **options))

    return encode


def _htj2k(**options: Any) -> Callable[[np.ndarray, Format], bytes]:
    return lambda codes, kind: bytes(
        imagecodecs.htj2k_encode(codes.view(f"i{codes.itemsize}") if kind.signed else codes, **options)
    )


_COMMON = ("u8", "u12", "u16", "u12 white", "u8 frames")
_SIGNED = ("i16", "i16 frames")
# name: (transfer syntax, encoder, formats, largest error as a share of the range)
CODECS = {
    "rle": (uid.RLELossless, rle, tuple(name for name in FORMATS if "bits" not in name), 0.0),
    "jpeg": (uid.JPEGBaseline8Bit, _jpeg(level=95), ("u8", "u8 frames"), 0.02),
    "jpeg extended": (uid.JPEGExtended12Bit, _jpeg(level=95), ("u8", "u12", "u12 white"), 0.02),
    **{
        f"jpeg lossless {predictor}": (
            uid.JPEGLosslessSV1 if predictor == 1 else uid.JPEGLossless,
            _jpeg(lossless=True, predictor=predictor),
            (*_COMMON, "u7", "u10", "i12", "u15", *_SIGNED) if predictor in (1, 4) else ("u8", "u12"),
            0.0,
        )
        for predictor in range(1, 8)
    },
    "jpeg-ls": (uid.JPEGLSLossless, _jpeg_ls(0), (*_COMMON, "u10", "i12", "u15", *_SIGNED), 0.0),
    "jpeg-ls near": (uid.JPEGLSNearLossless, _jpeg_ls(2), _COMMON, 2.1 / 255),
    "j2k": (uid.JPEG2000Lossless, _j2k(reversible=True, level=0), (*_COMMON, "u7", "u10", "u15", "i12", *_SIGNED), 0.0),
    "j2k lossless of 91": (uid.JPEG2000, _j2k(reversible=True, level=0), ("u8", "u12"), 0.0),
    "j2k lossy": (uid.JPEG2000, _j2k(reversible=False, level=60), ("u8", "u12", "u16", "i16"), 0.01),
    "htj2k": (uid.HTJ2KLossless, _htj2k(), ("u8", "u16", "u8 frames", *_SIGNED), 0.0),
    "htj2k tiles": (uid.HTJ2KLossless, _htj2k(tile=(16, 16)), ("u8", "i16"), 0.0),
    "htj2k rpcl": (uid.HTJ2KLosslessRPCL, _htj2k(), ("u8", "u16"), 0.0),
    "htj2k lossy": (uid.HTJ2K, _htj2k(reversible=False, level=0.0005), ("u8", "u16"), 0.01),
}


def codec_cases() -> Iterator[Case]:
    for codec, (syntax, encode, names, tolerance) in CODECS.items():
        for name in names:
            kind = FORMATS[name]
            values = values_of(kind, smooth=tolerance > 0)
            frames = [encode(np.ascontiguousarray(frame), kind) for frame in codes_of(values, kind)]
            dataset = compressed(frames, kind, syntax)
            yield Case(f"{codec}: {name}", dataset, share(values, kind), tolerance)


def colour_cases() -> Iterator[Case]:
    for bits in (8, 16):
        kind = Format(bits, bits)
        values = values_of(kind)
        codes = codes_of(values, kind)
        for planar in (0, 1):
            rgb = np.stack([codes] * 3, axis=1 if planar else -1)
            for name in ("explicit", "big"):
                dataset = native(rgb, kind, NATIVE[name], SamplesPerPixel=3, PhotometricInterpretation="RGB")
                dataset.PlanarConfiguration = planar
                yield Case(f"colour: RGB of {bits} bits, planar {planar}, {name}", dataset, share(values, kind))
    kind = Format(8, 8)
    values = values_of(kind, smooth=True)
    codes = codes_of(values, kind)[0]
    neutral = np.full(SHAPE, 128, np.uint8)
    options = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
    ybr = np.stack([codes, neutral, neutral], axis=-1)
    yield Case(
        "colour: YBR_FULL", native(ybr, kind, PhotometricInterpretation="YBR_FULL", **options), share(values, kind)
    )
    packed = np.concatenate([codes.reshape(-1, 2), np.full((codes.size // 2, 2), 128, np.uint8)], axis=1)
    yield Case("colour: YBR_FULL_422", native(packed, kind, PhotometricInterpretation="YBR_FULL_422", **options),
               share(values, kind))  # fmt: skip
    rgb = np.stack([codes] * 3, axis=-1)
    encoders = {
        "YBR_FULL_422": (uid.JPEGBaseline8Bit, imagecodecs.jpeg8_encode(rgb, level=95), 0.02),
        "YBR_RCT": (
            uid.JPEG2000Lossless,
            imagecodecs.jpeg2k_encode(rgb, codecformat="j2k", reversible=True, level=0),
            0,
        ),
        "RGB": (uid.JPEGLSLossless, imagecodecs.jpegls_encode(rgb), 0),
    }
    for photometric, (syntax, frame, tolerance) in encoders.items():
        dataset = compressed([bytes(frame)], kind, syntax, PhotometricInterpretation=photometric, **options)
        yield Case(f"colour: {photometric}, {syntax.name}", dataset, share(values, kind), tolerance)
    palette = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    data = (np.arange(256, dtype="<u2")[::-1] * 257).tobytes()
    palette |= {f"{c}PaletteColorLookupTableData": data for c in ("Red", "Green", "Blue")}
    dataset = native(codes, kind, PhotometricInterpretation="PALETTE COLOR", **palette)
    yield Case("colour: palette", dataset, 1 - share(values, kind))
