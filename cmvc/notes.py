"""Notes: what a user should know about a result, one line each, and the stable word that each starts with.

A line reads ``word: text``, so that programs can tell notes apart wherever the lines go. Summaries carry the word as a
``NoteCode``, too.
"""

from enum import StrEnum

from cmvc.v1 import common_pb2


class Note(StrEnum):
    """The word that a note starts with; never changed once released."""

    SOUND_LEFT_OUT = "sound-left-out"
    SOUND_CUT = "sound-cut"
    TRACKS_LEFT_OUT = "tracks-left-out"
    SUBTITLES_LEFT_OUT = "subtitles-left-out"
    DATA_LEFT_OUT = "data-left-out"
    CHAPTERS_LEFT_OUT = "chapters-left-out"
    METADATA_SHORTENED = "metadata-shortened"
    ALPHA_FLATTENED = "alpha-flattened"
    HDR_TONE_MAPPED = "hdr-tone-mapped"
    FLOOR = "floor"
    SATURATED = "saturated"
    QUALITY_MISSED = "quality-missed"
    SEMANTICS = "semantics"
    SOURCE_DAMAGED = "source-damaged"
    SOURCE_SHORT = "source-short"
    RATE_EVENED = "rate-evened"
    GAPS_CLOSED = "gaps-closed"
    FRAMES_SCALED = "frames-scaled"
    PICTURE_STANDS = "picture-stands"
    SILENCE_PUT = "silence-put"
    TEXT_SHORTENED = "text-shortened"
    TEXT_CUT = "text-cut"
    TRUNCATED = "TRUNCATED"  # as the error of a stream of which nothing can be decoded
    CORRUPT = "CORRUPT"  # likewise

    def line(self, text: str) -> str:
        """Return the note that says ``text``."""
        return f"{self}: {text}"


_WORDS = frozenset(Note)
_UNSPECIFIED = common_pb2.NOTE_CODE_UNSPECIFIED


def code_of(line: str) -> common_pb2.NoteCode.ValueType:
    """Return the code of a note, unspecified where it starts with no word that is known."""
    word = line.partition(":")[0]
    return common_pb2.NoteCode.Value(f"NOTE_CODE_{Note(word).name}") if word in _WORDS else _UNSPECIFIED
