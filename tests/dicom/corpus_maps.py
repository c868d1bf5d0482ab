"""The conformance corpus: how values become grey, each worked out one value at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from corpus_files import Case, Format, codes_of, native, values_of
from pydicom import Dataset
from standard import by_the_standard as window

from radvit.dicom.voi import Rule, Voi

GREY = Format(12)
HOUNSFIELD = Format(12, signed=True)


def one_by_one(mapping: Callable[[int], float], values: np.ndarray) -> np.ndarray:
    table = {value: mapping(value) for value in np.unique(values).tolist()}
    return np.array([table[value] for value in values.ravel().tolist()]).reshape(values.shape)


def lut(entries: list[int], first: int, bits: int = 16, explanation: str = "") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    if explanation:
        item.LUTExplanation = explanation
    return item


def looked_up(entries: list[int], first: int, value: float) -> int:
    return entries[min(max(round(value) - first, 0), len(entries) - 1)]


def group(keyword: str, **attributes: Any) -> Dataset:
    holder, item = Dataset(), Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    setattr(holder, keyword, [item])
    return holder


def mapped(
    name: str, mapping: Callable[[int], float], kind: Format = GREY, voi: Voi | None = None, **attributes: Any
) -> Case:
    values = values_of(kind)
    dataset = native(codes_of(values, kind), kind, **attributes)
    return Case(f"map: {name}", dataset, one_by_one(mapping, values), voi=voi or Voi())


def windows_cases() -> Iterator[Case]:
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        for photometric in ("MONOCHROME1", "MONOCHROME2"):
            yield mapped(
                f"{function} of Hounsfield units, {photometric}",
                lambda v, f=function, p=photometric: _inverted(window(v - 100.5, 40, 400, f), p == "MONOCHROME1"),
                Format(12, signed=True, photometric=photometric),
                RescaleSlope="1",
                RescaleIntercept="-100.5",
                WindowCenter="40",
                WindowWidth="400",
                VOILUTFunction=function,
            )
    several = {
        "WindowCenter": ["500", "40", "-600"],
        "WindowWidth": ["2000", "80", "1500"],
        "WindowCenterWidthExplanation": ["BONE", "BRAIN", "LUNG"],
        "VOILUTFunction": "LINEAR",
    }
    choices = {
        "first": (Voi(), 500, 2000),
        "narrowest": (Voi(Rule.NARROWEST), 40, 80),
        "lung": (Voi(Rule.NARROWEST, "lung"), -600, 1500),
    }
    for name, (voi, center, width) in choices.items():
        yield mapped(
            f"of several windows the {name}",
            lambda v, c=center, w=width: window(v, c, w, "LINEAR"),
            HOUNSFIELD,
            voi,
            **several,
        )
    yield mapped(
        "a window for all files",
        lambda v: window(v, 40, 400, "LINEAR_EXACT"),
        HOUNSFIELD,
        Voi(center=40, width=400),
        **several,
    )
    yield mapped("a slope", lambda v: window(0.25 * v + 3, 500, 301, "LINEAR"), RescaleSlope="0.25",
                 RescaleIntercept="3", WindowCenter="500", WindowWidth="301", VOILUTFunction="LINEAR")  # fmt: skip


def _inverted(grey: float, inverted: bool) -> float:
    return 1 - grey if inverted else grey


def table_cases() -> Iterator[Case]:
    entries = [int(65535 * (i / 999) ** 2) for i in range(1000)]
    short = [i * i // 4 for i in range(128)]  # of 12 bits
    full = {"WindowCenter": "32767.5", "WindowWidth": "65535"}
    modality = {"ModalityLUTSequence": [lut(entries, 500)]}
    yield mapped("modality table", lambda v: looked_up(entries, 500, v) / 65535, **modality, **full)
    angiography = "1.2.840.10008.5.1.4.1.1.12.1"
    yield mapped("no modality table in angiography", lambda v: v / 4095, **modality, SOPClassUID=angiography)
    yield mapped("VOI table", lambda v: looked_up(entries, 500, v) / 65535, VOILUTSequence=[lut(entries, 500)])
    yield mapped("VOI table of a negative first value", lambda v: looked_up(short, -60, v - 1024) / 4095,
                 VOILUTSequence=[lut(short, -60, 12)], RescaleSlope="1", RescaleIntercept="-1024")  # fmt: skip
    unsigned = lut(short, 0, 12)
    unsigned["LUTDescriptor"].value = [len(short), 65536 - 60, 12]
    yield mapped("VOI table whose negative first value is written unsigned",
                 lambda v: looked_up(short, -60, v - 1024) / 4095, VOILUTSequence=[unsigned], RescaleSlope="1",
                 RescaleIntercept="-1024")  # fmt: skip
    tables = [lut(entries, 500, explanation="NORMAL"), lut(entries[::-1], 500, explanation="HARDER")]
    yield mapped("of two VOI tables the harder", lambda v: looked_up(entries[::-1], 500, v) / 65535,
                 voi=Voi(explanation="hard"), VOILUTSequence=tables)  # fmt: skip
    yield mapped("both tables", lambda v: looked_up(short, 100, looked_up(entries, 500, v) // 1) / 4095,
                 ModalityLUTSequence=[lut(entries, 500)], VOILUTSequence=[lut(short, 100, 12)])  # fmt: skip
    shown = [int(65535 * (i / 4095) ** 0.5) for i in range(4096)]
    yield mapped("presentation table", lambda v: shown[v] / 65535, PresentationLUTSequence=[lut(shown, 0)])


def presentation_cases() -> Iterator[Case]:
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        for shape in ("IDENTITY", "INVERSE"):
            yield mapped(
                f"{photometric} and presentation {shape}",
                lambda v, s=shape: _inverted(v / 4095, s == "INVERSE"),
                Format(12, photometric=photometric),
                PresentationLUTShape=shape,
            )
        yield mapped(
            f"padding, {photometric}",
            lambda v, p=photometric: 0 if 0 <= v <= 1200 else _inverted(v / 4095, p == "MONOCHROME1"),
            Format(12, photometric=photometric),
            PixelPaddingValue=0,
            PixelPaddingRangeLimit=1200,
        )
    padded = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 1000}
    values = values_of(GREY)
    for name, kept, attributes in (
        ("percentiles", values, {}),
        ("percentiles and padding", values[values > 1000], padded),
    ):
        ordered = np.sort(kept.ravel())
        low, high = (int(ordered[int(np.ceil(p / 100 * len(ordered))) - 1]) for p in (0.5, 99.5))
        yield mapped(
            name,
            lambda v, a=low, b=high, p=attributes: 0 if p and v <= 1000 else min(max((v - a) / (b - a), 0), 1),
            voi=Voi(Rule.PERCENTILE),
            **attributes,
        )


def enhanced_cases() -> Iterator[Case]:
    kind = Format(16, signed=True, frames=3)
    values = values_of(kind)
    slopes, centers = (1.0, 0.5, 2.0), (0, 100, 300)
    frames = []
    for slope, center in zip(slopes, centers, strict=True):
        frame = group("PixelValueTransformationSequence", RescaleSlope=str(slope), RescaleIntercept="-10")
        view = {"WindowCenter": str(center), "WindowWidth": "9000", "VOILUTFunction": "LINEAR"}
        frame.FrameVOILUTSequence = group("FrameVOILUTSequence", **view).FrameVOILUTSequence
        frames.append(frame)
    expected = np.stack([
        one_by_one(lambda v, s=s, c=c: window(s * v - 10, c, 9000, "LINEAR"), frame)
        for s, c, frame in zip(slopes, centers, values, strict=True)
    ])  # fmt: skip
    dataset = native(codes_of(values, kind), kind, PerFrameFunctionalGroupsSequence=frames)
    yield Case("map: enhanced, each frame its own slope and window", dataset, expected)
