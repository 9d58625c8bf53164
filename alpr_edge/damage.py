"""Signs that a picture file is not what was written: decoders fill in what is lost and say nothing.

JPEG by ITU-T T.81: the compressed data of a scan has no markers but those that may follow it
(Annex B.1.1.2), and all bits zero are the first code of a Huffman table (Annex C.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker; within compressed data 0xff is followed by 0 or a restart marker."""
JPEG_SCAN = 0xDA
"""The marker that begins a scan."""
_END, _TABLES, _SEQUENTIAL = 0xD9, 0xC4, (0xC0, 0xC1)
_BARE = (0x01, 0xD8, _END)
"""TEM, SOI and EOI: markers without a segment, as those of restarts are."""
_AFTER_SCAN = {_END, JPEG_SCAN, _TABLES, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}
"""EOI, SOS, DHT, DQT, DNL, DRI, COM, APPn."""
_SECTOR, _BLOCK = bytes(512), bytes(4096)
"""What a disk that lost a part has in its place, or an unfinished copy at its end; WebP's coder has
no zeros but after a large even area."""
_WEBP_IMAGES = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")


def what_is_wrong(data: bytes) -> str | None:
    """Why the bytes of a JPEG, PNG or WebP file are no whole picture, as far as it shows without
    decoding them; None for all others, of which the decoder tells."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None if b"IEND" in data else _cut_short(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        found = (_of_empty(data, _BLOCK, *image) for image in _webp_images(data))
        return next(filter(None, found), None)
    return None


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Of a JPEG up to its end, not of what may follow: each marker but those of restarts, where it
    begins, and where its segment ends."""
    position = 2
    while found := _MARKER.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker not in _BARE:  # over a segment: a thumbnail in it has an end of its own
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
        yield marker, found.start(), position
        if marker == _END:
            return


def _of_jpeg(data: bytes) -> str | None:
    scan, sequential, zeros_are_flat = 0, False, True
    for marker, begin, end in jpeg_segments(data):
        if scan:
            if marker not in _AFTER_SCAN:
                return f"damaged at byte {begin}"
            lost = _of_empty(data, _SECTOR, scan, begin)
            if lost and sequential and not zeros_are_flat:
                return lost
        if marker == _END:
            return None
        if marker == _TABLES:
            zeros_are_flat &= all(_first_codes(data[begin + 4 : end]))
        sequential |= marker in _SEQUENTIAL
        scan = end if marker == JPEG_SCAN else 0
    return _cut_short(data)


def _first_codes(segment: bytes) -> Iterator[bool]:
    """Of each AC table of a DHT segment: whether its first code is of no coefficient."""
    while len(segment) > 17:
        count = sum(segment[1:17])
        if segment[0] >> 4 and count:
            yield not segment[17] & 15
        segment = segment[17 + count :]


def _webp_images(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the compressed pictures of a WebP file begin and end."""
    position = 12
    while position + 8 <= len(data):
        begin = position + 8
        end = begin + int.from_bytes(data[position + 4 : begin], "little")
        if data[position : position + 4] in _WEBP_IMAGES:
            yield begin, end
        position = end + end % 2


def _of_empty(data: bytes, zeros: bytes, begin: int, end: int) -> str | None:
    position = data.find(zeros, begin, end)
    return None if position < 0 else f"damaged: nothing but zeros from byte {position} on"


def _cut_short(data: bytes) -> str:
    return f"cut short: {len(data)} bytes and no end marker"
