"""The size of a picture by its header alone: what an upload costs before anything is decoded."""

from __future__ import annotations

from typing import Literal

from alpr_edge.damage import JPEG_SCAN, jpeg_segments

KINDS = ("JPEG", "PNG", "WebP", "BMP")
"""What the service reads; every other kind would be one more decoder in reach of strangers."""
MAX_SCANS = 100
"""Of a progressive JPEG: a usual one has about 10, and each is a pass over all pixels."""
MAX_SEGMENTS = 1000
"""Of a JPEG; a usual one has about 10, a progressive one 30."""

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Begins of frames; the others in between are tables."""
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that a JPEG, PNG, WebP or BMP file claims; None for other bytes.

    The decoders follow the same fields, so that what they allocate is bounded by this.

    Raises:
        ValueError: it begins like one of these, but its header is damaged or hostile.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(_PNG):
        return _numbers(data, 16, 4, "big")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    return None


def _jpeg(data: bytes) -> tuple[int, int]:
    """ITU-T T.81, B.2.2: the frame header has precision, height and width."""
    size, scans = None, 0
    for number, (marker, begin, _) in enumerate(jpeg_segments(data)):
        if size is None and marker in _JPEG_SIZES:
            height, width = _numbers(data, begin + 5, 2, "big")
            size = width, height
        scans += marker == JPEG_SCAN
        if scans > MAX_SCANS or number >= MAX_SEGMENTS:
            raise ValueError(f"the JPEG has more than {MAX_SCANS} scans or {MAX_SEGMENTS} segments")
    if size is None:
        raise ValueError("the JPEG has no frame header")
    return size


def _webp(data: bytes) -> tuple[int, int]:
    """RFC 9649: an extended, lossless or lossy picture comes first in the file."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        width, height = _numbers(data, 24, 3, "little")
        return width + 1, height + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(_bytes(data, 21, 4), "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = _numbers(data, 26, 2, "little")
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("the WebP file has no picture")


def _bmp(data: bytes) -> tuple[int, int]:
    """Old headers of 12 bytes have 16-bit sizes; a negative height says top row first."""
    header = int.from_bytes(_bytes(data, 14, 4), "little")
    if header == 12:
        return _numbers(data, 18, 2, "little")
    width, height = (
        int.from_bytes(_bytes(data, at, 4), "little", signed=True) for at in (18, 22)
    )
    return abs(width), abs(height)


def _numbers(
    data: bytes, at: int, size: int, order: Literal["big", "little"]
) -> tuple[int, int]:
    """Two unsigned numbers of ``size`` bytes, one after the other."""
    both = _bytes(data, at, 2 * size)
    return int.from_bytes(both[:size], order), int.from_bytes(both[size:], order)


def _bytes(data: bytes, at: int, count: int) -> bytes:
    part = data[at : at + count]
    if len(part) < count:
        raise ValueError(f"the header is cut short: {len(data)} bytes")
    return part
