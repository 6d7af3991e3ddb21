"""Notes: what a user should know about a result, one line each, and the stable word that many start with.

A line reads ``word: text``, so that programs can tell notes apart wherever the lines go.
"""

from enum import StrEnum


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

    def line(self, text: str) -> str:
        """Return the note that says ``text``."""
        return f"{self}: {text}"
