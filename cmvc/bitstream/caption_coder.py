"""The caption coder: free English of a few dozen words in about two bits a character.

Byte by byte, contexts of several kinds say what has followed them, in the primer and in the text so far. The guesses
are tried from the best on, each one bit of the range coder, whose odds are the sum of what each kind's counts are
worth. All of it in integers. See docs/bitstream.md, "Coder 3".
"""

from collections.abc import Sequence

from cmvc.bitstream.caption_primer import END, KINDS, Counts, History, Primer, Weights, primer, turn_case, weights
from cmvc.errors import BitstreamError, CorruptStreamError, LimitError
from cmvc.logistic import probability
from cmvc.range_coder import BitCoder, BitDecoder, BitEncoder, Contexts

GUESSES = 40  # tried before a byte is spelt out
_OWN = 2  # times that an occurrence in the text itself counts
_TRUST = (1, 2, 4, 8, 3, 8, 12, 4)  # in each kind of context, for the order of guesses
_HALF = 1 << 15


def pack_caption(text: str) -> bytes | None:
    """Return ``text`` as range-coded guesses; None where it has a zero character, which marks the end here."""
    raw = turn_case(text.encode())
    if END in raw:
        return None
    coder = BitEncoder()
    model = CaptionModel()
    for byte in [*raw, END]:
        model.code(coder, byte)
    return coder.finish()


def unpack_caption(data: bytes, most: int) -> bytes:
    """Return the text, in UTF-8 where it is valid, that ``data`` codes.

    Args:
        data: as ``pack_caption`` gives it.
        most: bound on the text's length in bytes.

    Raises:
        BitstreamError: the bytes are not what ``pack_caption`` writes: they end too early, or go on behind the end.
        LimitError: the text is longer than ``most``.
    """
    coder = _Echo(data)
    model = CaptionModel()
    found = bytearray()
    try:
        while (byte := model.code(coder)) != END:
            if len(found) == most:
                raise LimitError(f"text bytes: over the limit of {most}")
            found.append(byte)
    except CorruptStreamError:
        raise BitstreamError("a text is cut off or damaged") from None
    if coder.written() != data:
        raise BitstreamError("a text has other bytes behind its end than its coder writes")
    return turn_case(bytes(found))


class CaptionModel:
    """Codes the bytes of one text, in either direction."""

    def __init__(self, known: Primer | None = None, worth: Weights | None = None) -> None:
        """Start a text, with the format's primer and weights unless others are given."""
        self._primer = known or primer()
        self._weights = worth or weights()
        self._history = History()
        self._own: list[dict[bytes, dict[int, int]]] = [{} for _ in range(KINDS)]
        self._spelling = Contexts([_HALF] * 256)

    def code(self, coder: BitCoder, byte: int = 0) -> int:
        """Code one byte; a decoder ignores ``byte``. Return it."""
        contexts = self._history.contexts()
        counts = self._counts(contexts)
        totals = [sum(each.values()) for each in counts]
        guesses = _guesses(counts, totals)
        for number, guess in enumerate(guesses):
            if self.hit(coder, number, [each.get(guess, 0) for each in counts], totals, byte == guess):
                byte = guess
                break
        else:
            byte = self._spell(coder, byte)
            if byte in guesses:
                raise CorruptStreamError(f"the byte {byte} is spelt out though it was guessed")
        self._learn(contexts, byte)
        return byte

    def _counts(self, contexts: Sequence[bytes | None]) -> list[Counts]:
        counts = self._primer.following(contexts)
        for kind, context in enumerate(contexts):
            own = self._own[kind].get(context) if context is not None else None
            if own:
                both = dict(counts[kind])
                for byte, count in own.items():
                    both[byte] = both.get(byte, 0) + _OWN * count
                counts[kind] = both
        return counts

    def hit(self, coder: BitCoder, number: int, hits: list[int], totals: list[int], hit: bool) -> int:
        """Code whether a guess is right, and take it out of ``totals``."""
        rank = self._weights.rank
        logit = rank[number] if number < len(rank) else rank[-1]
        for kind, cells in enumerate(self._weights.cells):
            yes = hits[kind]
            totals[kind] -= yes
            logit += cells[yes.bit_length()][totals[kind].bit_length()]
        return coder.odds(65536 - probability(logit), hit)

    def _spell(self, coder: BitCoder, byte: int) -> int:
        node = 1
        for shift in range(7, -1, -1):
            node = 2 * node + coder.bit(self._spelling, node, byte >> shift & 1)
        return node - 256

    def _learn(self, contexts: Sequence[bytes | None], byte: int) -> None:
        for own, context in zip(self._own, contexts, strict=True):
            if context is not None:
                counts = own.setdefault(context, {})
                counts[byte] = counts.get(byte, 0) + 1
        self._history.append(byte)


def _guesses(counts: Sequence[Counts], totals: Sequence[int]) -> list[int]:
    """Return the bytes that the contexts have seen, the likeliest first, of equally likely ones the least."""
    score: dict[int, int] = {}
    for each, total, trust in zip(counts, totals, _TRUST, strict=True):
        if total:
            share = (trust << 16) // (total + 1)
            for byte, count in each.items():
                score[byte] = score.get(byte, 0) + share * count
    return sorted(score, key=lambda byte: (-score[byte], byte))[:GUESSES]


class _Echo:
    """Reads bits, and writes them again, so that one text has one coding only."""

    def __init__(self, data: bytes) -> None:
        self._decoder = BitDecoder(data)
        self._encoder = BitEncoder()

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Read one bit in an adaptive context."""
        zero, seen = contexts.zero[index], contexts.seen[index]
        bit = self._decoder.bit(contexts, index, bit)
        contexts.zero[index], contexts.seen[index] = zero, seen
        return self._encoder.bit(contexts, index, bit)

    def odds(self, zero: int, bit: int) -> int:
        """Read one bit that is 0 with probability ``zero``, in 1/65536."""
        return self._encoder.odds(zero, self._decoder.odds(zero, bit))

    def even(self, bits: int, value: int) -> int:
        """Read equally likely bits."""
        return self._encoder.even(bits, self._decoder.even(bits, value))

    def written(self) -> bytes:
        """Return what a ``BitEncoder`` writes for all bits read."""
        return self._encoder.finish()
