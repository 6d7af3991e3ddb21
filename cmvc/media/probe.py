"""Opening a container: is it a video, which streams are meant, how fast and how large."""

import errno
import os
import re
from fractions import Fraction

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cmvc.errors import LimitError, MediaError, NoVideoError
from cmvc.limits import Limits
from cmvc.media.spool import Source, starts_as_mp4

_BUFFER_BYTES = 1 << 18
_TAGGED_DURATION = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)", re.ASCII)
_NOT_VIDEO = {"tty", "ansi", "bin", "xbin", "idf", "adf"}  # FFmpeg can draw text files; nobody means that
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders leave the second picture unread
_CROP_EXACTLY = "+unaligned"  # or FFmpeg crops on the left by whole words of the processor only
_MOST_THREADS = 8
_THREAD_BYTES = 256 << 20  # of frames that decoder threads work at
_BYTES_PER_PIXEL = 3  # 4:2:0 at 10 bits


def open_container(source: Source, limits: Limits) -> InputContainer:
    """Open what FFmpeg recognises in ``source``, at its start.

    Raises:
        MediaError: it recognises nothing, or only text.
        LimitError: the pictures are declared larger than ``limits`` allow.
    """
    options = {
        "protocol_whitelist": "none",  # a playlist cannot make FFmpeg open anything else
        "max_pixels": str(limits.pixels),  # before FFmpeg allocates anything to look at the first frames
        "format_whitelist": ",".join(limits.containers),
        "codec_whitelist": ",".join(limits.decoders),
    }
    options = {name: value for name, value in options.items() if value}
    try:
        container = av.open(source.view(), "r", options=options, buffer_size=_BUFFER_BYTES, metadata_errors="replace")
    except (av.FFmpegError, ValueError, OSError) as error:
        source.raise_pending()
        raise MediaError(_explain(error, source)) from None
    if container.format.name in _NOT_VIDEO:
        container.close()
        raise NoVideoError("the input is text, not a video")
    return container


def _explain(error: Exception, source: Source) -> str:
    if starts_as_mp4(source):
        return "the input is an MP4 whose index (moov) is missing or damaged: it was cut off; get the whole file"
    if getattr(error, "errno", None) == errno.EBUSY:  # what FFmpeg says of raw pictures past its own size limit
        return "the input declares pictures larger than FFmpeg takes; check its header"
    detail = getattr(error, "strerror", None) or error
    return f"the input is not a video that FFmpeg can read ({detail}); check that it is complete and a video"


def choose_video(container: InputContainer, limits: Limits) -> VideoStream:
    """Return the video stream to read; not a cover picture.

    Raises:
        NoVideoError: there is none.
        MediaError: there is no decoder for it.
        LimitError: its pictures are declared larger than ``limits`` allow.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams if stream.type})
        raise NoVideoError(f"the input has no video stream (only: {', '.join(kinds) or 'nothing'})")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    context = stream.codec_context
    if context is None:  # PyAV's way to say that FFmpeg has no decoder
        raise MediaError("the input's video is in a format that FFmpeg cannot decode; convert it first")
    if not is_read(context, limits):
        raise MediaError(f"the input's video is {context.name}, which is not read here; convert it first")
    check_size(context.width, context.height, limits)
    return stream


def is_read(context: CodecContext, limits: Limits) -> bool:
    """Return whether ``limits`` let a decoder work."""
    return not limits.decoders or context.name in limits.decoders


def make_decoder(stream: VideoStream, limits: Limits) -> VideoCodecContext:
    """Return the decoder to use for ``stream``: its own, but where that ignores transparency."""
    context = stream.codec_context
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and context.name in _WITH_ALPHA:
        other = av.CodecContext.create(_WITH_ALPHA[context.name], "r")
        assert isinstance(other, VideoCodecContext)
        context = other
    context.thread_type = "AUTO"
    context.thread_count = _threads(context.width, context.height)
    context.options = {**context.options, "max_pixels": str(limits.pixels), "flags": _CROP_EXACTLY}
    return context


def check_size(width: int, height: int, limits: Limits) -> None:
    """Check the size of a picture.

    Raises:
        LimitError: it is too large.
    """
    if width > limits.width or height > limits.height or width * height > limits.pixels:
        raise LimitError(
            f"the pictures are {width}x{height}, over the limit of {limits.width}x{limits.height} and "
            f"{limits.pixels} pixels; scale the video down first"
        )


def declared_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return how long the container says the video is; not to be relied on."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if tagged := _TAGGED_DURATION.fullmatch(stream.metadata.get("DURATION", "")):  # Matroska, for each stream
        hours, minutes, seconds = tagged.groups()
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    if container.duration:
        return Fraction(container.duration, av.time_base)
    return None


def _threads(width: int, height: int) -> int:
    """Return how many threads decode pictures of a size; each holds one, at 8 bits or twice that."""
    frame_bytes = max(width * height, 1) * _BYTES_PER_PIXEL
    return max(min(os.cpu_count() or 1, _MOST_THREADS, _THREAD_BYTES // frame_bytes), 1)
