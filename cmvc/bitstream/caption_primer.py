"""What the caption coder knows before it has seen a byte: how often each byte follows each context in a primer.

The primer (the three files of ``primer/``) is part of the format: with another one, texts would decode to others.
See docs/bitstream.md, "Coder 3".
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

END = 0  # the byte before and behind every text
ORDERS = (1, 2, 3, 5)  # bytes of the first contexts
KINDS = len(ORDERS) + 4
_BLANK, _LINE = 0x20, 0x0A
_GAP = b"\xff"  # stands for a skipped token; never in UTF-8
_CUT = 32  # bytes of a token context and what follows it
_RUN = max(ORDERS) + 1  # bytes of the longest of the first contexts and what follows it
_OFTEN = 16  # occurrences from which on counting them again would take longer than to look them up
_SPACE = re.compile(rb"[ \n]")
_FIRST_LETTER = re.compile(rb"(?:\A|(?<=\n)|(?<=\. ))[A-Za-z]")
Counts = Mapping[int, int]

HIT_ROWS, MISS_COLUMNS, RANKS = 8, 10, 10  # of the weights
_COUNT_BITS = 24  # of the largest count, and more


class History:
    """A text so far, and the contexts that its next byte stands in.

    Tokens are runs of bytes up to and including a blank; a line feed, and the zero at the start, is a token of its own.
    """

    def __init__(self) -> None:
        """Start with the zero byte that stands before every text."""
        self._text = bytearray([END])
        self._lower = bytearray([END])
        self.starts = [0, 1]  # of tokens

    def append(self, byte: int) -> None:
        """Go on by one byte."""
        place = len(self._text)
        self._text.append(byte)
        self._lower.append(byte | 0x20 if 0x41 <= byte <= 0x5A else byte)
        if byte == _LINE and self.starts[-1] != place:
            self.starts.append(place)
        if byte in (_BLANK, _LINE):
            self.starts.append(place + 1)

    def contexts(self) -> list[bytes | None]:
        """Return the ``KINDS`` contexts of the next byte: the last bytes, then tokens; None where there are too few."""
        text, lower, starts = self._text, self._lower, self.starts
        found: list[bytes | None] = [bytes(text[-order:]) if order <= len(text) else None for order in ORDERS]
        now = bytes(lower[starts[-1] :])
        found += [now, bytes(lower[starts[-2] :])]
        if len(starts) > 2:
            earlier = bytes(lower[starts[-3] : starts[-2]])
            found += [bytes(lower[starts[-3] :]), earlier + _GAP + now]
        else:
            found += [None, None]
        return [None if each is not None and len(each) >= _CUT else each for each in found]


class _Entries:
    """What an index is made of."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.places: list[int] = []

    def add(self, keys: Iterable[bytes], places: Iterable[int]) -> None:
        """Add what is read at places, and these."""
        self.keys += keys
        self.places += places


class _Index:
    """Places of a text in the order of what stands there, so that all places with one context are neighbours."""

    def __init__(self, text: bytes, keys: Sequence[bytes], places: Sequence[int]) -> None:
        """Take ``text`` and, for each of ``places``, what is read there: a context and what follows."""
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._text = text
        self._keys = [keys[k] for k in order]
        self._places = [places[k] for k in order]
        self._often: dict[bytes, Counts] = {}

    def following(self, context: bytes) -> Counts:
        """Return how often each byte follows ``context``. The counts may be shared: they are not to be changed."""
        known = self._often.get(context)
        if known is not None:
            return known
        size = len(context)
        low = bisect_left(self._keys, context)
        high = bisect_left(self._keys, context + b"\xff", low)
        # What is cut off right behind the context has nothing that follows.
        while low < high and len(self._keys[low]) == size:
            low += 1
        counts: dict[int, int] = {}
        for place in self._places[low:high]:
            byte = self._text[place + size]
            counts[byte] = counts.get(byte, 0) + 1
        if high - low >= _OFTEN:
            self._often[context] = counts
        return counts


class Primer:
    """Counts over a collection of captions and words."""

    def __init__(self, captions: Iterable[bytes], words: Iterable[bytes]) -> None:
        """Take captions (as ``turn_case`` gives them) and single words."""
        runs, tokens, phrases, gaps = entries = [_Entries() for _ in range(4)]
        whole = bytearray()
        for text in [*(b"\0%b\0" % each for each in captions), *(b" %b " % each for each in words)]:
            base = len(whole)
            whole += text
            lower = text.lower()
            starts = _token_starts(text)
            runs.add((text[k : k + _RUN] for k in range(len(text))), range(base, base + len(text)))
            tokens.add((lower[k : k + _CUT] for k in starts[1:]), (base + k for k in starts[1:]))
            if text[0] != END:
                continue
            phrases.add((lower[k : k + _CUT] for k in starts), (base + k for k in starts))
            for (first, end), after in zip(pairwise(starts), starts[2:], strict=False):
                key = lower[first:end] + _GAP + lower[after : after + _CUT]
                gaps.add([key[:_CUT]], [base + after - (end - first) - len(_GAP)])
        self._runs, self._tokens, self._phrases, self._gaps = (
            _Index(bytes(whole), each.keys, each.places) for each in entries
        )

    def following(self, contexts: Sequence[bytes | None]) -> list[Counts]:
        """Return what follows each of ``History.contexts``; not to be changed."""
        indices = [*[self._runs] * len(ORDERS), self._tokens, self._phrases, self._phrases, self._gaps]
        return [{} if c is None else index.following(c) for c, index in zip(contexts, indices, strict=True)]


class Weights:
    """What counts are worth, in 1/256 of a natural logarithm of odds.

    Attributes:
        rank: for the n-th guess at a byte; the last holds for all later ones.
        cells: for each kind of context, for each number of bits that a count of hits has, for each number of bits that
            a count of misses has; the last row and column hold for all larger counts.
    """

    def __init__(self, text: str) -> None:
        """Read the first line as ``rank``, the rest as the rows of ``cells``."""
        first, *rows = [[int(number) for number in line.split()] for line in text.splitlines()]
        self.rank = first
        wide = [row + row[-1:] * (_COUNT_BITS - len(row)) for row in rows]
        kinds = [wide[k : k + HIT_ROWS] for k in range(0, len(wide), HIT_ROWS)]
        self.cells = [kind + kind[-1:] * (_COUNT_BITS - len(kind)) for kind in kinds]


def turn_case(text: bytes) -> bytes:
    """Return ``text`` with the other case for each letter at a start: of the text, of a line, behind ". ".

    It is its own inverse, and spares the capital there.
    """
    return _FIRST_LETTER.sub(lambda found: found[0].swapcase(), text)


def captions() -> list[bytes]:
    """Return the captions of the primer."""
    return [turn_case(each) for each in read("captions.txt").rstrip(b"\n").split(b"\n\n")]


@cache
def primer() -> Primer:
    """Return the primer, read and sorted once."""
    return Primer(captions(), read("vocabulary.txt").split())


@cache
def weights() -> Weights:
    """Return the weights."""
    return Weights(read("weights.txt").decode())


def read(name: str) -> bytes:
    """Return a file of the primer."""
    return (files(__package__) / "primer" / name).read_bytes()


def _token_starts(text: bytes) -> list[int]:
    """Return where the tokens start, as ``History`` has them."""
    starts = {0, 1}
    for found in _SPACE.finditer(text):
        starts.add(found.end())
        if text[found.start()] == _LINE:
            starts.add(found.start())
    return sorted(starts - {len(text)})
