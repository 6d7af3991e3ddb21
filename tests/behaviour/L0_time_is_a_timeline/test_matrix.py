"""Duration out is duration in, every picture comes back in order, upright and at its size, sound in sync.

Each cell is one trouble in one container. Most are read only, which is where time is worked out; some of them, and in
``make test-all`` every one, go through a stream and back to MP4.
"""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from _pytest.mark import ParameterSet
from numbered import Container
from reading import COPY, OPUS, Back, play, read_back
from troubles import CONTAINERS, TROUBLES, Case, Trouble

from cmvc.client import Client
from cmvc.v1 import common_pb2, encoder_pb2

IN_SYNC = 0.020  # seconds
CELLS = [
    (trouble, container)
    for trouble in TROUBLES
    for container in CONTAINERS
    if container.name in trouble.within and (container.audio or not trouble.sounding)
]
THROUGH = {
    ("steady", "avi"),
    ("steady", "webp"),
    ("joined", "ts"),
    ("one in 90 s", "mp4"),
    ("slides at odd times", "mkv"),
    ("sound ends late", "mov"),
    ("sound first", "flv"),
    ("24 and 30 mixed", "webm"),
    ("crop", "ts"),
    ("upside down", "mp4"),
}
PIPED = {"steady", "joined", "sound late", "sound ends late", "24 and 30 mixed", "one in 90 s"}
UNKNOWN_IN_A_PIPE = ("sound late", "m2ts")  # FFmpeg cannot tell the codec then, and a note says that it is left out
LONG = {"stands 90 s", "one in 40 s"}  # minutes of sound
COPIED = {"sound late", "sound ends late", "sound first", "joined"}


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    """Count what was checked, and print it at the end."""
    counted: Counter[str] = Counter()
    yield counted
    print(f"\ntimeline matrix: {dict(counted)}")


def _unless_slow(cell: tuple[Trouble, Container], now: bool) -> ParameterSet:
    return pytest.param(cell, marks=() if now else pytest.mark.slow, id=f"{cell[0].name}-{cell[1].name}")


def read_now(cell: tuple[Trouble, Container]) -> bool:
    """Say whether ``make test`` reads a cell: all but most of the long ones."""
    return cell[0].name not in LONG or cell[1].name in ("mp4", "ts") or not cell[1].audio


@pytest.mark.parametrize("cell", [_unless_slow(cell, read_now(cell)) for cell in CELLS])
def test_read(cell: tuple[Trouble, Container], counts: Counter[str]) -> None:
    trouble, container = cell
    case = trouble.make(container)
    near = IN_SYNC if container.audio else 0.1
    check(case, read_back(case.data, sound=OPUS), near)
    counts.update(["read", trouble.name])
    if trouble.name in PIPED and (trouble.name, container.name) != UNKNOWN_IN_A_PIPE:
        check(case, read_back(case.data, sound=OPUS, from_pipe=True), near)
        counts.update(["read from a pipe"])
    if trouble.name in COPIED and container.audio in ("aac", "libopus"):
        check(case, read_back(case.data, sound=COPY), near)
        counts.update(["read with its sound copied"])


@pytest.mark.parametrize("cell", [_unless_slow(cell, (cell[0].name, cell[1].name) in THROUGH) for cell in CELLS])
def test_through_a_stream(cell: tuple[Trouble, Container], counts: Counter[str], tmp_path: Path) -> None:
    trouble, container = cell
    case = trouble.make(container)
    source, stream, back = tmp_path / "clip", tmp_path / "clip.cmvc", tmp_path / "back.mp4"
    source.write_bytes(case.data)
    config = encoder_pb2.EncodeConfig(mode=common_pb2.MODE_CODED, quality=90, audio=OPUS)
    with Client() as client:
        client.encode(source, stream, config)
        client.decode(stream, back)
    played = play(back.read_bytes())
    check(case, played, IN_SYNC if container.audio else 0.1)
    with av.open(str(back)) as output:
        assert abs(Fraction(output.duration or 0, av.time_base) - played.seconds) < Fraction(1, 100)  # the sound's too
    counts.update(["through a stream"])


def check(case: Case, back: Back, near: float) -> None:
    """Check what came back of a case; pictures may be ``near`` seconds off, and all of it together by a frame."""
    assert [number for number, _ in back.shown] == [number for number, _ in case.due]
    assert abs(back.seconds - case.seconds) <= 1 / back.rate + Fraction(1, 1000)
    late = back.shown[1][1] - case.due[1][1] if case.leads else Fraction(0)
    assert abs(late) <= 1 / back.rate + Fraction(1, 40)
    for (_, time), (_, due) in zip(back.shown[1:], case.due[1:], strict=True):
        assert abs(time - due - late) <= near + 0.001
    assert len(back.beeps) == len(case.beeps)
    for heard, due in zip(back.beeps, case.beeps, strict=True):
        assert abs(heard - due - late) <= IN_SYNC
