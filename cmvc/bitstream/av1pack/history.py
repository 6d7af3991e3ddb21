"""What models remember: where a frame stands in the pyramid, and what frames at the same place were like."""

from dataclasses import dataclass, field

from cmvc.bitstream.av1pack.kinds import FLAG, Kind
from cmvc.bitstream.av1pack.state import Frame, distance
from cmvc.bitstream.av1pack.stream import Stream

Element = tuple[str, tuple[int, ...]]
Values = dict[Element, int]
KEY, BASE, SHOWN_BASE = 0, 1, 9  # places; from 2 on the logarithm of the span that a frame divides
_WIDEST_SPAN = 64


@dataclass
class Past:
    """A frame of the past and the values in its header."""

    frame: Frame = field(default_factory=Frame)
    values: Values = field(default_factory=dict)
    known: bool = True

    def of(self, name: str, *at: int) -> int:
        """Return the value of an element; -1 where the header did not have it."""
        return self.values.get((name, at), -1)


NOTHING = Past(known=False)


class History:
    """What came before the header that is being coded.

    Attributes:
        stream: the state of the decoder.
        name, kind, at: of the element that is being coded.
        values: of the header so far.
        like: the last frame at the same place and on the same side of it; else one at the same place.
        before: the last frame.
        place: of the frame in the pyramid, once its order hint is known.
        side: whether it divides the second half of what the frame above it divides.
        base: order hint of the frame that was shown last; -1 before the first.
        span: from there to the next frame that is decoded and not yet shown; 0 where there is none.
        group: frames of the last group of pictures that were coded together.
        shown: frame headers so far.
        ranks: of the frames in the slots, by their identity, for the references of this header.
        notes: small numbers that models keep for themselves.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.name = ""
        self.kind: Kind = FLAG
        self.at: tuple[int, ...] = ()
        self.values: Values = {}
        self.like = NOTHING
        self.before = NOTHING
        self.place = self.side = 0
        self.base = -1
        self.span = 0
        self.group = 0
        self.shown = 0
        self.ranks: dict[int, int] = {}
        self.notes: dict[tuple[str | int, ...], int] = {}
        self._places: dict[tuple[int, ...], Past] = {}

    @property
    def hint_bits(self) -> int:
        """Bits of an order hint."""
        return self.stream.sequence.order_hint_bits if self.stream.sequence else 0

    @property
    def reduced(self) -> int:
        """Whether the sequence is a still picture with the shortest headers."""
        return self.stream.sequence.reduced if self.stream.sequence else 0

    def survey(self) -> None:
        """Find ``base`` and ``span``."""
        shown = self.stream.shown
        self.base = shown.order_hint if shown else -1
        waiting = [frame for frame in self.stream.slots.frames if frame and frame.showable_frame and not frame.shown]
        ahead = [distance(frame.order_hint, self.base, self.hint_bits) for frame in waiting]
        self.span = min((each for each in ahead if each > 0), default=0)

    def start(self) -> None:
        """Start a header."""
        self.values = {}
        self.like = NOTHING
        self.place = self.side = 0

    def find_place(self, hint: int) -> None:
        """Find ``place``, ``side`` and ``like`` of the frame with an order hint."""
        frame = self.stream.frame
        if self.span:
            self.place = 1 + min(self.span, _WIDEST_SPAN).bit_length()
        elif frame.show_frame:
            self.place = KEY if frame.intra else SHOWN_BASE
        else:
            self.place = BASE
        back = distance(hint, self.base, self.hint_bits) if self.stream.shown else 0
        if self.place == BASE:
            self.group = back
        self.side = hint // max(2 * back, 1) & 1
        places = self._places
        self.like = places.get((self.place, self.side)) or places.get((self.place,)) or NOTHING

    def finish(self, size: int) -> None:
        """Keep the frame, of which ``size`` bytes of tiles have come."""
        frame = self.stream.frame
        frame.data_size, frame.place = size, self.place
        self.before = Past(frame, self.values)
        self._places[self.place, self.side] = self._places[self.place,] = self.before
