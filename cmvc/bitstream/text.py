"""Text coding: captions to bytes and back.

A coded text is one byte that names the coder, then the coder's bytes. Ids are registered in docs/bitstream.md.
"""

import unicodedata
from enum import IntEnum

import brotli

from cmvc.bitstream.caption_coder import pack_caption, unpack_caption
from cmvc.bitstream.words import pack_words, unpack_words
from cmvc.errors import BitstreamError, LimitError
from cmvc.limits import DEFAULT_LIMITS, Limits


class TextCoder(IntEnum):
    """Registered coders of texts."""

    PLAIN = 0  # UTF-8
    BROTLI = 1  # RFC 7932, quality 11, whose built-in dictionary suits short English
    WORDS = 2  # a fixed Huffman code over the words of the scene grammar; see words.py
    CAPTION = 3  # an adaptive model of captions; see caption_coder.py


def normalise(text: str) -> str:
    """Return ``text`` as it may travel: NFC, printable, line feeds kept, runs of blanks as one blank."""
    lines = unicodedata.normalize("NFC", text).split("\n")
    printable = ("".join(c if c.isprintable() else " " for c in line) for line in lines)
    return "\n".join(" ".join(line.split()) for line in printable)


def encode_text(text: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the shortest coding of ``text``; the empty text is no bytes at all.

    A text of the scene grammar's words always goes through their own coder: for what the grammar writes it is the
    shortest, and far the quickest (benchmarks/results/captions.md).

    Raises:
        LimitError: the text is over ``limits.text_bytes`` in UTF-8.
    """
    if not text:
        return b""
    raw = text.encode()
    limits.check("text_bytes", len(raw))
    words = pack_words(text)
    if words is not None:
        return bytes([TextCoder.WORDS]) + words
    codings = {TextCoder.PLAIN: raw, TextCoder.BROTLI: pack_brotli(raw), TextCoder.CAPTION: pack_caption(text)}
    return min((bytes([coder]) + data for coder, data in codings.items() if data is not None), key=len)


def pack_brotli(raw: bytes) -> bytes:
    """Return UTF-8 as ``TextCoder.BROTLI`` has it."""
    packed: bytes = brotli.compress(raw, mode=brotli.MODE_TEXT, quality=11, lgwin=10)
    return packed


def decode_text(data: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the text that ``data`` codes.

    Raises:
        BitstreamError: the coder is unknown or the bytes are not its own.
        LimitError: the text is over ``limits.text_bytes``.
    """
    if not data:
        return ""
    try:
        raw = _decode_bytes(data[0], data[1:], limits)
        limits.check("text_bytes", len(raw))
        return raw.decode()
    except (brotli.error, UnicodeDecodeError) as error:
        raise BitstreamError(f"a text cannot be decoded: {error}") from None


def _decode_bytes(coder: int, data: bytes, limits: Limits) -> bytes:
    if coder == TextCoder.PLAIN:
        return data
    if coder == TextCoder.BROTLI:
        decompressor = brotli.Decompressor()
        raw: bytes = decompressor.process(data, output_buffer_limit=limits.text_bytes + 1)
        if len(raw) > limits.text_bytes:
            raise LimitError(f"text bytes: over the limit of {limits.text_bytes}")
        if not decompressor.is_finished():
            raise BitstreamError("a text ends too early")
        return raw
    if coder == TextCoder.WORDS:
        return unpack_words(data, limits.text_bytes).encode()
    if coder == TextCoder.CAPTION:
        return unpack_caption(data, limits.text_bytes)
    raise BitstreamError(f"text coder {coder} is unknown; update cmvc-sdk")
