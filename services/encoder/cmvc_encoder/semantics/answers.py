"""From what a multimodal LLM wrote to one line that may travel. An answer is data, whatever it says."""

import re

from cmvc.bitstream.text import normalise

MAX_CHARACTERS = 400  # of an answer; more is a model that does not end
MAX_WORDS = 60
_REPEATS = 3  # of a run of words in a row are a model that is stuck
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_MARKUP = re.compile(r"```\w*|\*\*|__|^#+\s|^\s*(?:[-*•]|\d+[.)])\s+|<[^<>\n]{0,40}>|\{[^{}\n]{0,10}\}", re.MULTILINE)
_OPENING = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok|here(?:'s| is| are))\b[^.:!\n]{0,80}[.:!]\s*)+"
    r"|^(?:the|this|an?)\s+(?:image|picture|photo|video(?:\s+(?:frame|clip))?|frame|scene|clip)\s+"
    r"(?:shows|depicts|features|contains|captures)\s+"
    r"|^(?:answer|caption|description|motion|content|assistant)\s*:\s*",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"^(?:nothing (?:moves|is moving)|no (?:visible )?(?:motion|movement)|none|n/a)\b", re.IGNORECASE)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb "


def clean(answer: str) -> str:
    """Return an answer as one printable line without markup, thoughts, openings and loops; empty where nothing is left.

    Control and format characters (bidirectional marks and zero-width ones among them) become blanks.
    """
    text = _MARKUP.sub(" ", _THOUGHT.sub(" ", answer[: 8 * MAX_CHARACTERS]))
    text = " ".join(normalise(text).split()).strip(_QUOTES)
    text = _OPENING.sub("", text).strip(_QUOTES)
    words = _without_loops(text.split())[:MAX_WORDS]
    text = _whole(" ".join(words)[:MAX_CHARACTERS], len(words) == MAX_WORDS or len(text) > MAX_CHARACTERS)
    if not any(c.isalnum() for c in text):
        return ""
    return text[0].upper() + text[1:]


def clean_motion(answer: str) -> str:
    """Return the same of an answer about motion; empty where it says that nothing moves."""
    text = clean(answer)
    return "" if _NOTHING.match(text) else text


def _without_loops(words: list[str]) -> list[str]:
    """Return the words up to where a run of one to eight of them begins to come again and again."""
    for length in range(1, 9):
        for start in range(len(words) - _REPEATS * length + 1):
            run = words[start : start + length]
            if all(words[start + k * length : start + (k + 1) * length] == run for k in range(1, _REPEATS)):
                return _without_loops(words[: start + length])
    return words


def _whole(text: str, cut: bool) -> str:
    """Return a text that was cut, up to the end of its last sentence where there is one in its second half."""
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1] if cut and end > len(text) // 2 else text
