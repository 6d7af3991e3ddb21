"""When a video starts and ends, and the rate between: worked out from the timestamps of its pictures and its sound.

docs/timeline.md tells it in full.
"""

from dataclasses import dataclass
from fractions import Fraction

from cmvc.media.rates import fitting_rate, within_limits
from cmvc.media.survey import LONGEST_LAST_SECONDS, Survey

LEAST_STAND_SECONDS = Fraction(1, 20)  # sound may outlast pictures by less, on either side; codecs' delays do


@dataclass(frozen=True)
class Timeline:
    """Where pictures stand.

    Attributes:
        start: of frame 0 on the container's clock, in seconds; before the first picture where sound comes first.
        rate: in frames per second.
        lead: seconds from the start to the first picture.
        by_order: whether timestamps say nothing, so that pictures follow one after the other.
    """

    start: Fraction
    rate: Fraction
    lead: Fraction
    by_order: bool


def plan_timeline(survey: Survey, first: Fraction | None, declared: Fraction, most: int) -> Timeline:
    """Return the timeline of a video.

    Args:
        survey: what is known of its timestamps.
        first: time of the first picture that can be decoded, in seconds; None where it does not say.
        declared: frame rate that the container declares, in frames per second.
        most: upper bound of the rate.

    Raises:
        LimitError: pictures come faster than ``most`` in a second.
    """
    steady = within_limits(declared, most)
    end = survey.picture_end()
    if first is None:
        return Timeline(Fraction(0), steady, Fraction(0), by_order=True)
    lead = first - survey.sound_start if survey.sound_start is not None else Fraction(0)
    if not LEAST_STAND_SECONDS < lead <= LONGEST_LAST_SECONDS:
        lead = Fraction(0)
    times = survey.times_from(first)
    if end is None or not len(times):
        return Timeline(first - lead, steady, lead, by_order=False)
    if len(times) > 1 and times[-1] * 2 * most < len(times):  # all of them at one time, or nearly
        return Timeline(first - lead, steady, lead, by_order=True)
    rate = fitting_rate(
        times + float(lead),
        float(end - first + lead),
        declared,
        most,
        has_sound=survey.sound_start is not None,
        whole=survey.whole,
    )
    lead = round(lead * rate) / rate  # whole frames, so that pictures stand exactly in their slots
    return Timeline(first - lead, rate, lead, by_order=False)


def end_of(survey: Survey, *, with_sound: bool) -> Fraction | None:
    """Return when the last picture may go, in seconds on the container's clock; None where timestamps do not say.

    Args:
        survey: of the whole video.
        with_sound: whether the sound is heard, and the last picture stands until it has ended.
    """
    end = survey.picture_end()
    sound = survey.sound_end(end) if with_sound and end is not None else None
    if end is None or sound is None or sound - end <= LEAST_STAND_SECONDS:
        return end
    return sound
