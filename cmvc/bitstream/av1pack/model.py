"""What is expected of each element: contexts for its odds (docs/bitstream.md, "Contexts")."""

from cmvc.bitstream.av1pack import expect_levels, expect_motion, expect_order, expect_references, expect_sizes
from cmvc.bitstream.av1pack.expect_plain import plain
from cmvc.bitstream.av1pack.expectation import Expectation
from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.kinds import Kind
from cmvc.bitstream.av1pack.odds import Odds
from cmvc.bitstream.av1pack.reading import MOST_TRAILING
from cmvc.bitstream.av1pack.stream import ObuType, Stream
from cmvc.bitstream.av1pack.symbols import Symbols
from cmvc.errors import CorruptStreamError
from cmvc.range_coder import OddsCoder

_EXPECTATIONS: dict[str, Expectation] = {
    **expect_order.ELEMENTS,
    **expect_references.ELEMENTS,
    **expect_levels.ELEMENTS,
    **expect_motion.ELEMENTS,
    **expect_sizes.ELEMENTS,
}


class Model:
    """Codes OBUs of one payload, in either direction: a decoder ignores the values that it is given."""

    def __init__(self, stream: Stream, coder: OddsCoder, odds: Odds) -> None:
        self._stream = stream
        self._symbols = Symbols(coder, odds)
        self._history = History(stream)
        self._kind = 0
        self._extension = -1

    def start(self, kind: int, extension: int) -> tuple[int, int]:
        """Code an OBU's type and extension byte, -1 for none."""
        history, symbols = self._history, self._symbols
        history.survey()
        self._kind = symbols.tree("obu_type", ((self._kind, min(history.span, 2)),), kind, 4)
        if symbols.flag("obu_extension_flag", ((int(self._extension >= 0),),), int(extension >= 0)):
            self._extension = symbols.tree("obu_extension", ((self._kind,),), extension >> 3, 5) << 3
        else:
            self._extension = -1
        if not self._stream.open:
            history.start()
        return self._kind, self._extension

    def element(self, name: str, kind: Kind, at: tuple[int, ...], value: int) -> int:
        """Code a syntax element."""
        history = self._history
        history.name, history.kind, history.at = name, kind, at
        value = _EXPECTATIONS.get(name, plain)(history, self._symbols, value)
        history.values[name, at] = value
        return value

    def same(self, name: str, value: int) -> int:
        """Code whether something is repeated."""
        return self._symbols.flag(name, ((self._kind,),), value)

    def trailing(self, value: int) -> int:
        """Code how many zero bytes stand behind the last bit of this OBU.

        Raises:
            CorruptStreamError: they are more than any encoder writes.
        """
        value = self._symbols.count("trailing_zeros", ((self._kind,),), value)
        if value > MOST_TRAILING:
            raise CorruptStreamError("an OBU in packed AV1 data goes on behind its end")
        return value

    def last(self, value: int) -> int:
        """Code whether this is the last OBU of the payload."""
        history = self._history
        history.survey()
        frame = self._stream.frame
        context = (self._kind, min(history.span, 1), frame.show_frame, min(history.shown, 4), history.reduced)
        return self._symbols.flag("last", (context,), value)

    def size(self, value: int) -> int:
        """Code how many bytes follow the elements of this OBU."""
        if self._kind == ObuType.FRAME:
            return expect_sizes.data_size(self._history, self._symbols, value)
        return self._symbols.count("obu_data", ((self._kind,),), value)

    def finish(self, size: int) -> None:
        """Take note of a whole OBU with ``size`` bytes behind its elements."""
        if self._kind == ObuType.FRAME:
            self._history.finish(size)
        if self._kind in (ObuType.FRAME, ObuType.FRAME_HEADER):
            self._history.shown += 1
