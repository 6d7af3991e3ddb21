"""The troubles that containers have with time, each as a file and what is to come back of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from numbered import Clip, Container, steady, write

CONTAINERS = [
    Container("mp4", "mp4", "libx264", "aac"),
    Container("mov", "mov", "libx264", "aac"),
    Container("mkv", "matroska", "libx264", "libopus", tick=Fraction(1, 1000)),
    Container("webm", "webm", "libvpx-vp9", "libopus", tick=Fraction(1, 1000), video_options={"deadline": "realtime"}),
    Container("ts", "mpegts", "libx264", "aac"),
    Container("m2ts", "mpegts", "libx264", "aac", options={"mpegts_m2ts_mode": "1"}),
    Container("avi", "avi", "libx264", "pcm_s16le", tick=Fraction(1, 25)),
    Container(
        "avi-mpeg4", "avi", "mpeg4", "pcm_s16le", tick=Fraction(1, 25), video_options={"b": "2000000", "bf": "2"}
    ),
    Container("flv", "flv", "libx264", "aac", tick=Fraction(1, 1000)),
    Container("gif", "gif", "gif", pixel_format="rgb8", tick=Fraction(1, 100)),
    Container("apng", "apng", "apng", pixel_format="rgb24", tick=Fraction(1, 1000)),
    Container("webp", "webp", "libwebp_anim", tick=Fraction(1, 1000)),
    Container("images", "image2pipe", "png", pixel_format="rgb24", tick=Fraction(1, 25)),
    Container("y4m", "yuv4mpegpipe", "wrapped_avframe", tick=Fraction(1, 25)),
    Container("h264", "h264", "libx264", tick=Fraction(1, 25)),
    Container("ivf", "ivf", "libvpx-vp9", tick=Fraction(1, 1000), video_options={"deadline": "realtime"}),
]
EVERYWHERE = frozenset(container.name for container in CONTAINERS)
TIMED = EVERYWHERE - {"avi", "avi-mpeg4", "images", "y4m", "h264"}  # each picture at its time
ENDING = TIMED - {"apng", "ivf", "webp"}  # where the last picture or the sound with it says how long it stands
JOINABLE = {"ts", "m2ts", "h264", "images"}  # by putting one file behind the other
WITH_GAPS = frozenset({"mp4", "mov", "mkv", "webm", "ts", "m2ts", "flv"})  # in their sound
TURNED = frozenset({"mp4", "mov", "mkv"})


@dataclass(frozen=True)
class Case:
    """A file and what is to come back.

    Attributes:
        data: the file.
        due: number and time of each picture, in order.
        seconds: how long it is.
        beeps: when they are to be heard.
        leads: whether sound comes before the first picture; a codec's delay may then be taken for sound.
    """

    data: bytes
    due: list[tuple[int, Fraction]]
    seconds: Fraction
    beeps: Sequence[float] = ()
    leads: bool = False


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble.

    Attributes:
        name: for people.
        make: a file in a container.
        within: names of the containers that can have it; all by default.
        sounding: whether it is about sound.
    """

    name: str
    make: Callable[[Container], Case]
    within: frozenset[str] = EVERYWHERE
    sounding: bool = False


def _case(clip: Clip, container: Container, rate: Fraction | int = 25, lead: Fraction = Fraction(0)) -> Case:
    """Return the case of a clip that is to come back as it is, ``lead`` seconds of sound before its first picture."""
    sounds = clip if container.audio else clip.silent
    start = clip.times[0] - lead
    due = [
        (number, time - start if n else Fraction(0))
        for n, (number, time) in enumerate(zip(clip.numbers, clip.times, strict=True))
    ]
    end = clip.end
    if sounds.sound:
        end = max(end, Fraction(sounds.sound[1]).limit_denominator(1000))
    return Case(
        write(sounds, container, rate), due, end - start, [beep - float(start) for beep in sounds.beeps], leads=lead > 0
    )


def _joined(container: Container) -> Case:
    a = steady(20, sound=(0.0, 0.8), beeps=(0.3,))
    b = replace(a, first=20)
    if not container.audio:
        a, b = a.silent, b.silent
    due = [(n, Fraction(n, 25)) for n in range(40)]
    return Case(
        write(a, container) + write(b, container),
        due,
        Fraction(40, 25),
        [beep + part for part in (0, 0.8) for beep in a.beeps],
    )


def _at(times: Sequence[float | Fraction], end: float | Fraction, **more: object) -> Clip:
    return Clip(
        tuple(Fraction(time).limit_denominator(1000) for time in times), Fraction(end).limit_denominator(1000), **more
    )


def _hours_late(container: Container) -> Case:
    case = _case(steady(30, sound=(4 * 3600.0, 4 * 3600 + 1.0)), container)
    return replace(case, seconds=Fraction(30, 25))


_MIXED = [Fraction(n, 24) for n in range(48)] + [2 + Fraction(n, 30) for n in range(60)]
_TELECINE = [Fraction(1001 * (5 * (n // 2) + (n % 2) * 2), 60_000) for n in range(40)]  # two and three fields in turn

_TURNS = {
    "left to right": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "a quarter": (0, 1, -1, 0),
    "across": (0, 1, 1, 0),
}


def _matrix(a: int, b: int, c: int, d: int) -> tuple[int, ...]:
    return tuple(65536 * n for n in (a, b, 0, c, d))


TROUBLES = [
    Trouble("steady", lambda box: _case(steady(30, sound=(0.0, 1.2), beeps=(0.5,)), box)),
    Trouble("joined", _joined, frozenset(JOINABLE)),
    Trouble(
        "stands 90 s",
        lambda box: _case(
            _at(
                [n / 25 for n in range(10)] + [90 + n / 25 for n in range(10)], 90.4, sound=(0, 90.4), beeps=(0.2, 90.2)
            ),
            box,
        ),
        TIMED - {"webp"},
    ),
    Trouble("one in 40 s", lambda box: _case(_at([0, 40, 80], 120, sound=(0, 120), beeps=(40, 80)), box), TIMED),
    Trouble("one in 90 s", lambda box: _case(_at([0, 90, 180], 270), box), TIMED - {"ts", "m2ts"}),
    Trouble(
        "slides at odd times",
        lambda box: _case(_at([0, 1.37, 2.91, 7.03], 9.1, sound=(0, 9.1), beeps=(1.37, 7.03)), box),
        ENDING,
    ),
    Trouble(
        "last stands",
        lambda box: _case(_at([n / 25 for n in range(10)], 8, sound=(0, 0.4), beeps=(0.2,)), box),
        ENDING - {"ts", "m2ts", "flv"},
    ),
    Trouble(
        "sound late", lambda box: _case(steady(120, sound=(3.0, 4.8), beeps=(3.5,)), box), WITH_GAPS, sounding=True
    ),
    Trouble("sound ends late", lambda box: _case(steady(30, sound=(0, 3.0), beeps=(0.5, 2.5)), box), sounding=True),
    Trouble("sound ends early", lambda box: _case(steady(60, sound=(0, 1.0), beeps=(0.5,)), box), sounding=True),
    Trouble(
        "sound first",
        lambda box: _case(
            _at([0.6 + n / 25 for n in range(30)], 1.8, sound=(0, 1.8), beeps=(0.2, 1.0)), box, lead=Fraction(3, 5)
        ),
        TIMED,
        sounding=True,
    ),
    Trouble("sound hours late", _hours_late, frozenset({"mkv", "webm", "mp4", "mov"}), sounding=True),
    Trouble("24 and 30 mixed", lambda box: _case(_at(_MIXED, 4, sound=(0, 4), beeps=(0.5, 3.0)), box, 30), TIMED),
    Trouble("telecine", lambda box: _case(_at(_TELECINE, Fraction(1001 * 100, 60_000)), box, 30), TIMED),
    Trouble(
        "fields",
        lambda box: _case(steady(30, options={"flags": "+ilme+ildct", "x264-params": "tff=1"}), box),
        frozenset(box.name for box in CONTAINERS if box.video in ("libx264", "mpeg4")),
    ),
    Trouble(
        "crop",
        lambda box: _case(steady(10, crop=(6, 10)), box),
        frozenset(b.name for b in CONTAINERS if b.video == "libx264"),
    ),
    *(
        Trouble(name, lambda box, turn=turn: _case(steady(10, matrix=(*_matrix(*turn), 0, 0, 0, 1 << 30)), box), TURNED)
        for name, turn in _TURNS.items()
    ),
    Trouble(
        "two pictures", lambda box: _case(steady(2), box), EVERYWHERE - {"ts", "m2ts"}
    ),  # FFmpeg opens none so small
]
