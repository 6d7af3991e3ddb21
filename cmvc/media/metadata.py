"""What a container says about the video: title, chapters, language of the sound."""

from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer

from cmvc.limits import Limits
from cmvc.media.tracks import language_of
from cmvc.notes import Note
from cmvc.v1 import bitstream_pb2 as pb

_LONGEST_MS = (1 << 32) - 1


def read_metadata(
    container: InputContainer, sound: AudioStream | None, start: Fraction, limits: Limits
) -> tuple[pb.Metadata | None, list[str]]:
    """Return what a stream can carry of it, and notes on what it cannot.

    Args:
        container: that is read.
        sound: the sound that is carried, if any.
        start: time of the first frame on the container's clock, in seconds.
        limits: what a decoder will take.

    Returns:
        The metadata, None when the container says nothing; one note where some of it did not fit.
    """
    chapters = [
        pb.Chapter(
            start_ms=_milliseconds(chapter["start"] * (chapter["time_base"] or 0) - start),
            title=_cut(chapter["metadata"].get("title", ""), limits.metadata_text_bytes),
        )
        for chapter in container.chapters()
    ]
    chapters.sort(key=lambda chapter: chapter.start_ms)
    metadata = pb.Metadata(
        title=_cut(container.metadata.get("title", ""), limits.metadata_text_bytes),
        language=_cut(language_of(sound) if sound else "", limits.language_bytes),
        chapters=chapters[: limits.chapters],
    )
    while metadata.ByteSize() > limits.metadata_bytes and metadata.chapters:
        del metadata.chapters[-1]
    notes = []
    if lost := len(chapters) - len(metadata.chapters):
        notes.append(Note.METADATA_SHORTENED.line(f"the last {lost} of {len(chapters)} chapters did not fit"))
    return (metadata if metadata.ByteSize() else None), notes


def chapters_left_out(container: InputContainer) -> list[str]:
    """Return a note where there are chapters; for when they are not carried."""
    count = len(container.chapters())
    text = f"{count} chapter{'s were' if count > 1 else ' was'} left out; --metadata carries them"
    return [Note.CHAPTERS_LEFT_OUT.line(text)] if count else []


def _milliseconds(seconds: Fraction) -> int:
    return min(max(round(1000 * seconds), 0), _LONGEST_MS)


def _cut(text: str, most: int) -> str:
    """Return as much of ``text`` as fits in ``most`` bytes of UTF-8, on one line."""
    line = " ".join(text.split())
    return line.encode("utf-8", "ignore")[:most].decode("utf-8", "ignore")
