from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import DEMO

from alpr_edge.errors import AlprEdgeError, ImageError
from alpr_edge.images import MAX_SIDE, check_image, decode_image, load_image


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth, 60 x 40, no two quadrants alike."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8)


def save(path: Path, image: np.ndarray, *options: int) -> Path:
    assert cv2.imwrite(str(path), image, list(options))
    return path


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_formats(tmp_path, picture, suffix):
    loaded = load_image(save(tmp_path / f"a.{suffix}", picture))
    assert loaded.dtype == np.uint8 and loaded.shape == picture.shape
    if suffix != "webp":
        np.testing.assert_array_equal(loaded, picture)


def test_name_may_be_chinese_and_suffix_anything(tmp_path, picture):
    path = save(tmp_path / "a.png", picture).rename(tmp_path / "皖A 车牌.dat")
    np.testing.assert_array_equal(load_image(path), picture)


def test_greyscale_becomes_three_equal_channels(tmp_path, picture):
    loaded = load_image(save(tmp_path / "a.png", picture[..., 0]))
    assert (loaded == picture[..., :1]).all()


def test_16_bits_become_8(tmp_path, picture):
    loaded = load_image(save(tmp_path / "a.png", picture.astype(np.uint16) * 257))
    np.testing.assert_allclose(loaded, picture, atol=1)


TEXT, BINARY = 2, 5


@pytest.mark.parametrize("white", [7, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("colour", [False, True])
def test_white_of_a_portable_anymap_is_white(kind, white, colour):
    shares = np.linspace(0, 1, 12).reshape(2, 6)[..., None].repeat(3 if colour else 1, axis=2)
    shares[..., -1] = shares[::-1, :, -1]  # the order of colours shows
    values = np.rint(shares * white).astype(int)
    header = f"P{kind + colour} # 9 9 9\n6 2\n#1\n{white}\n"
    if kind == TEXT:
        pixels = " ".join(map(str, values.ravel())).encode() + b"\n"
    else:
        pixels = values.astype(np.uint8 if white < 256 else ">u2").tobytes()
    loaded = decode_image(header.encode() + pixels, "a")
    assert loaded.dtype == np.uint8 and loaded.shape == (2, 6, 3)
    expected = np.broadcast_to(values / white * 255, (2, 6, 3))[..., ::-1]
    np.testing.assert_allclose(loaded, expected, atol=1)


def test_alpha_is_dropped(tmp_path, picture):
    alpha = np.dstack([picture, np.full(picture.shape[:2], 9, np.uint8)])
    np.testing.assert_array_equal(load_image(save(tmp_path / "a.png", alpha)), picture)


def test_exif_turns_the_picture_upright(tmp_path, picture):
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    path = tmp_path / "a.jpg"
    path.write_bytes(with_orientation(jpeg, 6))  # 6: turn by 90 degrees clockwise
    np.testing.assert_allclose(load_image(path), np.rot90(picture, -1), atol=12)


def test_pixels_of_another_kind_are_an_error_and_never_black(tmp_path, picture):
    file = tmp_path / "a.pfm"
    cv2.imwrite(str(file), picture.astype(np.float32) / 255)
    with pytest.raises(ImageError, match="its pixels are floating-point .*; save it with 8 bits"):
        load_image(file)
    with pytest.raises(ImageError, match="a PAM file; save it as PNG or PPM"):
        decode_image(b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\nx", "a.pam")


def test_one_pixel(tmp_path):
    image = np.full((1, 1, 3), 7, np.uint8)
    np.testing.assert_array_equal(load_image(save(tmp_path / "a.png", image)), image)


def test_100_megapixels(tmp_path):
    path = save(tmp_path / "a.jpg", np.zeros((10_000, 10_000), np.uint8))
    assert load_image(path).shape == (10_000, 10_000, 3)


@pytest.mark.parametrize("suffix, options", [
    ("jpg", ()), ("jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)), ("png", ()), ("webp", ()), ("bmp", ()),
    ("tiff", ()),
])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_truncated_is_an_error_and_never_grey(tmp_path, suffix, options, share):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise, *options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"a\.\w+: (the file is cut|begins like|is no)"):
        load_image(path)


def test_jpeg_padded_with_zeros_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    path = save(tmp_path / "a.jpg", noise)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data)))
    with pytest.raises(ImageError, match="cut short"):
        load_image(path)


def test_thumbnail_does_not_pass_for_the_picture(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", image[:20, :20])[1].tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    data = data[:2] + segment + data[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(data + b"a camera's own trailer")
    assert load_image(path).shape == image.shape
    path.write_bytes(data[:-100])
    with pytest.raises(ImageError, match="cut short"):
        load_image(path)


@pytest.mark.parametrize("content, message", [
    (b"", r"empty \(0 bytes\)"),
    (b"this is a text\n" * 50, "is no picture"),
    (b"\xff\xd8\xff", "cut short: 3 bytes"),
    (b"\0\0\0\x20ftypisom" + bytes(90), "is a video; alpr-edge watch reads those"),
    (png_of_size(40_000, 40_000), "too large; at most 268 megapixels"),
    (png_of_size(10, 10), "cut short, damaged"),
])
def test_what_is_no_picture(tmp_path, content, message):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message):
        load_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_damaged_bytes_give_a_picture_or_an_image_error(tmp_path, picture, suffix):
    """Anything else (a crash, another exception) would stop a run over many pictures."""
    rng = np.random.default_rng(0)
    path = tmp_path / f"a.{suffix}"
    whole = np.frombuffer(cv2.imencode(f".{suffix}", picture)[1].tobytes(), np.uint8)
    for _ in range(40):
        damaged = whole.copy()
        damaged[rng.integers(40, len(whole), 8)] = rng.integers(0, 256, 8)  # the size is before 40
        path.write_bytes(damaged.tobytes())
        try:
            loaded = load_image(path)
        except ImageError:
            continue
        assert loaded.dtype == np.uint8 and loaded.ndim == 3


def written(suffix: str, *options: int) -> bytes:
    """A picture of 1280 x 720 as a file of this kind."""
    image = cv2.imread(str(DEMO / "eu.jpg"))
    return cv2.imencode(suffix, image, options)[1].tobytes()


KINDS = {
    "jpeg": written(".jpg"), "optimized": written(".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "progressive": written(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": written(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 8),
    "webp": written(".webp", cv2.IMWRITE_WEBP_QUALITY, 90), "lossless": written(".webp"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read(kind):
    assert decode_image(KINDS[kind], kind).shape == (720, 1280, 3)


@pytest.mark.parametrize("kind", ["jpeg", "restarts", "webp", "lossless"])
def test_a_sector_that_a_disk_lost_is_told(kind):
    data = KINDS[kind]
    at = len(data) // 2 // 4096 * 4096
    with pytest.raises(ImageError, match=f"damaged: nothing but zeros from byte {at}"):
        decode_image(data[:at] + bytes(4096) + data[at + 4096 :], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_was_not_finished_is_told(kind):
    data = KINDS[kind]
    with pytest.raises(ImageError, match="the file is (damaged|cut short)"):
        decode_image(data[: len(data) // 2] + bytes(len(data) - len(data) // 2), kind)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.endswith(("webp", "less"))])
def test_a_sector_of_other_data_is_told(kind):
    data, other = KINDS[kind], np.random.default_rng(0).bytes(4096)
    at = len(data) // 2
    with pytest.raises(ImageError, match=r"damaged at byte \d+"):
        decode_image(data[:at] + other + data[at + 4096 :], kind)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
@pytest.mark.parametrize("grey", [0, 77, 255])
def test_an_even_picture_is_no_damaged_one(suffix, grey):
    options = {".jpg": [cv2.IMWRITE_JPEG_OPTIMIZE, 1], ".webp": [cv2.IMWRITE_WEBP_QUALITY, 80]}
    image = np.full((2160, 3840, 3), grey, np.uint8)
    data = cv2.imencode(suffix, image, options.get(suffix, []))[1].tobytes()
    assert decode_image(data, suffix).shape == image.shape


def test_missing_and_folder(tmp_path):
    with pytest.raises(ImageError, match="^rtsp://cam/1: of cameras .*, alpr-edge watch reads$"):
        load_image("rtsp://cam/1")
    with pytest.raises(ImageError, match="no such file"):
        load_image(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)


def test_too_long_a_side_says_why(tmp_path):
    with pytest.raises(ImageError, match=f"no side may exceed {MAX_SIDE}"):
        load_image(save(tmp_path / "a.png", np.zeros((1, MAX_SIDE + 1, 3), np.uint8)))


@pytest.mark.parametrize("image, message", [
    (None, "NoneType.*needed: a numpy array"),
    ([[1, 2, 3]], "list"),
    (np.zeros((4, 5), np.uint8), "COLOR_GRAY2BGR"),
    (np.zeros((4, 5, 1), np.uint8), "COLOR_GRAY2BGR"),
    (np.zeros((4, 5, 4), np.uint8), "COLOR_BGRA2BGR"),
    (np.zeros((2, 4, 5, 3), np.uint8), "predict_batch"),
    (np.zeros((3, 4, 5), np.uint8), "one picture"),
    (np.zeros((4, 5, 3), np.float32), r"float32.*\(frame \* 255\).* of 0..1"),
    (np.zeros((4, 5, 3), np.uint16), r"uint16.*\(frame >> 8\).* >> 2 of a camera's 10"),
    (np.zeros((4, 5, 3), bool), "bool.*convert it to 0..255 in uint8"),
    (np.zeros((0, 5, 3), np.uint8), "at least 1 x 1"),
])
def test_wrong_arrays_name_the_remedy(image, message):
    with pytest.raises(ImageError, match=message) as caught:
        check_image(image)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, AlprEdgeError)


def test_right_array_passes_strided_or_not(picture):
    assert check_image(picture) is picture
    np.testing.assert_array_equal(check_image(picture[::-1, :, ::-1]), picture[::-1, :, ::-1])
