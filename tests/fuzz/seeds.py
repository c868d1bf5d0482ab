"""Small valid files to mutate: pydicom's own, and generated ones that hold what those lack."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
LARGEST = 100_000
# Not decoded by native code but that of RLE, which is Rust.
PLAIN_SYNTAXES = (
    "1.2.840.10008.1.2", ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
)  # fmt: skip


def bundled() -> dict[str, bytes]:
    """pydicom's files that are small, DICOMDIRs included, by name."""
    files = sorted(path for path in BUNDLED.rglob("*") if path.is_file() and path.stat().st_size <= LARGEST)
    found = {path.relative_to(BUNDLED).as_posix(): path.read_bytes() for path in files}
    kept = {name: raw for name, raw in found.items() if raw[128:132] == b"DICM"}
    return {name: raw for name, raw in kept.items() if "TINY_ALPHA" not in name}


def generated() -> dict[str, bytes]:
    """Generated files, by name."""
    return {
        "windows": _file(WindowCenter=["10", "500"], WindowWidth=["20", "1000"], VOILUTFunction="SIGMOID"),
        "tables": _file(ModalityLUTSequence=[_table(4096, 0, 16)], VOILUTSequence=[_table(256, -5, 8)]),
        "frames": _frames(),
        "padding": _file(PixelPaddingValue=3, PixelPaddingRangeLimit=9, PhotometricInterpretation="MONOCHROME1"),
        "deflated": _file(syntax=DeflatedExplicitVRLittleEndian, PresentationLUTShape="INVERSE"),
        "rle": _file(syntax=RLELossless),
        "bits": _file(np.zeros((1, 6), np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0, Rows=6, Columns=8),
        "palette": _palette(),
    }


def is_plain(raw: bytes) -> bool:
    """Whether Python, numpy and Rust alone decode a seed."""
    return str(pydicom.dcmread(BytesIO(raw), stop_before_pixels=True).file_meta.get("TransferSyntaxUID")) in map(
        str, PLAIN_SYNTAXES
    )


def _file(pixels: np.ndarray | None = None, syntax: str = ExplicitVRLittleEndian, **attributes: object) -> bytes:
    dataset = pydicom.dcmread(BUNDLED / "MR_small.dcm")
    stored = np.arange(16 * 20, dtype=np.uint16).reshape(16, 20) if pixels is None else pixels
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = stored.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
        if dataset[keyword].VR == "US or SS":  # pydicom can't tell which
            dataset[keyword].VR = "US"
    if syntax == RLELossless:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _table(count: int, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    item.add_new("LUTData", "OW", np.linspace(0, 2**bits - 1, count).astype("<u2").tobytes())
    return item


def _frames() -> bytes:
    def group(**values: object) -> Dataset:
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        return item

    measures = group(PixelMeasuresSequence=[group(PixelSpacing=["0.5", "0.5"])])
    plane = group(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    each = [
        group(
            FrameVOILUTSequence=[group(WindowCenter=str(9 * n), WindowWidth="90")],
            PlanePositionSequence=[group(ImagePositionPatient=["0", "0", str(n)])],
            PixelValueTransformationSequence=[group(RescaleSlope="2", RescaleIntercept=str(-n), RescaleType="US")],
        )
        for n in range(3)
    ]
    measures.PlaneOrientationSequence = [plane]
    return _file(
        np.arange(3 * 8 * 6, dtype=np.uint16).reshape(3, 8, 6),
        NumberOfFrames="3",
        SharedFunctionalGroupsSequence=[measures],
        PerFrameFunctionalGroupsSequence=each,
    )


def _palette() -> bytes:
    ramp = np.arange(256, dtype="<u2").tobytes()
    colours = ("Red", "Green", "Blue")
    tables = {f"{colour}PaletteColorLookupTableDescriptor": [256, 0, 16] for colour in colours}
    tables |= {f"{colour}PaletteColorLookupTableData": ramp for colour in colours}
    return _file(np.arange(80, dtype=np.uint8).reshape(8, 10), PhotometricInterpretation="PALETTE COLOR", **tables)
