"""The bytes of an uploaded picture: refused as soon as there are more than the limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from alpr_edge.serve.picture_size import KINDS, picture_size
from alpr_edge.serve.refusal import RequestError

FIELD = "image"
"""The multipart field that has the picture."""
_MULTIPART_EXTRA = 64 * 1024
"""Bytes that a form may have around the picture."""


async def uploaded(request: Request, max_bytes: int) -> bytes:
    """The picture of a request: its body, or the field ``image`` of a multipart form.

    Raises:
        RequestError: 413 as soon as there is too much, 400 for a broken form, 422 for none or an
            empty picture.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        data = await _from_form(request, options.get(b"boundary", b""), max_bytes)
    else:
        data = await _body(request, max_bytes)
    if not data:
        raise RequestError(
            422, "no_picture", "the request has no picture",
            f"send the file's bytes as the body, or as the field {FIELD!r} of a multipart form",
        )
    return data


def check_picture(data: bytes, max_pixels: float) -> None:
    """See by its header that a picture may be decoded.

    Raises:
        RequestError: 415 for another kind of file, 422 for a broken header, 413 for too many
            pixels.
    """
    try:
        size = picture_size(data)
    except ValueError as error:
        raise RequestError(
            422, "damaged_picture", str(error), "send a whole picture file"
        ) from error
    if size is None:
        raise RequestError(
            415, "unknown_kind", f"the {len(data)} bytes are no picture that is read here",
            f"send {', '.join(KINDS[:-1])} or {KINDS[-1]}",
        )
    width, height = size
    if width * height > max_pixels:
        raise RequestError(
            413, "too_many_pixels",
            f"the picture has {width} x {height} pixels; at most {max_pixels / 1e6:g} megapixels "
            "are read",
            "shrink or cut it, or raise max_megapixels in the service's configuration",
        )


async def _body(request: Request, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in _chunks(request, max_bytes):
        data += chunk
    return bytes(data)


async def _from_form(request: Request, boundary: bytes, max_bytes: int) -> bytes:
    try:
        form = _Form(boundary)
        async for chunk in _chunks(request, max_bytes + _MULTIPART_EXTRA):
            form.write(chunk)
        return form.picture()
    except FormParserError as error:
        raise RequestError(
            400, "broken_form", f"the multipart form is broken: {error}",
            f"send one field {FIELD!r} with a file, e.g. curl -F {FIELD}=@FILE",
        ) from error


async def _chunks(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """The body as it arrives, until it is longer than allowed; the header is believed where it
    says so at once."""
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > max_bytes:
        raise _too_long(max_bytes)
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > max_bytes:
                raise _too_long(max_bytes)
            yield chunk
    except ClientDisconnect as error:
        raise RequestError(
            400, "cut_short", f"the client went away after {total} bytes", "send it again"
        ) from error


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(
        413, "too_long", f"the body is longer than {max_bytes / 1e6:g} MB",
        "send a smaller file, or raise max_body_mb in the service's configuration",
        {"connection": "close"},
    )


class _Form:
    """Keeps the field ``image`` of a multipart form (RFC 7578) and forgets the others.

    Raises:
        FormParserError: the form is broken, or has two of that field.
    """

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise FormParserError("its Content-Type names no boundary")
        self._picture = bytearray()
        self._name = self._value = self._disposition = b""
        self._found = self._wanted = False
        self._parser = MultipartParser(boundary, {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
        })

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def picture(self) -> bytes:
        self._parser.finalize()
        return bytes(self._picture)

    def _begin(self) -> None:
        self._disposition, self._wanted = b"", False

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._wanted = options.get(b"name") == FIELD.encode()
        if self._wanted and self._found:
            raise FormParserError(f"it has more than one field {FIELD!r}; one is allowed")
        self._found |= self._wanted

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._picture += data[start:end]
