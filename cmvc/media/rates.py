"""Which constant rate a video is coded at.

What a container declares is right for most videos and kept where it fits their timestamps. Where it would drop
pictures, or repeat them without need (the least common multiple of two rates, a slide show at 25 frames per second),
the lowest rate at which every picture has a slot of its own, near its time, takes its place.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from cmvc.errors import LimitError
from cmvc.media.cadence import LATE_SECONDS, Seconds, most_late, slots_of

LONGEST_FRAME_SECONDS = 5  # so that a segment holds one with its sound, whatever the packets of that
_STANDARD = [Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)]
_STANDARD += [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]
_SNAP = Fraction(1, 50_000)  # 30 minutes drift by less than a frame
_LARGEST_DENOMINATOR = 1_000_000
_WORTH_IT = 1.2  # a declared rate is kept up to so many times the slots of the best
_EXACT = 2  # times the slots of the best may be worth it where nothing is off then
_NOTHING = 0.001  # seconds
_NEAR_BEST = 1.25  # of rates up to so many times the least slots, the one nearest to the times is taken
_NEAR_SLOT = 0.55  # of a slot, by which pictures may be off on average at a declared rate
_SILENT_LATE_SECONDS = 0.1  # by which pictures without sound may stand off their times at low rates
_OFF_SECONDS = 0.05  # by which the end may be off
_USUAL = Fraction(30)  # that a video reaches sooner or later
_FALLBACK = Fraction(25)


def declared_rate(
    guess: Fraction | None,
    average: Fraction | None,
    time_base: Fraction | None,
    first_duration: Fraction | None,
) -> Fraction:
    """Return the frame rate, in frames per second, that a container declares; any that is not 0 or below.

    Args:
        guess: what the demuxer makes of timestamps and declarations.
        average: frames over duration.
        time_base: unit of the timestamps in seconds.
        first_duration: of the first frame in seconds; counts where there are too few frames for an average.
    """
    rate = guess or average or _FALLBACK
    if average is None and first_duration:
        rate = 1 / first_duration
    if average and time_base == 1 / average:  # one tick per frame: the container knows no other rate
        rate = average
    if rate <= 0:
        rate = _FALLBACK
    rate = next((standard for standard in _STANDARD if abs(rate / standard - 1) < _SNAP), rate)
    return rate.limit_denominator(_LARGEST_DENOMINATOR) or Fraction(1, _LARGEST_DENOMINATOR)


def within_limits(rate: Fraction, most: int) -> Fraction:
    """Return ``rate`` divided or multiplied by a whole number, so that a stream can have it.

    Args:
        rate: in frames per second.
        most: upper bound in frames per second.
    """
    if rate > most:
        return rate / -(-rate // most)
    return rate * max(-(-1 // (LONGEST_FRAME_SECONDS * rate)), 1)


def fitting_rate(
    times: Seconds, end: float, declared: Fraction, most: int, *, has_sound: bool, whole: bool = True
) -> Fraction:
    """Return the rate to read a video at, in frames per second.

    Args:
        times: of its pictures, ascending, in seconds after the start; at least one.
        end: of the last one, likewise.
        declared: see ``declared_rate``.
        most: upper bound in frames per second.
        has_sound: whether the pictures have to keep in step with sound.
        whole: whether these are all pictures; if not, faster ones are to be expected.

    Raises:
        LimitError: pictures come faster than ``most`` in a second.
    """
    declared = within_limits(declared, most)
    if _fits(times, end, declared, loosely=True) and end * declared <= _WORTH_IT * len(times):
        return declared
    late = float(LATE_SECONDS) if has_sound else _SILENT_LATE_SECONDS
    slowest = Fraction(0) if whole else min(declared, _USUAL)
    candidates = (rate for rate in _candidates(times, end, declared, most) if rate >= slowest)
    fitting = [rate for rate in candidates if _fits(times, end, rate, late)]
    if not fitting:
        _check_speed(times, most)
        return declared
    least = min(fitting)
    if declared in fitting and declared <= _WORTH_IT * least:
        return declared
    exact = [rate for rate in fitting if rate <= _EXACT * least and _off(times, rate) + _end_off(end, rate) < _NOTHING]
    if exact:
        return min(exact)
    near = [rate for rate in fitting if rate <= _NEAR_BEST * least]
    return min(near, key=lambda rate: (round(_off(times, rate), 3), _end_off(end, rate), rate))


def _candidates(times: Seconds, end: float, declared: Fraction, most: int) -> Iterator[Fraction]:
    """Yield the rates to try, each once."""
    gaps = np.diff(times)
    found = [declared, *_STANDARD, *(Fraction(n, 10) for n in range(2, 100)), *(Fraction(n) for n in range(10, most))]
    if len(gaps) and gaps.max() > 0:
        usual = float(np.median(gaps)) or float(gaps.max())
        found += [Fraction(1 / usual).limit_denominator(1001), Fraction(len(times) / end).limit_denominator(1001)]
    yield from {rate: None for rate in found if Fraction(1, LONGEST_FRAME_SECONDS) <= rate <= most}


def _fits(times: Seconds, end: float, rate: Fraction, late: float = 0.0, *, loosely: bool = False) -> bool:
    """Say whether every picture has a slot near its time, and the end is where it should be.

    Args:
        times: see ``fitting_rate``.
        end: likewise.
        rate: to try.
        late: how far off a picture may be in seconds; no more than half a slot, where that is not less than is noticed.
        loosely: a slot off is near enough.
    """
    each = float(rate)
    off = slots_of(times, each) - times * each
    if off.max() > float(most_late(rate)):
        return False
    if loosely:
        return bool(np.abs(off).mean() <= _NEAR_SLOT)
    near = max(float(LATE_SECONDS) * each, min(late * each, _NEAR_SLOT))
    return bool(np.abs(off).max() <= near) and _end_off(end, rate) <= max(_OFF_SECONDS, late)


def _check_speed(times: Seconds, most: int) -> None:
    late = slots_of(times, most) - times * most
    if late.max() > float(most_late(Fraction(most))):
        raise LimitError(
            f"pictures come faster than {most} in a second, the most that a stream can have; "
            f"reduce their rate first (ffmpeg -r {most})"
        )


def _off(times: Seconds, rate: Fraction) -> float:
    """Return how far pictures stand off their times on average, in seconds."""
    each = float(rate)
    return float(np.abs(slots_of(times, each) / each - times).mean())


def _end_off(end: float, rate: Fraction) -> float:
    """Return by how much the end is off, in seconds; less than a microsecond counts as nothing."""
    each = float(rate)
    return round(abs(round(end * each) / each - end), 6)
