"""POST /v1/read: what is read, what is refused, and that nothing brings it down."""

from __future__ import annotations

import asyncio
import resource
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator

import cv2
import numpy as np
import pytest
from serve_client import Client, refused
from serve_fakes import FakeWatch, jpeg

from alpr_edge.images import decode_image
from alpr_edge.serve import answers, reading
from alpr_edge.serve.app import create_app
from alpr_edge.serve.picture_size import picture_size
from alpr_edge.watch.config import ServeConfig

READ = "/v1/read"
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
JPEG = jpeg(PICTURE)
PNG = cv2.imencode(".png", PICTURE)[1].tobytes()
CONFIG = ServeConfig(max_body_mb=0.2, max_megapixels=1.0, timeout=5.0, concurrency=2)


@pytest.fixture
def watch() -> FakeWatch:
    return FakeWatch()


@pytest.fixture
def client(watch):
    with Client(create_app(watch, CONFIG)) as client:
        yield client


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int, *between: bytes) -> bytes:
    """A PNG of zeros, a thousandth of its pixels' size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height), 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + rows + chunk(b"IEND", b"")


def larger_inside(kind: str) -> bytes:
    """A file whose header claims 10 x 10 pixels and whose picture has 3000 x 3000."""
    if kind == "png":
        frame = struct.pack(">IIIIIHHBB", 0, 3000, 3000, 0, 0, 1, 10, 0, 0)
        return bomb(10, 10, chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", frame))
    whole = cv2.imencode(".webp", np.zeros((3000, 3000, 3), np.uint8))[1].tobytes()
    extended = b"VP8X" + struct.pack("<IIHBHB", 10, 0, 9, 0, 9, 0) + whole[12:]
    return b"RIFF" + struct.pack("<I", len(extended) + 4) + b"WEBP" + extended


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("form", [False, True])
def test_reads_a_picture_as_body_or_form(client, watch, suffix, form):
    data = cv2.imencode(f".{suffix}", PICTURE)[1].tobytes()
    sent = {"files": {"image": ("皖.bin", data)}} if form else {"content": data}
    record = client.post(READ, **sent).raise_for_status().json()
    assert record.keys() == {"schema", "width", "height", "plates", "ms"}
    assert (record["width"], record["height"]) == (60, 40)
    assert record["plates"][0]["text"] == "WOB AB 12"
    assert answers.Reading.model_validate(record).model_dump(mode="json", by_alias=True) == record
    assert watch.pictures[0].shape == PICTURE.shape
    if suffix in ("png", "bmp"):
        np.testing.assert_array_equal(watch.pictures[0], PICTURE)


@pytest.mark.parametrize("suffix, options", [
    ("jpg", ()), ("jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)), ("png", ()), ("bmp", ()),
    ("webp", (cv2.IMWRITE_WEBP_QUALITY, 50)), ("webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (511, 3)])
def test_size_is_read_from_the_header(suffix, options, shape):
    data = cv2.imencode(f".{suffix}", np.zeros((*shape, 3), np.uint8), options)[1].tobytes()
    assert picture_size(data) == shape[::-1]


def test_what_follows_the_end_of_a_jpeg_does_not_count(client):
    """Phones append a film to a picture, in which any two bytes may stand."""
    moving = JPEG + b"\xff\xda" * 101 + b"\xff\xc0\0\x11\x08"
    assert client.post(READ, content=moving).status_code == 200


@pytest.mark.parametrize("marker, count", [(0xDA, 101), (0xFE, 1001)])
def test_too_many_scans_or_segments_are_refused(marker, count):
    segment = bytes((0xFF, marker, 0, 2))
    with pytest.raises(ValueError, match="more than 100 scans or 1000 segments"):
        picture_size(JPEG[:-2] + segment * count + JPEG[-2:])


def test_size_of_an_extended_webp_and_an_old_bmp():
    webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\x3f\x01\0\xef\0\0"
    assert picture_size(webp) == (320, 240)
    assert picture_size(b"BM" + bytes(12) + struct.pack("<IHH", 12, 320, 240)) == (320, 240)
    upside_down = b"BM" + bytes(12) + struct.pack("<Iii", 40, 320, -240)
    assert picture_size(upside_down) == (320, 240)


REFUSED = [
    (b"", 422, "no_picture"),
    (b"hello " * 99, 415, "unknown_kind"),
    (b"GIF89a" + bytes(99), 415, "unknown_kind"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unknown_kind"),
    (JPEG[:100], 422, "damaged_picture"),
    (JPEG[:-9], 422, "damaged_picture"),
    (PNG[:60], 422, "damaged_picture"),
    (b"\xff\xd8\xff\xd9", 422, "damaged_picture"),
    (b"\xff\xd8\xff" + b"\xe0\x00\x02\xff" * 40_000, 422, "damaged_picture"),
    (b"BM", 422, "damaged_picture"),
    (b"RIFF\0\0\0\0WEBPnone", 422, "damaged_picture"),
    (JPEG[:-2] + b"\xff\xda" * 101 + JPEG[-2:], 422, "damaged_picture"),
    (bytes(200_001), 413, "too_long"),
    (bomb(20_000, 5_000), 413, "too_many_pixels"),
    (bomb(20_000, 5_000)[:40], 413, "too_many_pixels"),
]


@pytest.mark.parametrize("form", [False, True])
def test_refuses(client, watch, form):
    for data, status, code in REFUSED:
        if form and code == "too_long":
            data += bytes(100_000)  # a form may be a little longer than its picture
        sent = {"files": {"image": ("a.jpg", data)}} if form else {"content": data}
        refused(client.post(READ, **sent), status, code)
    assert not watch.pictures


def test_a_run_of_fill_bytes_is_refused_at_once():
    began = time.perf_counter()
    with pytest.raises(ValueError, match="no frame header"):
        picture_size(b"\xff\xd8" + b"\xff" * 70_000)
    assert time.perf_counter() - began < 1


def test_decoding_counts_as_loading(client, monkeypatch):
    def slow(*arguments):
        time.sleep(0.05)
        return decode_image(*arguments)

    monkeypatch.setattr(reading, "decode_image", slow)
    ms = client.post(READ, content=JPEG).raise_for_status().json()["ms"]
    assert ms["load"] > 50 and ms["total"] > ms["load"] + ms["detect"]


def test_two_pictures_in_a_form_are_refused(client, watch):
    for first in (JPEG, b""):
        answer = client.post(READ, files=[("image", ("a", first)), ("image", ("b", JPEG))])
        body = refused(answer, 400, "broken_form")
        assert "more than one field 'image'; one is allowed" in body["error"]
    assert not watch.pictures


REFUSED_FORMS = [
    ("multipart/form-data", b"x", 400, "broken_form"),
    ("multipart/form-data; boundary=x", b"nothing of the kind", 400, "broken_form"),
    ("multipart/form-data; boundary=" + "x" * 999, b"--x", 400, "broken_form"),
    ("multipart/form-data; boundary=x", b"--x--\r\n", 422, "no_picture"),
    ("multipart/form-data; boundary=x; charset=punycode", b"--x--\r\n", 422, "no_picture"),
    ("multipart/form-data; boundary=x",
     b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n', 422,
     "no_picture"),
    ("multipart/form-data; boundary=x",
     b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", 422, "no_picture"),
    ("multipart/form-data; boundary=x",
     b"--x\r\nA: " + b"b" * 9999 + b"\r\n\r\n1\r\n--x--\r\n", 400, "broken_form"),
]


def test_refuses_forms(client):
    for kind, body, status, code in REFUSED_FORMS:
        answer = client.post(READ, content=body, headers={"content-type": kind})
        refused(answer, status, code)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_header_that_lies_is_found_out(client, watch, kind):
    data = larger_inside(kind)
    assert picture_size(data) == (10, 10)
    refused(client.post(READ, content=data), 422, "damaged_picture")
    assert not watch.pictures


def test_path_or_address_is_no_picture(client, watch):
    for text in (b"/etc/passwd", b"http://localhost/a.jpg", b"file:///etc/passwd"):
        refused(client.post(READ, content=text), 415, "unknown_kind")
    sent = {"params": {"url": "http://localhost", "path": "/etc"}, "content": JPEG}
    body = refused(client.post(READ, **sent), 422, "invalid_parameter")
    assert body["error"] == "path, url: unknown" and "known here: none" in body["remedy"]
    assert not watch.pictures


def test_endless_body_is_cut_off_as_it_streams(client):
    sent = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(10_000)

    refused(client.post(READ, content=endless()), 413, "too_long")
    assert len(sent) < 25


def test_no_more_than_so_many_at_a_time(monkeypatch):
    monkeypatch.setattr(reading, "WAITING", 1)
    watch = FakeWatch()
    watch.seconds = 0.3
    most = []
    read = watch.read

    def counted(image, timeout):
        most.append(sum(thread.name.startswith("serve-read") for thread in threading.enumerate()))
        return read(image, timeout)

    watch.read = counted

    async def work(client):
        return await asyncio.gather(*(client.post(READ, content=JPEG) for _ in range(8)))

    with Client(create_app(watch, CONFIG)) as client:
        answers = client.run(work)
    busy = [answer for answer in answers if answer.status_code == 503]
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 5
    assert max(most) <= CONFIG.concurrency
    for answer in busy:
        refused(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1


def test_too_late_is_a_timeout_and_frees_its_place():
    watch = FakeWatch()
    watch.seconds = 9.0
    with Client(create_app(watch, ServeConfig(timeout=0.2, concurrency=1))) as client:
        refused(client.post(READ, content=JPEG), 504, "timeout")
        watch.seconds = 0.0
        assert client.post(READ, content=JPEG).status_code == 200


def test_busy_tells_how_many_wait_when_it_is_told():
    watch = FakeWatch()
    watch.read = lambda image, timeout: time.sleep(1)

    async def work(client):
        return await asyncio.gather(*(client.post(READ, content=JPEG) for _ in range(4)))

    with Client(create_app(watch, ServeConfig(timeout=0.3, concurrency=1))) as client:
        _, second, *_ = client.run(work)
    body = refused(second, 503, "busy")
    assert body["error"] == "1 pictures are being read and 2 wait"


def test_slow_sender_is_sent_away():
    async def slowly() -> AsyncIterator[bytes]:
        while True:
            yield b"\xff"
            await asyncio.sleep(0.02)

    with Client(create_app(FakeWatch(), ServeConfig(timeout=0.2, concurrency=1))) as client:
        refused(client.post(READ, content=slowly()), 408, "too_slow")
        assert client.post(READ, content=JPEG).status_code == 200


KINDS = ("image/jpeg", "image/png", "text/plain", "multipart/form-data; boundary=x",
         "application/json", "", "multipart/form-data", "image/jpeg; charset=\xff")


def mutations(count: int) -> Iterator[tuple[bytes, str]]:
    """Bodies and content types made from a seed: damaged, cut, longer, foreign, bombs."""
    rng = np.random.default_rng(6)
    encoded = [cv2.imencode(*how)[1].tobytes() for how in (
        (".jpg", PICTURE), (".png", PICTURE), (".webp", PICTURE), (".bmp", PICTURE),
        (".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    )]
    bombs = [bomb(*size) for size in ((900, 900), (1001, 1000), (30_000, 900), (1, 30_000))]
    for number in range(count):
        data = bytearray(encoded[number % len(encoded)])
        place = int(rng.integers(len(data)))
        match number % 7:
            case 0 | 1 | 2:
                for at in rng.integers(0, len(data), rng.integers(1, 30)):
                    data[at] = rng.integers(256)
            case 3:
                del data[place:]
            case 4:
                data[place:place] = rng.bytes(rng.integers(1, 5000))
            case 5:
                data = bytearray(rng.bytes(rng.integers(5000)))
            case 6:
                data = bytearray(bombs[number % len(bombs)])
        yield bytes(data), KINDS[rng.integers(len(KINDS))]


@pytest.mark.parametrize("form", [False, True])
def test_500_fuzzed_uploads_do_no_harm(client, watch, form):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = set()
    for data, kind in mutations(250):
        if form:
            answer = client.post(READ, files={"image": ("a", data, kind.replace("\xff", ""))})
        else:
            answer = client.post(
                READ, content=data, headers={"content-type": kind.encode("latin-1")}
            )
        seen.add(answer.status_code)
        if answer.status_code != 200:
            refused(answer, answer.status_code, answer.json()["code"])
    assert seen <= {200, 400, 413, 415, 422} and {200, 413, 415, 422} <= seen
    assert all(image.size <= 3e6 * CONFIG.max_megapixels for image in watch.pictures)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 150 * 1024, f"{grown} KiB more"
