"""The tracks of a container: which sound is meant, and what is left out."""

from collections.abc import Iterator, Sequence

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.probe import is_read
from cmvc.notes import Note

_NO_LANGUAGE = ("", "und")


def choose_sound(
    container: InputContainer, video: VideoStream, wanted: str = "", limits: Limits = DEFAULT_LIMITS
) -> AudioStream | None:
    """Return the sound to keep, or None when there is none that can be read.

    Args:
        container: to choose from.
        video: that the sound goes with.
        wanted: number of the track among the sound tracks, from 1, or its language as the container has it; empty
            for the one that a player would choose.
        limits: say which decoders may be used.

    Raises:
        InvalidSettingError: there is no such track, or no decoder for it.
    """
    tracks = list(container.streams.audio)
    readable = [track for track in tracks if track.codec_context is not None and is_read(track.codec_context, limits)]
    if wanted:
        return _named(tracks, readable, wanted)
    best = container.streams.best("audio", related=video)
    return best if isinstance(best, AudioStream) and best in readable else next(iter(readable), None)


def language_of(stream: Stream) -> str:
    """Return the language of a track as the container has it, such as ``fra``; empty where it does not say."""
    language = (stream.language or "").strip()
    return "" if language.lower() in _NO_LANGUAGE else language


def left_out(container: InputContainer, video: VideoStream, sound: AudioStream | None) -> Iterator[str]:
    """Yield a note for each kind of track that is not carried.

    Args:
        container: that is read.
        video: that is carried.
        sound: that is carried; None where the sound as a whole is left out, which is not said here.
    """
    others = [s for s in container.streams.video if s is not video and not s.disposition & Disposition.attached_pic]
    if others:
        yield Note.TRACKS_LEFT_OUT.line(f"{_count(others, 'more video track')} left out")
    sounds = [track for track in container.streams.audio if sound is not None and track is not sound]
    if sounds:
        yield Note.TRACKS_LEFT_OUT.line(f"{_count(sounds, 'more sound track')} left out; --audio-track chooses")
    if container.streams.subtitles:
        yield Note.SUBTITLES_LEFT_OUT.line(f"{_count(container.streams.subtitles, 'subtitle track')} left out")
    data = [*container.streams.data, *container.streams.attachments]
    if data:
        yield Note.DATA_LEFT_OUT.line(f"{_count(data, 'data track')} left out")


def _named(tracks: list[AudioStream], readable: list[AudioStream], wanted: str) -> AudioStream:
    if wanted.isascii() and wanted.isdigit():
        found = tracks[int(wanted) - 1 :][:1] if wanted.strip("0") else []
    else:
        found = [track for track in tracks if language_of(track).lower() == wanted.lower()]
    if not found:
        there = ", ".join(_described(number, track) for number, track in enumerate(tracks, 1)) or "none"
        raise InvalidSettingError(f"the input has no sound track '{wanted[:40]}'; its sound tracks: {there}")
    if found[0] not in readable:
        raise InvalidSettingError(f"the sound track '{wanted}' is in a format that cannot be decoded here")
    return found[0]


def _described(number: int, track: AudioStream) -> str:
    codec = track.codec_context.name if track.codec_context else "unknown codec"
    return f"{number} ({', '.join([*filter(None, [language_of(track)]), codec])})"


def _count(tracks: Sequence[Stream], what: str) -> str:
    """Return how many there are, and of which languages, as the subject of "left out"."""
    languages = ", ".join(dict.fromkeys(filter(None, map(language_of, tracks))))
    several = len(tracks) > 1
    return f"{len(tracks)} {what}{'s' * several}{f' ({languages})' * bool(languages)} {'were' if several else 'was'}"
