"""Pictures that are converted when somebody looks: once, by whoever comes first, and right."""

import threading
import time

import films
import numpy as np
import pytest

from alpr_edge.watch.config import HardwareDecoding
from alpr_edge.watch.picture import Picture

pytest.importorskip("av")


def decoded(path):
    """An open decoder of a small video and its pictures, not converted."""
    from alpr_edge.watch.decoder import Decoder

    decoder = Decoder(str(path), str(path), hwaccel=HardwareDecoding.NONE, live=True)
    return decoder, [
        picture for packet in decoder.packets() for picture in decoder.decode(packet)
    ]


def test_an_array_is_the_picture():
    image = np.zeros((2, 3, 3), np.uint8)
    assert Picture(image).image is image and Picture(image).luma is None


def test_it_is_made_once_by_whoever_asks_first_and_then_holds_nothing_else():
    made = []

    def make():
        time.sleep(0.05)
        made.append(np.zeros((2, 3, 3), np.uint8))
        return made[-1]

    picture = Picture.later(make, np.zeros((2, 3), np.uint8))
    assert picture.luma is not None and not made
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(picture.image)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and all(image is made[0] for image in seen) and len(seen) == 4
    assert picture.luma is None


def test_what_cannot_be_converted_fails_each_time_it_is_asked_for():
    def make():
        raise ValueError("no")

    picture = Picture.later(make, None)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            _ = picture.image


def test_later_is_the_same_picture_also_after_the_decoder_has_closed(tmp_path):
    decoder, pictures = decoded(films.write(tmp_path / "a.mp4", 4))
    now = [decoder.convert(picture) for picture in pictures]
    later = [decoder.later(picture) for picture in pictures]
    assert later[0].luma is None, "the first of a kind is converted at once"
    assert [picture.luma.shape for picture in later[1:]] == [(120, 160)] * 3
    luma = later[2].luma
    grey = now[2][:, :60].astype(float).mean() * 219 / 255 + 16
    assert luma[:, :60].mean() == pytest.approx(grey, abs=2)
    del pictures
    decoder.close()
    for early, late in zip(now, later, strict=True):
        assert np.array_equal(early, late.image)


def test_a_width_that_is_no_multiple_of_a_line_leaves_its_rest_out(tmp_path):
    decoder, pictures = decoded(films.write(tmp_path / "b.mp4", 2, width=150, height=98))
    decoder.later(pictures[0])
    later = decoder.later(pictures[1])
    assert later.luma.shape == (98, 150)
    assert np.array_equal(later.luma, pictures[1].to_ndarray()[:98])  # yuv420p: brightness first
