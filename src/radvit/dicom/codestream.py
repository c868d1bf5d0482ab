"""What a compressed frame says of itself, read before a decoder written in C sees it."""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from

from radvit.errors import DicomReadError

_SOI, _SOS, _EOI = 0xD8, 0xDA, 0xD9
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment: TEM, RST0 to RST7
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # DHT, JPG and DAC stand among the start-of-frame markers
_JPEG_LS = 0xF7
_APP0, _APP14 = 0xE0, 0xEE
_J2K_START = b"\xff\x4f\xff\x51"  # SOC and SIZ, ISO/IEC 15444-1 A.4.1, A.5.1
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_JP2_BOXES = 4096  # bytes of boxes that may stand before the codestream of a JP2 file, which DICOM doesn't allow
_MOST_TILES = 65535  # ISO/IEC 15444-1 A.5.1


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size and depth of one frame. start_of_frame: the JPEG process, 0xC0 to 0xCF, or 0xF7; 0 of JPEG 2000.

    orderly: of JPEG, whether libjpeg would find nothing to warn of from the start to the first scan.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    start_of_frame: int = 0
    orderly: bool = True

    @property
    def lossless_jpeg(self) -> bool:
        """Whether it is of process 14 (ISO/IEC 10918-1 H)."""
        return self.start_of_frame == 0xC3

    @property
    def container(self) -> int:
        """Bits that a decoder gives each sample: 8, 16 or 32."""
        return 8 if self.precision <= 8 else 16 if self.precision <= 16 else 32


def inspect_jpeg(frame: bytes) -> Codestream:
    """Read the frame header of JPEG or JPEG-LS. Raises DicomReadError (`decode-failed`) where there is none.

    Source: ISO/IEC 10918-1 B.1.1, B.2.2; ISO/IEC 14495-1 C.2.2.
    """
    if frame[:2] != bytes([0xFF, _SOI]):
        raise _no_header("JPEG")
    found: tuple[int, ...] = ()
    at, orderly = 2, True
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in (_SOS, _EOI):
            break
        if ((0xC0 <= marker <= 0xCF and marker not in _NO_FRAME) or marker == _JPEG_LS) and at + 10 <= len(frame):
            found = found or (*unpack_from(">BHHB", frame, at + 4), marker)
        orderly = orderly and _is_usual(marker, frame[at + 4 : at + 16])
        at += 2 if marker in _ALONE else 2 + unpack_from(">H", frame, at + 2)[0]
    if not found:
        raise _no_header("JPEG")
    precision, rows, columns, samples, start_of_frame = found
    orderly = orderly and frame[at : at + 2] == bytes([0xFF, _SOS])  # else there is a gap between segments
    return Codestream(rows, columns, samples, precision, start_of_frame, orderly)


def _is_usual(marker: int, content: bytes) -> bool:
    """Whether an application's segment is one that libjpeg knows: JFIF 1, Adobe of transform 0 or 1."""
    if marker == _APP0 and content.startswith(b"JFIF\0"):
        return content[5:6] == b"\x01"
    if marker == _APP14 and content.startswith(b"Adobe"):
        return content[11:12] in (b"\0", b"\x01")
    return True


def inspect_j2k(frame: bytes) -> Codestream:
    """Read the SIZ segment of JPEG 2000. Raises DicomReadError (`decode-failed`) where there is none.

    Source: ISO/IEC 15444-1 A.5.1.
    """
    start = frame.find(_J2K_START, 0, _JP2_BOXES) if frame.startswith(_JP2_SIGNATURE) else 0
    if start < 0 or frame[start : start + 4] != _J2K_START or len(frame) < start + 42:
        raise _no_header("JPEG 2000")
    right, lower, left, upper, width, height, tiles_left, tiles_upper, samples = unpack_from(">8IH", frame, start + 8)
    components = frame[start + 42 : start + 42 + 3 * samples]
    if len(components) != 3 * samples or not samples or not width or not height:
        raise _no_header("JPEG 2000")
    if -(-(right - tiles_left) // width) * -(-(lower - tiles_upper) // height) > _MOST_TILES:
        raise DicomReadError("decode-failed", f"JPEG 2000 of more than {_MOST_TILES} tiles")
    if len(set(components[::3])) > 1 or set(components[1::3] + components[2::3]) != {1}:
        raise DicomReadError("decode-failed", "JPEG 2000 whose components differ in size or depth")
    return Codestream(lower - upper, right - left, samples, (components[0] & 0x7F) + 1)


def _no_header(kind: str) -> DicomReadError:
    return DicomReadError("decode-failed", f"a frame without a {kind} header")
