"""Clocks of containers that start over, leap, or only seem to."""

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.media.continuity import Continuity

BASE = Fraction(1, 1000)
PICTURE, SOUND = 40, 20  # ticks that packets last
VIDEO, AUDIO = 0, 1


@pytest.fixture(scope="module")
def streams() -> Any:
    container = av.open(io.BytesIO(), "w", format="matroska")
    return [container.add_stream("mpeg4", rate=25), container.add_stream("mp2", rate=48_000)]


def _moved(streams: Any, stamps: Iterable[tuple[int, int]], *, broadcast: bool = True) -> tuple[list[int], int]:
    """Return the times of packets (stream, ticks) in this order, moved, and how often the clock leapt."""
    continuity = Continuity(broadcast=broadcast)
    times = []
    for index, ticks in stamps:
        packet = av.Packet(b"x")
        packet.stream = streams[index]
        packet.time_base = BASE
        packet.pts = packet.dts = ticks
        packet.duration = (PICTURE, SOUND)[index]
        continuity.move(packet)
        assert packet.pts == packet.dts
        times.append(int(packet.pts or 0))
    return times, continuity.leaps


def _part(start: int, pictures: int = 10) -> list[tuple[int, int]]:
    """Return a second or so of both streams, interleaved."""
    video = [(VIDEO, start + PICTURE * n) for n in range(pictures)]
    audio = [(AUDIO, start + SOUND * n) for n in range(pictures * PICTURE // SOUND)]
    return sorted(video + audio, key=lambda stamp: (stamp[1], stamp[0]))


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=50), st.integers(-5000, 5000))
def test_one_clock_stays_as_it_is(streams, steps: list[int], start: int) -> None:
    stamps = [(VIDEO, start + sum(steps[:n])) for n in range(len(steps))]
    assert _moved(streams, stamps) == ([ticks for _, ticks in stamps], 0)


@pytest.mark.parametrize("second", [0, 17, -40_000, 33_000, 95_443_717])
def test_a_second_part_follows_the_first_wherever_its_clock_starts(streams, second: int) -> None:
    times, leaps = _moved(streams, [*_part(1400), *_part(second)])
    one = [ticks for _, ticks in _part(1400)]
    assert times == one + [ticks - 1400 + 1400 + 400 for ticks in one]
    assert leaps == 1


def test_sound_of_the_first_part_may_come_behind_pictures_of_the_second(streams) -> None:
    first, second = _part(1400), _part(1400)
    late = first.pop()
    times, leaps = _moved(streams, [*first, second[0], late, *second[1:]])
    assert leaps == 1
    assert times[len(first)] == 1800
    assert times[len(first) + 1] == late[1]
    assert times[len(first) + 2 :] == [ticks + 400 for _, ticks in second[1:]]


def test_a_part_starts_when_all_of_the_one_before_has_ended(streams) -> None:
    longer = [*_part(0), *((AUDIO, 400 + SOUND * n) for n in range(100))]
    times, _ = _moved(streams, [*longer, *_part(0)])
    assert min(times[len(longer) :]) == 2400


def test_a_picture_that_stands_while_sound_goes_on_is_no_leap(streams) -> None:
    stamps = [(VIDEO, 0), *((AUDIO, SOUND * n) for n in range(4500)), (VIDEO, 90_000)]
    assert _moved(streams, stamps)[1] == 0
    assert _moved(streams, stamps, broadcast=False)[1] == 0


@pytest.mark.parametrize(
    ("gap", "broadcast", "leaps"),
    [(90, False, 0), (3500, False, 0), (4 * 3600, False, 1), (90, True, 0), (130, True, 1)],
)
def test_how_long_a_lonely_picture_may_stand(streams, gap: int, broadcast: bool, leaps: int) -> None:
    times, found = _moved(streams, [(VIDEO, 0), (VIDEO, 40), (VIDEO, gap * 1000)], broadcast=broadcast)
    assert found == leaps
    assert times[-1] == (80 if leaps else gap * 1000)


def test_both_streams_of_a_broadcast_that_leap_are_joined(streams) -> None:
    times, leaps = _moved(streams, [*_part(0), *_part(26_000)])
    assert leaps == 1
    assert times[-1] < 1000


def test_packets_without_times_stay_without(streams) -> None:
    packet = av.Packet(b"x")
    packet.stream = streams[VIDEO]
    Continuity(broadcast=True).move(packet)
    assert packet.pts is None
    assert packet.dts is None
