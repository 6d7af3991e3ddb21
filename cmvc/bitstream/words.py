"""The word coder: short texts in a fixed vocabulary, one Huffman code per word.

It codes what the scene grammar writes in about a third of the bytes that brotli needs. The table is part of the
format: the canonical Huffman code that follows from ``CODE_LENGTHS`` never changes.
"""

import re
from collections.abc import Iterator
from functools import cache

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

_TOKEN = re.compile(r"[a-z]+|[,.\n]| ", re.IGNORECASE)


class WordsError(ValueError):
    """The bytes are not words of the table up to an end mark."""


def pack_words(text: str) -> bytes | None:
    """Return ``text`` as Huffman codes, most significant bit first; None where it is not of the vocabulary.

    It is of the vocabulary when splitting it into words and joining them again gives the very same text.
    """
    tokens = [LINE if t == "\n" else t.lower() for t in _TOKEN.findall(text) if t != " "]
    if any(t not in CODE_LENGTHS for t in tokens) or _joined(tokens) != text:
        return None
    codes = _codes()
    bits = "".join(codes[t] for t in [*tokens, END])
    padded = bits + "0" * (-len(bits) % 8)
    return bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))


def unpack_words(data: bytes, most: int) -> str:
    """Return the text that ``data`` codes.

    Args:
        data: as ``pack_words`` gives it.
        most: bound on the text's length; longer texts are cut off before the word that passes it.

    Raises:
        WordsError: the codes end without the end mark, or a code is none of the table's.
    """
    return _joined(list(_tokens(data, most)))


def _tokens(data: bytes, most: int) -> Iterator[str]:
    words = {code: word for word, code in _codes().items()}
    longest = max(CODE_LENGTHS.values())
    code, length = "", 0
    for bit in "".join(f"{byte:08b}" for byte in data):
        code += bit
        word = words.get(code)
        if word == END:
            return
        if word is not None:
            length += len(word) + 1
            if length > most:
                return
            yield word
            code = ""
        elif len(code) >= longest:
            break
    raise WordsError("the words end without their end mark")


def _joined(tokens: list[str]) -> str:
    """Return the words with blanks between them and a capital after each full stop."""
    text, capital = "", True
    for token in tokens:
        if token == LINE:
            text, capital = text + "\n", True
        elif token in (",", "."):
            text, capital = text + token, token == "."
        else:
            blank = " " if text and not text.endswith("\n") else ""
            text, capital = text + blank + (token.capitalize() if capital else token), False
    return text


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
