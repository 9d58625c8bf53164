"""Waiting for a machine to come to rest before something is timed."""

import pytest

from optimize import capped


@pytest.mark.parametrize(("loads", "looks"), [
    ([0.3], 0),
    ([1.8, 1.2, 0.7, 0.4], 3),
    ([1.8, 1.2, 1.3, 0.1], 2),  # others work too: that is told, not waited for
    ([9 - 0.01 * number for number in range(900)], 30),
])
def test_it_waits_as_long_as_the_load_falls(monkeypatch, loads, looks):
    now, left, slept = 0.0, iter(loads), []

    def sleep(seconds):
        nonlocal now
        now += seconds
        slept.append(seconds)

    monkeypatch.setattr(capped, "load_average", lambda: next(left))
    monkeypatch.setattr(capped.time, "monotonic", lambda: now)
    monkeypatch.setattr(capped.time, "sleep", sleep)
    capped.settle()
    assert len(slept) == looks
