"""The word coder: short texts in a fixed vocabulary, one Huffman code per word.

It codes what the scene grammar writes in about a third of the bytes that brotli needs. The table is part of the
format: the canonical Huffman code that follows from ``CODE_LENGTHS`` never changes.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from cmvc.errors import BitstreamError, LimitError

END = "<end>"
LINE = "<line>"
_BY_LENGTH = {  # bits: words
    4: (
        ",", "dull", "inner"
    ),
    5: (
        "centre", "figure", "left", "long", "mid", "pattern", "right", "small", "upper", "wide"
    ),
    6: (
        ".", "blue", "brown", "deep", "falling", "far", "gold", "grey", "light", "lower", "patch", "rising",
        "soft", "tall", "the", "thin", "top"
    ),
    7: (
        "azure", "blackish", "bottom", "dark", "ground", "high", "large", "low", "moves", "pale", "red",
        "rich", "slowly", "tiny", "trees", "water", "yellow"
    ),
    8: (
        "down", "face", "fast", "grass", "green", "huge", "lime", "orange", "purple", "stays", "up", "very",
        "violet", "whitish"
    ),
    9: (
        END, LINE, "background", "black", "camera", "charcoal", "cyan", "pans", "pink", "shakes", "silver",
        "sky", "sways", "tilts", "vivid", "wall", "white"
    ),
    10: (
        "brightens", "in", "intense", "magenta", "olive", "out", "panel", "slightly", "teal", "zooms"
    ),
    11: (
        "bobs", "fades", "flickers", "flutters", "glow", "shadow", "steadily", "text"
    ),
}  # fmt: skip
CODE_LENGTHS = {word: bits for bits, words in _BY_LENGTH.items() for word in words}
_LONGEST = max(CODE_LENGTHS.values())

_TOKEN = re.compile(r"[a-z]+|[,.\n]| ", re.IGNORECASE)


def pack_words(text: str) -> bytes | None:
    """Return ``text`` as Huffman codes, most significant bit first; None where it is not of the vocabulary.

    It is of the vocabulary when splitting it into words and joining them again gives the very same text.
    """
    tokens = [LINE if t == "\n" else t.lower() for t in _TOKEN.findall(text) if t != " "]
    if any(t not in CODE_LENGTHS for t in tokens) or "".join(_pieces(tokens)) != text:
        return None
    codes = _codes()
    bits = "".join(codes[t] for t in [*tokens, END])
    padded = bits + "0" * (-len(bits) % 8)
    return bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))


def unpack_words(data: bytes, most: int) -> str:
    """Return the text that ``data`` codes.

    Args:
        data: as ``pack_words`` gives it.
        most: bound on the text's length in characters, all of which are ASCII.

    Raises:
        BitstreamError: the codes end without the end mark, a code is none of the table's, or something other than
            zero bits up to the byte follows the end mark.
        LimitError: the text is longer than ``most``.
    """
    # Every code but the end mark is a character at least, so more bytes than this cannot be a text within bounds.
    if 8 * len(data) > most * _LONGEST + CODE_LENGTHS[END] + 7:
        raise LimitError(f"text bytes: {len(data)} bytes of words code more than the limit of {most}")
    pieces: list[str] = []
    length = 0
    for piece in _pieces(_tokens(data)):
        length += len(piece)
        if length > most:
            raise LimitError(f"text bytes: over the limit of {most}")
        pieces.append(piece)
    return "".join(pieces)


def _tokens(data: bytes) -> Iterator[str]:
    words = {int("1" + code, 2): word for word, code in _codes().items()}  # the 1 in front keeps leading zeros
    code, left = 1, 8 * len(data)
    while left and code.bit_length() <= _LONGEST:
        left -= 1
        code = code << 1 | data[-1 - left // 8] >> left % 8 & 1
        word = words.get(code)
        if word == END:
            if left >= 8 or data[-1] & ((1 << left) - 1):
                raise BitstreamError("a text goes on behind its end mark")
            return
        if word is not None:
            yield word
            code = 1
    raise BitstreamError("a text's words end without their end mark")


def _pieces(tokens: Iterable[str]) -> Iterator[str]:
    """Yield each word with the blank before it and its capital at the start and after a full stop or line feed."""
    last = LINE
    for token in tokens:
        if token == LINE:
            yield "\n"
        elif token in (",", "."):
            yield token
        else:
            blank = "" if last == LINE else " "
            yield blank + (token.capitalize() if last in (LINE, ".") else token)
        last = token


@cache
def _codes() -> dict[str, str]:
    """Return the canonical Huffman codes: by length, then in the table's order."""
    codes, code, length = {}, 0, 0
    for word, size in sorted(CODE_LENGTHS.items(), key=lambda item: item[1]):
        code <<= size - length
        length = size
        codes[word] = f"{code:0{size}b}"
        code += 1
    return codes
