"""One event a vehicle: hidden, lost, parked, crossing, badly read, through jumps of the clock."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from passing import BEGIN, driving, ended, frame_at, new_tracker, run, seen_plate

from alpr_edge.errors import UsageError
from alpr_edge.watch.association import affinity, associate, likeness
from alpr_edge.watch.config import KnownPlate, PlatesConfig, TrackingConfig
from alpr_edge.watch.track import Place, Track
from alpr_edge.watch.tracker import PATIENCE, Tracker
from alpr_edge.watch.types import Access, Direction


def across(number: int) -> float:
    return 300.0 + 40 * number


def test_announced_as_soon_as_two_reads_agree_and_once_more_when_gone():
    tracker = new_tracker()
    assert run(tracker, driving("AB123CD", 1, across)) == []
    [first] = run(tracker, [[seen_plate("AB123CD", across(1))]], first=1)
    assert (first.text, first.final, first.reads, first.agreeing) == ("AB123CD", False, 2, 2)
    assert run(tracker, driving("AB123CD", 10, lambda n: across(n + 2)), first=2) == []
    [last] = run(tracker, [[]] * 12, first=12)
    assert (last.id, last.final, last.reads) == (first.id, True, 12)
    assert (last.first_seen, last.last_seen) == pytest.approx((BEGIN, BEGIN + 1.1))
    assert last.direction is Direction.RIGHT
    assert last.key != first.key
    assert ended(tracker) == []


def test_what_is_in_view_at_the_end_is_told_as_gone():
    tracker = new_tracker()
    run(tracker, driving("AB123CD", 5, across))
    assert [event.final for event in ended(tracker)] == [True]
    assert ended(tracker) == []


def test_a_single_read_and_reads_that_never_agree_are_no_event():
    tracker = new_tracker()
    noise = ["XK12", "7QQ1A", "LL9", "PRT55", "0", "AAB2C", "ZZ99", "19"]
    assert run(tracker, [[seen_plate(text, 700.0)] for text in noise]) == []
    assert ended(tracker) == []
    assert run(tracker, [[seen_plate("AB123CD", 200.0)]], first=20) == []
    assert ended(tracker) == []


def test_min_reads_is_followed():
    tracker = new_tracker(min_reads=4)
    assert run(tracker, driving("AB123CD", 3, across)) == []
    assert len(run(tracker, [[seen_plate("AB123CD", across(3))]], first=3)) == 1


def test_one_read_is_enough_of_a_picture_that_has_nothing_to_do_with_others():
    tracker = new_tracker()
    picture = dataclasses.replace(frame_at(0), file="a.jpg")
    [told] = tracker.update(picture, [seen_plate("AB123CD", 300)])
    assert told.event.reads == 1
    tracker.flush()
    tracker.forget()
    assert tracker.update(frame_at(1), [seen_plate("XY987ZW", 300)]) == []


def test_unsure_reads_wait_but_not_for_ever():
    tracker = new_tracker()
    unsure = [[seen_plate("AB123CD", 500.0, confidence=0.35)] for _ in range(2)]
    assert run(tracker, unsure) == []
    late = round(PATIENCE * 10) + 1
    [event] = run(tracker, [unsure[0]] * (late - 1), first=2)
    assert event.confidence == pytest.approx(0.35, abs=0.01)  # nothing moved: as one read


def test_min_confidence_of_an_event():
    tracker = new_tracker(min_confidence=0.9999)
    assert run(tracker, [[seen_plate("AB123CD", 500.0, confidence=0.31)]] * 30) == []
    assert ended(tracker) == []


def test_a_wrong_first_read_is_put_right_by_the_vote():
    tracker = new_tracker()
    texts = ["AB128CD"] + ["AB123CD"] * 4
    run(tracker, [[seen_plate(text, across(n))] for n, text in enumerate(texts)])
    [last] = ended(tracker)
    assert (last.text, last.reads, last.agreeing) == ("AB123CD", 5, 4)


def test_hidden_for_a_moment_is_the_same_vehicle():
    tracker = new_tracker()
    first = run(tracker, driving("AB123CD", 5, across))
    assert run(tracker, [[]] * 6, first=5) == []
    assert run(tracker, driving("AB123CD", 5, lambda n: across(n + 11)), first=11) == []
    [last] = ended(tracker)
    assert last.id == first[0].id
    assert last.reads == 10


def test_hidden_longer_is_no_new_event_within_repeat_after():
    tracker = new_tracker(repeat_after=60.0)
    assert len(run(tracker, driving("AB123CD", 5, across))) == 1
    assert [event.final for event in run(tracker, [[]] * 40, first=5)] == [True]
    assert run(tracker, driving("AB123CD", 9, lambda n: 1500 - 30 * n), first=50) == []
    assert ended(tracker) == []


def test_it_is_one_again_after_repeat_after():
    tracker = new_tracker(repeat_after=5.0)
    [first, _] = run(tracker, driving("AB123CD", 5, across) + [[]] * 60)
    again = run(tracker, driving("AB123CD", 5, across), first=65)
    assert [event.final for event in again] == [False]
    assert again[0].id != first.id


def test_without_repeat_after_every_sighting_is_one():
    tracker = new_tracker(repeat_after=0.0)
    parked = [[seen_plate("AB123CD", 500.0)]] * 5 + [[]] * 20
    assert [event.final for event in run(tracker, parked * 2)] == [False, True] * 2


def test_a_lookalike_near_by_is_the_same_and_far_away_another():
    """One confusable character apart."""
    for x, events in ((560.0, 0), (1500.0, 1)):
        tracker = new_tracker(max_gap=0.5)
        run(tracker, driving("AB1O3CD", 6, lambda n: 500.0) + [[]] * 10)
        assert len(run(tracker, driving("AB103CD", 5, lambda n, x=x: x), first=16)) == events


def test_a_part_of_a_plate_near_by_is_the_same():
    for text in ("AB123", "123CD", "I23CO"):
        tracker = new_tracker(max_gap=0.5)
        run(tracker, driving("AB123CD", 6, lambda n: 500.0) + [[]] * 10)
        assert run(tracker, driving(text, 5, lambda n: 520.0), first=16) == []


def test_parked_cars_do_not_repeat():
    tracker = new_tracker(repeat_after=5.0)
    parked = seen_plate("AB123CD", 1500.0)
    passing = [seen_plate("XY987Z", across(n)) for n in range(20)]
    told = run(tracker, [[parked, plate] for plate in passing] + [[parked]] * 100)
    assert [(e.text, e.final) for e in told] == [
        ("AB123CD", False), ("XY987Z", False), ("XY987Z", True)]
    assert run(tracker, [[]] * 100, first=120)[0].direction is Direction.STILL
    assert run(tracker, [[parked]] * 10, first=220) == []  # a lorry stood before it


def test_a_stop_at_a_gate_is_no_parking():
    """Ten seconds at the barrier, every minute."""
    tracker = new_tracker(repeat_after=20.0)
    visit = driving("AB123CD", 5, across) + [[seen_plate("AB123CD", 500.0)]] * 100 + [[]] * 600
    told = run(tracker, visit * 2)
    assert [event.final for event in told] == [False, True, False, True]


def test_nothing_moves_and_nothing_is_lost():
    tracker = new_tracker(repeat_after=5.0)
    parked = seen_plate("AB123CD", 1500.0)
    run(tracker, [[parked]] * 5)
    told = [tracker.rest(frame_at(n)) for n in range(5, 500)]
    assert not any(told)
    assert run(tracker, [[parked]] * 5, first=500) == []
    [last] = ended(tracker)
    assert last.last_seen == pytest.approx(BEGIN + 50.4)


def test_a_vehicle_that_stops_before_it_is_decided_is_told_while_nothing_moves():
    tracker = new_tracker()
    assert run(tracker, [[seen_plate("AB123CD", 500.0, confidence=0.5)]] * 2) == []
    told = [s.event.text for n in range(2, 30) for s in tracker.rest(frame_at(n))]
    assert told == ["AB123CD"]


def test_later_reads_may_make_a_repeated_vehicle_another():
    tracker = new_tracker()
    run(tracker, driving("AB123CD", 5, across) + [[]] * 20)
    first = [[seen_plate("AB123CD", 500.0 + n)] for n in range(2)]
    later = [[seen_plate("AB129CX", 502.0 + 20 * n, confidence=0.99)] for n in range(12)]
    assert run(tracker, first + later, first=25) == []
    assert [(e.text, e.final) for e in ended(tracker)] == [("AB129CX", False), ("AB129CX", True)]


def test_a_vehicle_that_left_is_gone_while_nothing_moves():
    tracker = new_tracker()
    run(tracker, [*driving("AB123CD", 5, across), []])
    told = [s.event.final for n in range(6, 40) for s in tracker.rest(frame_at(n))]
    assert told == [True]


def test_what_was_forgotten_has_nothing_to_do_with_what_comes():
    tracker = new_tracker(min_reads=1)
    for number in (50, 0):  # the clock may go back
        [event] = run(tracker, driving("AB12345", 1, across), first=number)
        assert (event.text, event.reads) == ("AB12345", 1)
        assert [event.final for event in ended(tracker)] == [True]
        tracker.forget()


def test_two_vehicles_that_cross_keep_their_texts():
    """They meet in the middle of frames 7 and 8, hidden behind each other."""
    tracker = new_tracker()
    frames = []
    for n in range(16):
        left, right = 400.0 + 30 * n, 850.0 - 30 * n
        hidden = abs(left - right) < 60
        frames.append([seen_plate("AB123CD", left)] * (not hidden)
                      + [seen_plate("XY987Z", right, y=505.0)])
    told = run(tracker, frames) + ended(tracker)
    assert [(e.text, e.final) for e in told] == [
        ("AB123CD", False), ("XY987Z", False), ("AB123CD", True), ("XY987Z", True)]
    assert [e.direction for e in told[2:]] == [Direction.RIGHT, Direction.LEFT]
    assert [e.agreeing == e.reads for e in told] == [True] * 4


def test_two_vehicles_that_swap_places_between_frames_are_not_joined():
    tracker = new_tracker()
    one, two = "AB123CD", "XY987Z"
    places = [(500.0, 640.0)] * 4 + [(640.0, 500.0)] * 4
    told = run(tracker, [[seen_plate(one, a), seen_plate(two, b)] for a, b in places])
    told += ended(tracker)
    assert sorted((e.text, e.final) for e in told) == sorted(
        itertools.product((one, two), (False, True)))
    assert all(e.agreeing == e.reads for e in told)


def test_another_vehicle_at_the_same_place_is_another():
    tracker = new_tracker()
    told = run(tracker, driving("AB123CD", 5, lambda _: 500.0)
               + driving("XY987Z", 5, lambda _: 500.0))
    assert [e.text for e in told] == ["AB123CD", "XY987Z"]


def test_an_unsure_track_does_not_take_a_sure_plate():
    """A parked car, badly seen behind a pole, and a lorry that drives by close to it."""
    tracker = new_tracker()
    parked = ["721J", "62721J", "KL62721J", "KL62721J"]
    run(tracker, [[seen_plate(text, 500.0, confidence=0.55)] for text in parked])
    told = run(tracker, driving("VR55557", 4, lambda n: 510.0 + 90 * n), first=4)
    assert [event.text for event in told] == ["VR55557"]


def test_few_frames_a_second():
    """Two frames a second, 4 plate widths between them: only the text joins them."""
    tracker = new_tracker(max_gap=0.4)
    told = []
    for n in range(4):
        told += tracker.update(frame_at(n, n * 0.5), [seen_plate("AB123CD", 300.0 + 400 * n)])
    assert [s.event.text for s in told] == ["AB123CD"]
    assert [s.event.final for s in tracker.flush()] == [True]


def test_uncertain_plates_keep_a_track_but_do_not_vote_nor_begin_one():
    tracker = new_tracker()
    run(tracker, driving("AB123CD", 3, across))
    blurred = [[seen_plate("ABJ2", across(n), confidence=0.1)] for n in range(3, 20)]
    run(tracker, blurred, first=3)
    [last] = ended(tracker)
    assert (last.reads, last.last_seen) == (3, pytest.approx(BEGIN + 1.9))
    assert run(tracker, [[seen_plate("AB123CD", 700.0, confidence=0.2)]] * 9, first=30) == []


def test_plates_cut_off_by_the_edge_do_not_vote():
    tracker = new_tracker()
    cut_off = dataclasses.replace(seen_plate("B123CD", 45.0), whole=False)
    assert run(tracker, [[cut_off]] * 3) == []
    run(tracker, driving("AB123CD", 4, lambda n: 60.0 + 10 * n), first=3)
    [last] = ended(tracker)
    assert (last.text, last.reads) == ("AB123CD", 4)


@pytest.mark.parametrize(("width", "x", "expected"), [
    (lambda n: 60 * 1.1**n, lambda n: 960.0, Direction.APPROACHING),
    (lambda n: 150 / 1.1**n, lambda n: 960.0, Direction.LEAVING),
    (lambda n: 100 + n % 2, lambda n: 960.0 + n % 3, Direction.STILL),
    (lambda n: 100 * 1.02**n, lambda n: 900 - 60.0 * n, Direction.LEFT),
])
def test_direction(width, x, expected):
    tracker = new_tracker()
    run(tracker, driving("AB123CD", 10, x, width))
    assert ended(tracker)[0].direction is expected


def test_a_plate_that_the_pictures_edge_cuts_off_is_not_leaving():
    tracker = new_tracker()
    frames = driving("AB123CD", 10, lambda n: 600 - 60.0 * n)
    for width, frame in zip((70.0, 40.0), frames[-2:], strict=True):
        frame[:] = [dataclasses.replace(seen_plate("AB123CD", width / 2, width=width), whole=False)]
    run(tracker, frames)
    assert ended(tracker)[0].direction is Direction.LEFT


def test_the_best_picture_is_large_and_certain():
    tracker = new_tracker()
    for n, (width, confidence) in enumerate([(60, 0.9), (120, 0.9), (140, 0.4), (80, 0.9)]):
        tracker.update(frame_at(n), [seen_plate("AB123CD", 500.0, 500.0, width, confidence)])
    *_, sighting = tracker.flush()
    assert sighting.event.best_time == pytest.approx(BEGIN + 0.1)
    assert Place.of(sighting.quad).width == pytest.approx(120)
    assert sighting.image.shape == (1080, 1920, 3)
    assert (sighting.event.width, sighting.event.height) == (1920, 1080)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_closes_tracks_but_doubles_nothing(jump):
    tracker = new_tracker()
    parked, moving = seen_plate("AB123CD", 1500.0), driving("XY987Z", 10, across)
    told = run(tracker, [[parked, *moving[n]] for n in range(5)])
    for n in range(5, 10):
        told += [s.event for s in tracker.update(
            frame_at(n, jump + n / 10), [parked, *moving[n]])]
    told += ended(tracker)
    assert sorted((e.text, e.final) for e in told) == sorted(
        itertools.product(("AB123CD", "XY987Z"), (False, True)))


def test_a_camera_that_was_away_is_no_clock_that_jumped(caplog):
    tracker, away = new_tracker(), 3600.0
    run(tracker, driving("AB123CD", 5, across))
    told = []
    for n in range(5):
        frame = dataclasses.replace(frame_at(n, away + n / 10), arrived=away + n / 10)
        told += tracker.update(frame, driving("AB123CD", 5, across)[n])
    assert sorted(sighting.event.final for sighting in told) == [False, True]  # gone, and back
    assert "jumped" not in caplog.text


def test_a_clock_that_was_put_back_does_not_mute_a_plate_for_hours():
    tracker = new_tracker(repeat_after=10.0)
    run(tracker, driving("AB123CD", 5, across) + [[]] * 50)
    told = []
    for n in range(200):
        plates = driving("AB123CD", 200, lambda n: 300.0 + 5 * n)[n] if n > 150 else []
        told += tracker.update(frame_at(n, n / 10 - 3600), plates)
    assert [s.event.final for s in told] == [False]


def test_frames_out_of_order_by_a_little_are_no_jump():
    tracker = new_tracker()
    for n, when in enumerate((0.0, 0.1, 0.05, 0.2)):
        tracker.update(frame_at(n, when), [seen_plate("AB123CD", 500.0)])
    [sighting] = tracker.flush()
    assert sighting.event.reads == 4


def test_texts_are_those_of_the_tracks():
    tracker = new_tracker()
    run(tracker, [[seen_plate("AB123CD", 500.0)]] * 5)
    wrong, other = seen_plate("AB128CD", 500.0, confidence=0.5), seen_plate("XY987Z", 1200.0)
    tracker.update(frame_at(5), [other, wrong])
    assert tracker.texts([wrong, other]) == ("AB123CD", "XY987Z")


def test_known_plates_and_grammars_are_in_the_event():
    plates = PlatesConfig(
        grammars=("gb",), known=(KnownPlate(text="ab12 cde", access=Access.DENY, label="van"),))
    tracker = Tracker("gate", TrackingConfig(), plates, 0.3)
    reads = [[seen_plate("AB12CDE".replace("1", "I"), 500.0, confidence=0.6)] for _ in range(20)]
    [event] = run(tracker, reads)
    assert event.text == "AB12CDE"
    assert event.correction is not None
    assert (event.correction.read, event.correction.grammar) == ("ABI2CDE", "gb")
    assert event.known is not None
    assert (event.known.text, event.known.access, event.known.distance) == (
        "AB12CDE", Access.DENY, 0)


def test_unknown_grammar_is_told_at_once():
    with pytest.raises(UsageError, match="grammar 'xx' is unknown; allowed: .*de"):
        Tracker("gate", TrackingConfig(), PlatesConfig(grammars=("xx",)), 0.3)


def test_whatever_is_seen_each_event_is_told_once_and_ends_once():
    rng = np.random.default_rng(4)
    tracker, told, when = new_tracker(repeat_after=2.0), [], 0.0
    texts = ["AB123CD", "AB1Z3CD", "123CD", "XY987Z", "京A12345", ""]
    for number in range(600):
        when += float(rng.choice([0.04, 0.2, 1.5, -0.5, -500.0, 500.0],
                                 p=[0.6, 0.3, 0.08, 0.01, 0.005, 0.005]))
        plates = [
            seen_plate(str(rng.choice(texts)), *rng.uniform(0, 1900, 2), confidence=rng.random())
            for _ in range(rng.integers(4))
        ]
        look = frame_at(number, when)
        told += tracker.rest(look) if rng.random() < 0.2 else tracker.update(look, plates)
        assert len(tracker.texts(plates)) == len(plates)
    told += tracker.flush()
    keys = [sighting.event.key for sighting in told]
    assert len(keys) == len(set(keys)) > 20
    for sighting in told:
        event = sighting.event
        assert not event.final or keys.index(f"{event.id}-first") < keys.index(event.key)
        assert event.agreeing >= 2
        assert event.first_seen <= event.last_seen
        assert 0 < event.confidence <= 1


def test_memory_stays_bounded():
    tracker = new_tracker()
    rng = np.random.default_rng(0)
    letters = np.array(list("ABCDEFGHJKLMNPRSTUVWXYZ0123456789"))
    for n in range(1500):
        text = "".join(rng.choice(letters, 7)) if n % 3 else "AB123CD"
        tracker.update(frame_at(n), [seen_plate(text, 500.0, confidence=0.4)])
    assert len(tracker._tracks) < 20
    assert all(len(t.ballot._said) <= 64 for t in tracker._tracks)


def test_affinity_by_hand():
    """0.1 s later: near means 0.7 + 10 * 0.1 = 1.7 widths off without a velocity, far 5."""
    track = Track(frame_at(0), 0.0, seen_plate("AB123CD", 500.0))
    assert affinity(track, seen_plate("AB123CD", 500.0), 0.1) == pytest.approx(1 + 1 + 1)
    assert affinity(track, seen_plate("", 660.0), 0.1) == pytest.approx(0.5 + 1 - 1.6 / 5)
    assert affinity(track, seen_plate("", 680.0), 0.1) is None
    assert affinity(track, seen_plate("AB123CD", 980.0), 0.1) == pytest.approx(1 + 1 - 4.8 / 5)
    assert affinity(track, seen_plate("AB123CD", 1020.0), 0.1) is None
    assert affinity(track, seen_plate("AB123CD", 500.0, width=210.0), 0.1) is not None
    assert affinity(track, seen_plate("AB123CD", 500.0, width=220.0), 0.1) is None
    assert affinity(track, seen_plate("AB123CD", 735.0, width=145.0), 0.1) is not None
    assert affinity(track, seen_plate("AB123CD", 735.0, width=155.0), 0.1) is None
    assert likeness("AB123", "AB12") == pytest.approx(0.8)


def test_certain_plates_choose_first():
    track = Track(frame_at(0), 0.0, seen_plate("AB123CD", 500.0))
    exact = seen_plate("AB123CD", 500.0, confidence=0.1)
    certain = seen_plate("AB123CD", 540.0)
    assert associate([track], [exact, certain], 0.1, 0.3) == [(track, certain)]


def test_what_was_never_read_with_certainty_is_not_followed():
    tracker = new_tracker(min_confidence=0.3)
    car, wall = seen_plate("AB123CD", 500.0), seen_plate("EEEEE", 1200.0, confidence=0.01)
    tracker.update(frame_at(0), [car, wall])
    assert tracker.follows(car) and not tracker.follows(wall)
    assert tracker.texts([car]) == ("AB123CD",)
