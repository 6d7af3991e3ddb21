"""Which frames of a video are asked for, where not all of them are."""

import math
from dataclasses import dataclass
from fractions import Fraction

from cmvc.errors import InvalidSettingError
from cmvc.limits import Limits


@dataclass(frozen=True)
class Part:
    """A run of frames.

    Attributes:
        first: number of the first, from 0.
        end: number of the one behind the last; None for all that follow.
    """

    first: int = 0
    end: int | None = None

    def of_run(self, first_frame: int, frames: int) -> range:
        """Return which of the ``frames`` from ``first_frame`` on belong to it, counted from there."""
        end = frames if self.end is None else min(self.end - first_frame, frames)
        return range(max(self.first - first_frame, 0), max(end, 0))

    def ends_before(self, frame: int) -> bool:
        """Return whether neither ``frame`` nor any after it belongs to it."""
        return self.end is not None and frame >= self.end


WHOLE = Part()


def part_of(start: float, duration: float, rate: Fraction, limits: Limits) -> Part:
    """Return the frames from ``start`` on, ``duration`` long, in seconds; a duration of 0 stands for all that follow.

    Both ends are the frames nearest to their times, so that parts which follow each other neither lack nor share one;
    there is at least one frame.

    Raises:
        InvalidSettingError: one of them is negative or no number.
        LimitError: no video is as long.
    """
    for name, value in (("start", start), ("duration", duration)):
        if not (math.isfinite(value) and value >= 0):
            raise InvalidSettingError(f"the {name} {value} is no time; give seconds from 0 on", field=f"config.{name}")
    first = limits.check("stream_frames", round(Fraction(start) * rate))
    if not duration:
        return Part(first)
    end = limits.check("stream_frames", round((Fraction(start) + Fraction(duration)) * rate))
    return Part(first, max(end, first + 1))


def nothing_there(part: Part, frames: int, rate: Fraction) -> InvalidSettingError:
    """Return the error that ``part`` begins behind the end of a video of ``frames``."""
    return InvalidSettingError(
        f"the part starts at {float(part.first / rate):.3f} s, and the video ends at {float(frames / rate):.3f} s; "
        "choose an earlier start",
        field="config.start",
    )
