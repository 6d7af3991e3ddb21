"""Duration out is duration in, every picture comes back in order, upright and at its size, sound in sync."""

from fractions import Fraction

import pytest
from reading import OPUS, Back, read_back
from troubles import CONTAINERS, TROUBLES, Case, Container, Trouble

IN_SYNC = 0.020  # seconds
CELLS = [
    pytest.param(trouble, container, id=f"{trouble.name}-{container.name}")
    for trouble in TROUBLES
    for container in CONTAINERS
    if container.name in trouble.within and (container.audio or not trouble.sounding)
]


@pytest.mark.parametrize(("trouble", "container"), CELLS)
def test_cell(trouble: Trouble, container: Container) -> None:
    case = trouble.make(container)
    back = read_back(case.data, sound=OPUS)
    print(
        back.rate,
        back.frames,
        float(back.seconds),
        float(case.seconds),
        [(n, round(float(t), 3)) for n, t in back.shown][:50],
        back.beeps,
        case.beeps,
        back.notes,
    )
    check(case, back, float(IN_SYNC) if container.audio else 0.1)


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
