"""AV1 in and out: SVT-AV1 encodes, dav1d decodes, both through PyAV.

Decoding AV1 gives the same samples on every machine, so whatever is predicted from decoded pictures stays exact.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain

import av

from cmvc.ahead import within
from cmvc.bitstream.av1pack.payload import payload_obus
from cmvc.bitstream.av1pack.stream import ObuType
from cmvc.bitstream.obu import without_temporal_delimiters
from cmvc.errors import CorruptStreamError, EncoderStalledError, InvalidSettingError, LimitError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.frames import from_frame, to_frame
from cmvc.media.picture import Picture
from cmvc.media.priority import usual_priority

LEAST_SIDE = 32  # pixels; SVT-AV1 refuses sides under 16, and waits for ever on 24x128 and the like
HIGHEST_CRF = 70.0  # through svtav1-params; FFmpeg's own option stops at 63
CRF_STEP = 0.25
# Of SVT-AV1's work, fixed, since the bytes must not depend on the machine; windows are coded beside each other instead.
# With two, one encode in about 600 hung or came out damaged on a machine under load (docs/adr/0031).
THREADS = 1
DECODING_THREADS = 2
DEFAULT_PRESET = 8
# SVT-AV1 was seen to wait for ever and to write what does not decode, with more threads. What cannot be interrupted is
# left behind in its thread; either is done once more.
STALL_SECONDS = 30.0
STALL_FACTOR = 50  # times as long as usual on one core
_MICROSECONDS = (3.3, 1.1, 0.55, 0.33, 0.2, 0.13, 0.09)  # for a pixel on one core, by preset; the last for all faster
TRIES = 3
# At tens of kbit/s loop restoration costs more bits than it is worth, and quantisers of the levels of the pyramid
# are better a little nearer to each other: each 1 to 2 % on dev clips (docs/adr/0023).
_SEQUENCE = ("enable-restoration=0", "qp-scale-compress-strength=1")
_USUAL_PRICE, _PICTURE_KINDS = 128, 7  # of SVT-AV1's lambda-scale-factors: the neutral one, and how many there are
_PIXEL_FORMAT = "yuv420p"
_CODED = (ObuType.FRAME, ObuType.FRAME_HEADER)
_MOST_HIDDEN = 16  # pictures of a pyramid, coded and not yet shown; later each is shown, or an overlay in its place
_creation = threading.Lock()  # SVT-AV1 sets up global tables when an encoder opens


def encode(
    pictures: Sequence[Picture],
    *,
    frame_rate: Fraction,
    crf: float,
    preset: int = DEFAULT_PRESET,
    still: bool = False,
    even_quality: bool = False,
    bit_price: float = 1.0,
) -> bytes:
    """Return the AV1 OBUs of ``pictures``: a key frame, then inter frames, without temporal delimiters.

    Args:
        pictures: all of one size, even and at least 32x32.
        frame_rate: of the pictures, in frames per second.
        crf: 1..70, in quarters; higher is smaller.
        preset: of SVT-AV1, 0 (slow) to 13.
        still: for one picture: leaves out everything that only a sequence needs.
        even_quality: gives each picture the same quantiser instead of favouring those that others refer to. For
            pictures that are each looked at for long, such as keyframes.
        bit_price: of a bit against error (Lagrange's lambda), over SVT-AV1's own, in 1/128; higher is smaller.

    Raises:
        InvalidSettingError: a picture is too small, odd or of another size, or ``crf`` is out of range.
        EncoderStalledError: SVT-AV1 hung, or wrote what does not decode, three times.
    """
    _check_pictures(pictures, crf, still)
    usual = pictures[0].y.size * len(pictures) * 1e-6 * _MICROSECONDS[min(preset, len(_MICROSECONDS) - 1)]
    patience = STALL_SECONDS + STALL_FACTOR * usual
    asked = settings(crf, still=still, even_quality=even_quality, bit_price=bit_price)
    for _ in range(TRIES):
        with suppress(TimeoutError, CorruptStreamError):
            obus = within(patience, lambda: encode_once(pictures, frame_rate, asked, preset))
            if sum(1 for _ in decode(obus)) == len(pictures):
                return obus
    raise EncoderStalledError(f"SVT-AV1 failed {TRIES} times on {len(pictures)} pictures; restart the encoder")


def settings(crf: float, *, still: bool = False, even_quality: bool = False, bit_price: float = 1.0) -> str:
    """Return SVT-AV1's own parameters; see ``encode``."""
    parameters = [f"crf={round(crf / CRF_STEP) * CRF_STEP:g}", f"lp={THREADS}", "scd=0", "keyint=-1"]
    parameters += ["avif=1"] if still else _SEQUENCE
    if even_quality:
        parameters.append("use-fixed-qindex-offsets=1")
    if (price := round(bit_price * _USUAL_PRICE)) != _USUAL_PRICE:
        parameters.append("lambda-scale-factors=" + ",".join([str(price)] * _PICTURE_KINDS))
    return ":".join(parameters)


def encode_once(pictures: Sequence[Picture], frame_rate: Fraction, settings: str, preset: int) -> bytes:
    """Return what SVT-AV1 writes, unchecked; may never return. See ``encode``."""
    context = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = pictures[0].width, pictures[0].height
    context.pix_fmt = _PIXEL_FORMAT
    context.framerate, context.time_base = frame_rate, 1 / frame_rate
    context.options = {"preset": str(preset), "svtav1-params": settings}
    with _creation, usual_priority():
        context.open()
    packets: list[bytes] = []
    for number, picture in enumerate(pictures):
        frame = to_frame(picture)
        frame.pts = number
        packets += map(bytes, context.encode(frame))
    packets += map(bytes, context.encode(None))
    return without_temporal_delimiters(b"".join(packets))


def _check_pictures(pictures: Sequence[Picture], crf: float, still: bool) -> None:
    if not pictures or (still and len(pictures) != 1):
        raise InvalidSettingError(f"{len(pictures)} pictures cannot be coded this way; a still is exactly one")
    width, height = pictures[0].width, pictures[0].height
    if any((picture.width, picture.height) != (width, height) for picture in pictures):
        raise InvalidSettingError("the pictures of one AV1 sequence must have one size; resize them first")
    if min(width, height) < LEAST_SIDE or width % 2 or height % 2:
        raise InvalidSettingError(f"AV1 pictures are even and at least {LEAST_SIDE} a side, not {width}x{height}")
    if not 1 <= crf <= HIGHEST_CRF:
        raise InvalidSettingError(f"crf {crf} is not within 1..{HIGHEST_CRF:g}")


def decode(payload: bytes, limits: Limits = DEFAULT_LIMITS) -> Iterator[Picture]:
    """Yield the shown pictures of an AV1 payload in order, decoded as they are asked for.

    Args:
        payload: OBUs with sizes, temporal delimiters left out or not, or their packed form.
        limits: bounds the picture size before anything is allocated for it, and the number of pictures.

    Raises:
        BitstreamError: the bytes are neither OBUs nor their packed form.
        CorruptStreamError: they do not decode, or are not 8-bit 4:2:0.
        LimitError: pictures are larger or more than ``limits`` allow, or many are coded that are not shown.
    """
    context = av.CodecContext.create("libdav1d", "r")
    assert isinstance(context, av.VideoCodecContext)
    # One frame at a time: memory stays bounded, and the first picture comes out at once.
    context.options = {"max_pixels": str(limits.pixels), "max_frame_delay": "1", "threads": str(DECODING_THREADS)}
    for count, frame in enumerate(_frames(context, payload, limits), 1):
        limits.check("width", frame.width)
        limits.check("height", frame.height)
        limits.check("segment_frames", count)
        yield _picture(frame)


def _frames(context: av.VideoCodecContext, payload: bytes, limits: Limits) -> Iterator[av.VideoFrame]:
    coded = shown = 0
    for kind, obu in chain(payload_obus(payload, limits), [(0, None)]):
        coded += kind in _CODED
        if coded > 2 * shown + _MOST_HIDDEN:
            raise LimitError(
                f"{coded} AV1 pictures are coded for {shown} that are shown, more than any use of them takes"
            )
        try:
            frames = context.decode(av.Packet(obu) if obu else None)
        except OverflowError:  # ERANGE, which dav1d gives for max_pixels
            raise LimitError("an AV1 picture is larger than the limits allow") from None
        except (av.FFmpegError, ValueError, OSError) as error:
            raise CorruptStreamError(f"AV1 data cannot be decoded: {error}") from None
        shown += len(frames)
        yield from frames


def _picture(frame: av.VideoFrame) -> Picture:
    if frame.format.name != _PIXEL_FORMAT:
        raise CorruptStreamError(f"AV1 pictures must be {_PIXEL_FORMAT}, not {frame.format.name}")
    return from_frame(frame)
