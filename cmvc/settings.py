"""Settings as people write them, and the configs that they stand for."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from cmvc.arguments import check_types
from cmvc.bitstream.modes import MODES_BY_NAME
from cmvc.bounds import ENCODE_BOUNDS, check_bound, check_bounds
from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2

MODE_CHOICES = ("auto", *MODES_BY_NAME)
STREAM_ENDING = ".cmvc"
# Of files in a folder that are taken for videos; any file that is named itself is tried, whatever its ending.
VIDEO_ENDINGS = frozenset(
    {".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"}
    | {".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
FORMATS_BY_ENDING = {".mp4": "mp4", ".m4v": "mp4", ".y4m": "y4m"}
EFFORTS_BY_NAME = {
    "fast": encoder_pb2.EFFORT_FAST,
    "default": encoder_pb2.EFFORT_DEFAULT,
    "best": encoder_pb2.EFFORT_BEST,
}
FORMATS_BY_NAME = {
    "mp4": decoder_pb2.OUTPUT_FORMAT_FMP4,
    "y4m": decoder_pb2.OUTPUT_FORMAT_Y4M,
}
DEFAULT_CRF = 18  # of H.264; adds no loss that the eye sees to decoded video
ADAPTER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ADAPTER_SETTING = "adapter"  # of a profile: the adapter's name
ADAPTER_HASH_BYTES = 8  # of the SHA-256, in a stream
_RATE = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")
_TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,6}):)?(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})", re.ASCII)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_MOST_RATE = ENCODE_BOUNDS["bits_per_second"].most


def parse_bitrate(text: str) -> int:
    """Return the bit/s that ``8k``, ``12000`` or ``1.5M`` stands for.

    Raises:
        InvalidSettingError: it is none of those, or 0, or more than any stream may have.
    """
    match = _RATE.fullmatch(text.strip())
    rate = round(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if not 0 < rate <= _MOST_RATE:
        raise InvalidSettingError(f"'{text}' is not a bit rate; write bits per second such as 8k, 12000 or 1.5M")
    return rate


def parse_seconds(text: str) -> float:
    """Return the seconds that ``90``, ``1:30`` or ``0:01:30.5`` stands for.

    Raises:
        InvalidSettingError: it is none of those.
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise InvalidSettingError(f"'{text}' is no time; write seconds or [HOURS:]MINUTES:SECONDS such as 90 or 1:30.5")
    hours, minutes, seconds = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds)


def parse_audio(text: str, track: str = "") -> encoder_pb2.AudioConfig:
    """Return what ``auto``, ``none``, ``copy`` or ``opus:RATE`` stands for, applied to the sound ``track``.

    Raises:
        InvalidSettingError: it is none of those, or a track is named of sound that is dropped.
    """
    if text == "none" and track:
        raise InvalidSettingError(f"the sound track '{track[:40]}' is chosen, yet sound is dropped; choose one of them")
    if text == "none":
        return encoder_pb2.AudioConfig()
    if text == "auto":
        return encoder_pb2.AudioConfig(keep=True, track=track)
    if text == "copy":
        return encoder_pb2.AudioConfig(copy=True, track=track)
    codec, _, rate = text.partition(":")
    if codec != "opus" or not rate:
        raise InvalidSettingError(f"'{text}' is no way to treat sound; write auto, none, copy or opus:8k")
    return encoder_pb2.AudioConfig(opus_bits_per_second=parse_bitrate(rate), track=track)


def parse_settings(texts: Iterable[str]) -> dict[str, str]:
    """Return the settings that texts such as ``steps=20`` stand for.

    Raises:
        InvalidSettingError: one has no ``=``.
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InvalidSettingError(f"'{text}' is not a setting; write NAME=VALUE such as steps=20")
        settings[name] = value
    return settings


def parse_adapter(text: str) -> tuple[str, bytes]:
    """Return the name and the hash that ``NAME@HASH`` stands for, as ``cmvc models list`` shows it.

    The hash is the first 8 bytes of the SHA-256 of the adapter's file, in 16 hexadecimal digits.

    Raises:
        InvalidSettingError: it is none of that.
    """
    name, _, digits = text.partition("@")
    if not ADAPTER_NAME.fullmatch(name) or not re.fullmatch(rf"[0-9a-fA-F]{{{2 * ADAPTER_HASH_BYTES}}}", digits):
        raise InvalidSettingError(
            f"'{text[:80]}' is no adapter; write NAME@HASH as 'cmvc models list' shows it, HASH being 16 hex digits"
        )
    return name, bytes.fromhex(digits)


def encode_config(
    *,
    mode: str = "auto",
    bitrate: float | str | None = None,
    quality: int | None = None,
    semantics: str = "embedded",
    strict: bool = False,
    keyframes: str = "embedded",
    keyframe_threshold: float | None = None,
    keyframe_gap_ms: int = 0,
    audio: str = "auto",
    audio_track: str = "",
    metadata: bool = False,
    latency_ms: int = 0,
    seed: int = 0,
    profile: str = "",
    settings: Mapping[str, str] | None = None,
    adapter: str = "",
    effort: str = "default",
    start: float = 0.0,
    duration: float = 0.0,
) -> encoder_pb2.EncodeConfig:
    """Return the config that the settings stand for.

    Args:
        mode: ``auto``, ``tt2v``, ``it2v``, ``vt2v`` or ``coded``.
        bitrate: of the whole stream, in bit/s or as text such as ``8k``; None for the encoder's default.
        quality: 1..100, instead of a bit rate.
        semantics: name of the semantic extractor.
        strict: fail when its model fails, instead of going on with ``embedded``.
        keyframes: name of the embedding that keyframes are chosen by.
        keyframe_threshold: cosine similarity to the last keyframe, 0..1, under which a frame may become the next; None
            for the embedding's default.
        keyframe_gap_ms: longest time between keyframes, 1..3600000; 0 for the default.
        audio: ``auto`` (Opus at a rate that leaves the picture its share; dropped with a note where none does),
            ``none``, ``copy`` or ``opus:8k``.
        audio_track: number among the sound tracks, from 1, or language such as ``fra``; empty for the usual one.
        metadata: carry title, chapters and the language of the sound.
        latency_ms: longest time, 1..60000, that a frame waits for the last one which its segment or the search for cuts
            needs, the time to code it not counted; 0 for the most efficient segments.
        seed: of the stream, 0..65535; what generators draw their noise from.
        profile: generator that the stream is made for; empty for ``embedded``.
        settings: of that generator, those that shape frames, such as ``{"steps": "20"}``.
        adapter: of that generator, as ``NAME@HASH`` (see ``parse_adapter``); empty for none.
        effort: ``fast``, ``default`` or ``best``: how much work goes into finding and making a coding.
        start: seconds of the video before the first frame that is encoded.
        duration: seconds that are encoded; 0 for all that follow.

    Raises:
        InvalidSettingError: a setting is out of range or does not fit another.
        TypeError: it is of another type.
    """
    check_types(mode=(mode, str), bitrate=(bitrate, (int, float, str)), effort=(effort, str))
    check_types(quality=(quality, int), latency_ms=(latency_ms, int), seed=(seed, int))
    check_types(keyframe_threshold=(keyframe_threshold, (int, float)), keyframe_gap_ms=(keyframe_gap_ms, int))
    _check_choice("mode", mode, MODE_CHOICES)
    _check_choice("effort", effort, tuple(EFFORTS_BY_NAME))
    if bitrate is not None and quality is not None:
        raise InvalidSettingError("a bit rate and a quality exclude each other; give one of them")
    # Before they are put into fields that hold no negative numbers; 0 stands for nothing given but in the seed.
    numbers = {"quality": quality, "latency_ms": latency_ms or None, "seed": seed}
    for path, value in {**numbers, "keyframes.max_gap_ms": keyframe_gap_ms or None}.items():
        if value is not None:
            check_bound(path, value)
    config = encoder_pb2.EncodeConfig(
        mode=MODES_BY_NAME.get(mode, common_pb2.MODE_UNSPECIFIED),
        semantics=semantics,
        strict=strict,
        keyframes=encoder_pb2.KeyframeConfig(
            embedding=keyframes, threshold=keyframe_threshold, max_gap_ms=keyframe_gap_ms
        ),
        latency_ms=latency_ms,
        seed=seed,
        audio=parse_audio(audio, audio_track),
        metadata=metadata,
        profile=_profile(profile, settings or {}, adapter),
        effort=EFFORTS_BY_NAME[effort],
        start=start,
        duration=duration,
    )
    if quality is not None:
        config.quality = quality
    elif bitrate is not None:
        config.bits_per_second = parse_bitrate(str(bitrate))
    check_bounds(config)
    return config


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidSettingError(
            f"the {name} '{value}' is unknown; choose one of {', '.join(choices)}", field=f"config.{name}"
        )


def _profile(name: str, settings: Mapping[str, str], adapter: str) -> pb.Profile | None:
    if not adapter:
        return pb.Profile(id=name, settings=settings) if name or settings else None
    adapter_name, sha256 = parse_adapter(adapter)
    if not name:
        raise InvalidSettingError(f"the adapter '{adapter_name}' needs a profile whose model it changes; name one")
    if settings.get(ADAPTER_SETTING, adapter_name) != adapter_name:
        raise InvalidSettingError(f"two adapters are named, '{adapter_name}' and '{settings[ADAPTER_SETTING]}'")
    return pb.Profile(id=name, adapter_sha256=sha256, settings={**settings, ADAPTER_SETTING: adapter_name})


def decode_config(
    *,
    profile: str = "",
    output: str | None = None,
    name: str = "",
    start: float = 0.0,
    duration: float = 0.0,
    crf: int | None = None,
) -> decoder_pb2.DecodeConfig:
    """Return the config that the settings stand for.

    Args:
        profile: to decode with; empty for the one that the stream names.
        output: ``mp4`` or ``y4m``; None goes by ``name``.
        name: of the file that is written, whose ending says its form; "" or "-", standard output, for MP4.
        start: seconds of the stream before the first frame that is decoded.
        duration: seconds that are decoded; 0 for all that follow.
        crf: quality of the H.264 in MP4, 0..51, of which more is less; None for 18.

    Raises:
        InvalidSettingError: the output is unknown, or the name has another ending.
        LimitError: the quality is out of range.
    """
    kind = output or (_format_of(name) if name not in ("", "-") else "mp4")
    if kind not in FORMATS_BY_NAME:
        raise InvalidSettingError(f"the output '{kind}' is unknown; choose one of {', '.join(FORMATS_BY_NAME)}")
    if crf is not None:
        DEFAULT_LIMITS.check("crf", crf)
    form = FORMATS_BY_NAME[kind]
    return decoder_pb2.DecodeConfig(profile=profile, format=form, start=start, duration=duration, crf=crf)


def _format_of(name: str) -> str:
    kind = FORMATS_BY_ENDING.get(Path(name).suffix.lower())
    if kind is None:
        raise InvalidSettingError(
            f"'{Path(name).name}' has the ending of no format that is written; "
            f"choose one of {', '.join(FORMATS_BY_ENDING)}, or name the format as well"
        )
    return kind


def check_stream_name(name: str) -> None:
    """Return where ``name`` has the ending of a CMVC stream; "" does, too.

    Raises:
        InvalidSettingError: it has another, as that of a video would be.
    """
    if name and Path(name).suffix.lower() != STREAM_ENDING:
        raise InvalidSettingError(
            f"'{Path(name).name}' does not end in {STREAM_ENDING}, as the streams do that are written; name it so"
        )
