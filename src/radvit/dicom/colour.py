"""Colour that is grey in fact becomes a grey data set; true colour is refused.

Scanned films, screenshots of a radiograph and exports of viewers are often RGB, their three channels alike. They are
read by their luminance (ITU-R BT.601, as PS3.3 C.7.6.3.1.2 defines it for the Y of YBR_FULL). What shows colour can't
be reduced to grey without a loss that nobody asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.pixels import apply_color_lut
from pydicom.uid import ExplicitVRLittleEndian

from radvit.dicom.codecs import StoredArray, decode_samples
from radvit.dicom.copying import changed
from radvit.errors import DicomReadError

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
CHROMA = 1 / 16  # least difference between the channels of a coloured pixel, as a share of their range
MOST_COLOURED = 0.01  # share of coloured pixels in an image that counts as grey: a logo, a cursor, a ruler
_CHUNK = 1 << 14  # pixels turned to grey at a time: what is worked out of them stays in the processor's cache
_RGB, _YBR = ("RGB",), ("YBR_FULL", "YBR_FULL_422")
_UNDONE = ("YBR_ICT", "YBR_RCT")  # by the decoders of JPEG 2000
_PALETTE = "PALETTE COLOR"
_Channels = npt.NDArray[np.signedinteger[Any]]

# What tells how to show the values of a grey image, and must not be applied to a luminance.
_MAPPINGS = """
    RescaleSlope RescaleIntercept RescaleType ModalityLUTSequence WindowCenter WindowWidth VOILUTFunction
    WindowCenterWidthExplanation VOILUTSequence PresentationLUTShape PresentationLUTSequence PixelPaddingValue
    PixelPaddingRangeLimit PlanarConfiguration SmallestImagePixelValue LargestImagePixelValue
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor
    RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
    SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
    SegmentedBluePaletteColorLookupTableData PaletteColorLookupTableUID ICCProfile
    ExtendedOffsetTable ExtendedOffsetTableLengths
"""
_GROUP_MAPPINGS = ("FrameVOILUTSequence", "PixelValueTransformationSequence")
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def as_grey(dataset: Dataset, most_coloured: float = MOST_COLOURED) -> Dataset:
    """The data set itself where it is grey; for colour without colours a new one, of its luminance.

    The new data set is MONOCHROME2, uncompressed and of 8, 16 or 32 bits as the colour's channels were, with a window
    over their whole range. The input is left as it is. most_coloured: the share of coloured pixels that is let through.
    Raises DicomReadError (`not-grayscale`, `decode-failed`, `memory`).
    """
    if dataset.PhotometricInterpretation in MONOCHROME:
        return dataset
    try:
        luminance, bits, coloured = _luminance(dataset)
    except DicomReadError:
        raise
    except MemoryError:
        raise DicomReadError("memory", "the colours need more memory than there is") from None
    except Exception as error:  # noqa: BLE001 - malformed palettes; the text may quote the file
        raise DicomReadError("decode-failed", f"the colours can't be read: {type(error).__name__}") from None
    if coloured > most_coloured:
        raise DicomReadError("not-grayscale", f"{_percent(coloured)} of the pixels are coloured; expected grey")
    return _grey(dataset, luminance, bits)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _luminance(dataset: Dataset) -> tuple[StoredArray, int, float]:
    """Luminance (frames, rows, columns), the bits of a channel, and the share of pixels that are coloured."""
    if dataset.PhotometricInterpretation not in (*_RGB, *_YBR, *_UNDONE, _PALETTE):
        raise DicomReadError("not-grayscale", "a colour model that isn't read; expected RGB, YBR_FULL or a palette")
    samples, model = decode_samples(dataset)
    if model == _PALETTE:
        return _of_palette(dataset, samples[..., 0])
    if model not in _RGB + _YBR:
        raise DicomReadError("decode-failed", "a colour model that its transfer syntax doesn't undo; expected RGB")
    bits = int(dataset.BitsStored)
    grey, coloured = np.empty(samples.shape[:3], samples.dtype), 0
    for frame, out in zip(samples, grey, strict=True):
        coloured += _reduce(frame.reshape(-1, 3), out.reshape(-1), bits, model in _RGB)
    return grey, bits, coloured / grey.size


def _reduce(samples: StoredArray, out: StoredArray, bits: int, rgb: bool) -> int:
    """Write the luminance of samples (N, 3) into out (N,), and count those that are coloured."""
    coloured, wide = 0, np.dtype(np.int64 if samples.itemsize > 2 else np.int32)
    for start in range(0, len(out), _CHUNK):
        part: _Channels = samples[start : start + _CHUNK].T.astype(wide)
        luminance, spread = _from_rgb(part) if rgb else _from_ybr(part, bits)
        out[start : start + _CHUNK] = luminance
        coloured += int(np.count_nonzero(spread > CHROMA * ((1 << bits) - 1)))
    return coloured


def _from_rgb(rgb: _Channels) -> tuple[_Channels, _Channels]:
    """Luminance and the difference between the largest and the smallest channel. rgb: (3, ...)."""
    red, green, blue = rgb
    # BT.601 in 14 bits: where the channels are equal, exactly their value.
    luminance = (4899 * red + 9617 * green + 1868 * blue + (1 << 13)) >> 14
    return luminance, np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def _from_ybr(ybr: _Channels, bits: int) -> tuple[_Channels, npt.NDArray[np.float64]]:
    """Luminance and the difference between the largest and the smallest of R, G, B. Source: PS3.3 C.7.6.3.1.2."""
    middle = 1 << (bits - 1)
    blue, red = ybr[1] - middle, ybr[2] - middle
    beyond = np.stack([1.402 * red, -0.344136 * blue - 0.714136 * red, 1.772 * blue])
    return ybr[0], beyond.max(axis=0) - beyond.min(axis=0)


def _of_palette(dataset: Dataset, indices: StoredArray) -> tuple[StoredArray, int, float]:
    """The palette is turned to grey, and looked up once a pixel."""
    largest = 1 << int(dataset.BitsAllocated)
    colours = apply_color_lut(np.arange(largest, dtype=indices.dtype)[None], dataset)[0]  # (entries, 3)
    bits = 8 * colours.dtype.itemsize
    grey, spread = _from_rgb(colours.T.astype(np.int64))
    counts = np.bincount(indices.ravel(), minlength=largest)
    coloured = counts[spread > CHROMA * ((1 << bits) - 1)].sum() / indices.size
    return grey.astype(colours.dtype)[indices], bits, float(coloured)


def _grey(dataset: Dataset, luminance: StoredArray, bits: int) -> Dataset:
    top, data = (1 << bits) - 1, luminance.astype(luminance.dtype.newbyteorder("<"), copy=False).tobytes()
    values: dict[str, object] = {
        keyword: [changed(item, _GROUP_MAPPINGS) for item in dataset[keyword].value]
        for keyword in _GROUPS
        if keyword in dataset
    }
    # The standard shows colour as it is stored, from 0 to the largest value.
    values |= {"VOILUTFunction": "LINEAR_EXACT", "WindowCenter": f"{top / 2:.12g}", "WindowWidth": str(top)}
    values |= {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0}
    values |= {"BitsAllocated": 8 * luminance.itemsize, "BitsStored": bits, "HighBit": bits - 1}
    grey = changed(dataset, (*_MAPPINGS.split(), "PixelData"), **values)
    grey.add_new("PixelData", "OB" if luminance.itemsize == 1 else "OW", data + b"\0" * (len(data) % 2))
    grey.file_meta = changed(dataset.file_meta, TransferSyntaxUID=ExplicitVRLittleEndian)
    return grey
