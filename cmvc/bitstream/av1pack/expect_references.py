"""What is expected of references and refreshed slots, by order hints instead of slot numbers."""

from cmvc.bitstream.av1pack.expectation import Expectation
from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.state import REFERENCES, SLOTS, Frame, distance
from cmvc.bitstream.av1pack.symbols import Symbols
from cmvc.errors import CorruptStreamError

_EMPTY = 15
_FUTURE = 8  # added to the rank of a frame that is shown later
_RANK_BITS = 4
_NO_RANK = 31


def _refresh_frame_flags(h: History, s: Symbols, value: int) -> int:
    """Go through the slots, the one with the earliest frame first, up to the one that is refreshed, if any."""
    context = (h.place, h.side, min(h.like.of("refresh_frame_flags"), 1), min(h.before.of("refresh_frame_flags"), 1))
    if not s.flag("refresh", (context,), int(value > 0)):
        return 0
    frames = h.stream.slots.frames
    hint = h.stream.frame.order_hint
    ahead = [distance(frame.order_hint, hint, h.hint_bits) if frame else 0 for frame in frames]
    last = h.notes.get(("refreshed", h.place), -1)
    found = 0
    for rank, slot in enumerate(sorted(range(SLOTS), key=lambda slot: (ahead[slot], slot))):
        frame = frames[slot]
        twice = int(sum(other is frame for other in frames) > 1)
        place = frame.place if frame else _EMPTY
        contexts = (
            (h.place, place, twice, int(slot == last)),
            (h.place, slot, (last - slot) & 7 if last >= 0 else 8),
            (h.place, rank, h.side),
        )
        if not found and s.flag("refresh_slot", contexts, value >> slot & 1):
            found = 1 << slot
            h.notes["refreshed", h.place] = slot
            if not s.flag("refresh_more", ((),), int(value != found)):
                return found
        elif found:
            found |= s.flag("refresh_another", ((),), value >> slot & 1) << slot
    return found


def _ref_frame_idx(h: History, s: Symbols, value: int) -> int:
    """Expect the rank that the reference had in the last frame at this place.

    Raises:
        CorruptStreamError: there is no frame of the rank that is coded.
    """
    (k,) = h.at
    frames = h.stream.slots.frames
    if not k:
        h.ranks = _ranks(h)
    ranks = h.ranks
    rank = _rank_of(h, s, k, ranks[id(frames[value])])
    h.notes["rank", k] = h.notes["rank", h.place, h.side, k] = rank
    same = [slot for slot in range(SLOTS) if ranks[id(frames[slot])] == rank]
    if not same:
        raise CorruptStreamError("packed AV1 refers to a frame that is not there")
    if len(same) == 1:
        return same[0]
    chosen = h.notes.get(("chosen",), 0)
    number = s.tree("ref_frame_slot", ((chosen, len(same)),), same.index(value) if value in same else 0, 3)
    h.notes["chosen",] = number
    return same[min(number, len(same) - 1)]


def _ranks(h: History) -> dict[int, int]:
    """Return the rank of each frame in the slots: how many lie nearer on its side, the past or the future."""
    hint = h.stream.frame.order_hint
    sides: tuple[list[tuple[int, int, Frame | None]], ...] = ([], [])
    seen: set[int] = set()
    for slot, frame in enumerate(h.stream.slots.frames):
        if id(frame) not in seen:
            seen.add(id(frame))
            ahead = distance(frame.order_hint, hint, h.hint_bits) if frame else 0
            sides[ahead > 0].append((abs(ahead), slot, frame))
    return {
        id(frame): number + _FUTURE * side
        for side, frames in enumerate(sides)
        for number, (_, _, frame) in enumerate(sorted(frames, key=lambda each: each[:2]))
    }


def _rank_of(h: History, s: Symbols, k: int, rank: int) -> int:
    later = sum(each >= _FUTURE for each in h.ranks.values())
    first = h.notes.get(("rank", 0), 0) if k else _NO_RANK
    previous = h.notes.get(("rank", k - 1), 0) if k else _NO_RANK
    earlier = h.notes.get(("rank", k - 2), 0) if k > 1 else _NO_RANK
    guess = h.notes.get(("rank", h.place, h.side, k), _NO_RANK)
    as_guessed = h.notes.get(("guessed",), 1) if k else 1
    contexts = (
        (k, h.place, len(h.ranks) - later, later),
        (k, guess, h.place, as_guessed),
        (k, previous, first, earlier, guess),
    )
    rank = s.tree("ref_frame_rank", contexts, rank, _RANK_BITS)
    h.notes["guessed",] = int(as_guessed and rank == guess)
    return rank


ELEMENTS: dict[str, Expectation] = {"refresh_frame_flags": _refresh_frame_flags, "ref_frame_idx": _ref_frame_idx}
assert REFERENCES < _FUTURE
