"""Text of strangers (names, captions, messages of libraries) as it may stand in a terminal, a log or a message."""

MOST_BYTES = 1000  # in UTF-8; more tells a person nothing
_LETTERS = 4 * MOST_BYTES  # looked at; the rest is not even copied


def one_line(text: str) -> str:
    r"""Return ``text`` on one line of at most ``MOST_BYTES``.

    Runs of white space become one space, what is not printable (escape sequences, direction marks) is written as its
    escape, such as ``\x1b``, and what is too long ends in an ellipsis. Doing it again changes nothing.
    """
    words = " ".join(text[:_LETTERS].split())
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)
    data = line.encode()
    if len(data) <= MOST_BYTES and len(text) <= _LETTERS:
        return line
    return data[: MOST_BYTES - len("…".encode())].decode(errors="ignore") + "…"
