"""The motion gate: nothing that moves is missed, nothing still is looked at."""

import time

import numpy as np
import pytest

from alpr_edge.watch.motion import HOLD, REFRESH, MotionGate, thumbnail
from alpr_edge.watch.picture import Picture
from alpr_edge.watch.types import Frame


def frame(image: np.ndarray, moment: float, small: np.ndarray | None = None) -> Frame:
    return Frame(camera="gate", number=0, time=moment, arrived=0.0, picture=Picture(image),
                 small=None if small is None else Picture(small))


def scene(seed: int = 0, noise: float = 0.0, height: int = 1080, width: int = 1920) -> np.ndarray:
    """A grey road with the noise of a camera."""
    random = np.random.default_rng(seed)
    return np.clip(100 + random.normal(0, noise, (height, width, 3)), 0, 255).astype(np.uint8)


def settled(gate: MotionGate, image: np.ndarray, until: float = 2.0) -> float:
    """Show a still scene; the time of the last frame, in which nothing was to be looked at."""
    moments = np.arange(0, until, 0.1)
    passed = [gate.passes(frame(image, moment)) for moment in moments]
    assert passed[0] and not passed[-1]
    return float(moments[-1])


def test_thumbnail_is_the_blocks_mean():
    image = np.zeros((32, 1920, 3), np.uint8)
    image[:8, :8] = 80
    image[8:16, 8:12] = 80  # half of the second block of the second row
    small = thumbnail(Picture(image))
    assert small.shape == (4, 240)
    assert small[0, 0] == 80 and small[1, 1] == 40 and small.sum() == 120


def test_thumbnail_of_brightness_makes_no_picture():
    luma = np.full((1080, 1920), 7, np.uint8)
    luma[8:16, 16:24] = 90
    small = thumbnail(Picture.later(lambda: pytest.fail("converted"), luma))
    assert small.shape == (135, 240) and small[1, 2] == 90 and small.sum() == 7 * 135 * 240 + 83


@pytest.mark.parametrize(("width", "columns"), [(1920, 240), (1280, 320), (640, 320), (320, 160)])
def test_blocks_a_row(width, columns):
    assert thumbnail(Picture(np.zeros((90, width, 3), np.uint8))).shape[1] == columns


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (360, 640), (2160, 3840), (99, 1)])
def test_any_size(shape):
    assert thumbnail(Picture(np.full((*shape, 3), 7, np.uint8))).max() == 7


def test_a_still_noisy_scene_is_looked_at_every_few_seconds_only():
    gate = MotionGate()
    images = [scene(seed, noise=6) for seed in range(3)]
    moments = np.arange(0, 10, 0.1)
    passed = [m for i, m in enumerate(moments) if gate.passes(frame(images[i % 3], m))]
    later = [m for m in passed if m >= HOLD]
    assert [m for m in passed if m < HOLD] == pytest.approx(np.arange(0, HOLD, 0.1))
    assert 2 <= len(later) <= (10 - HOLD) / REFRESH + 1


def test_a_small_far_plate_is_seen_where_ever_it_is():
    for left, top in ((4, 4), (960, 541), (1890, 1065)):
        gate = MotionGate()
        now = settled(gate, scene())
        image = scene()
        image[top : top + 8, left : left + 24] = 160
        assert gate.passes(frame(image, now + 0.1))


def test_it_stays_awake_for_a_while_after_the_last_motion():
    gate = MotionGate()
    now = settled(gate, scene())
    moved = scene()
    moved[500:600, 500:600] = 200
    assert gate.passes(frame(moved, now + 0.1))
    assert gate.passes(frame(scene(), now + 0.1 + HOLD / 2))


def test_what_stays_becomes_background():
    gate = MotionGate()
    now = settled(gate, scene())
    parked = scene()
    parked[500:600, 500:600] = 160
    passed = [gate.passes(frame(parked, now + step / 10)) for step in range(1, 200)]
    assert all(passed[:50]) and sum(passed[100:]) <= 10 / REFRESH + 1


def test_a_clock_that_jumps_only_costs_a_look():
    gate = MotionGate()
    now = settled(gate, scene())
    assert gate.passes(frame(scene(), now - 5000))
    assert not gate.passes(frame(scene(), now - 4999.9))
    assert gate.passes(frame(scene(), now + 5000))
    assert not gate.passes(frame(scene(), now + 5000.1))


def test_it_looks_at_the_smaller_stream_where_there_is_one():
    gate = MotionGate()
    small = scene(height=360, width=640)
    assert gate.passes(frame(scene(), 0.0, small))
    other = scene()
    other[:] = 200  # what only the large one shows does not count
    assert not gate.passes(frame(other, HOLD + 0.1, small))


def test_it_is_cheap():
    gate = MotionGate()
    image = scene(noise=3)
    gate.passes(frame(image, 0.0))
    times = []
    for step in range(20):
        begin = time.thread_time()
        gate.passes(frame(image, step / 10))
        times.append(time.thread_time() - begin)
    assert min(times) < 0.005  # of the 10 ms that an idle 1080p frame may cost with its decoding
