"""What follows from order hints: references that are not spelt out, and skip mode (AV1 specification, 5.9.22, 7.8)."""

from collections.abc import Callable

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.state import REFERENCES, SLOTS, Frame, Sequence, Slots, distance

_LAST, _LAST2, _LAST3, _GOLDEN, _BACKWARD, _ALTERNATE2, _ALTERNATE = range(REFERENCES)
_FORWARD_ORDER = (_LAST2, _LAST3, _BACKWARD, _ALTERNATE2, _ALTERNATE)


def short_signalled(s: Sequence, slots: Slots, hint: int, last: int, golden: int) -> list[int]:
    """Return the slots of the seven references that follow from two of them (set_frame_refs).

    Raises:
        NotPackableError: one of the two lies in the future.
    """
    ahead = [distance(slots.hint(slot), hint, s.order_hint_bits) for slot in range(SLOTS)]
    if ahead[last] >= 0 or ahead[golden] >= 0:
        raise NotPackableError("a frame's last or golden reference lies in its future")
    found = {_LAST: last, _GOLDEN: golden}
    free = [slot for slot in range(SLOTS) if slot not in (last, golden)]

    def take(reference: int, best: Callable[[list[int]], int | None]) -> None:
        slot = best(free)
        if slot is not None:
            found[reference] = slot
            free.remove(slot)

    take(_ALTERNATE, lambda slots: _latest([slot for slot in slots if ahead[slot] >= 0], ahead))
    for reference in (_BACKWARD, _ALTERNATE2):
        take(reference, lambda slots: _earliest([slot for slot in slots if ahead[slot] >= 0], ahead))
    for reference in _FORWARD_ORDER:
        if reference not in found:
            take(reference, lambda slots: _latest([slot for slot in slots if ahead[slot] < 0], ahead))
    rest = _earliest(list(range(SLOTS)), ahead)
    assert rest is not None
    return [found.get(reference, rest) for reference in range(REFERENCES)]


def _latest(slots: list[int], ahead: list[int]) -> int | None:
    """Return the slot of the latest frame, of several the last."""
    return max(slots, key=lambda slot: (ahead[slot], slot), default=None)


def _earliest(slots: list[int], ahead: list[int]) -> int | None:
    """Return the slot of the earliest frame, of several the first."""
    return min(slots, key=lambda slot: (ahead[slot], slot), default=None)


def skip_mode_allowed(s: Sequence, slots: Slots, f: Frame) -> bool:
    """Return whether ``skip_mode_present`` is coded: there are two references at different times to skip with."""
    if f.intra or not f.reference_select or not s.order_hint_bits:
        return False
    ahead = [distance(slots.hint(slot), f.order_hint, s.order_hint_bits) for slot in f.reference_slots]
    past = [each for each in ahead if each < 0]
    if not past:
        return False
    return any(each > 0 for each in ahead) or min(past) < max(past)
