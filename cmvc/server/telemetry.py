"""The metrics. Their names are part of the interface: dashboards and alerts are built on them."""

import platform
import time
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from cmvc import __version__
from cmvc.bitstream.inspect import segment_parts
from cmvc.bitstream.modes import MODE_NAMES, Mode, mode_name
from cmvc.observer import NullObserver
from cmvc.v1 import bitstream_pb2 as pb

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_FACTORS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0)  # of real time; finest where it matters

STREAM_BITS_PER_SECOND = Gauge(
    "cmvc_stream_bits_per_second", "Bit rate of the last stream, by mode of its segments", ["mode"]
)
STREAM_BITS_PER_PIXEL = Gauge(
    "cmvc_stream_bits_per_pixel", "Bits per source pixel of the last stream, by mode of its segments", ["mode"]
)
STREAMS_OVER_TARGET = Counter(
    "cmvc_streams_over_target_total", "Streams that ended over the bit rate asked for, by mode asked for", ["mode"]
)
PAYLOAD_BYTES = Counter("cmvc_payload_bytes_total", "Bytes of CMVC streams, by mode and part", ["mode", "part"])
AV1_STORED_PLAIN = Counter(
    "cmvc_av1_stored_plain_total", "Segments whose AV1 payload was stored without being packed, by mode", ["mode"]
)
SEGMENT_SECONDS = Histogram(
    "cmvc_segment_seconds", "Time that a segment took in a stage", ["stage", "mode", "profile"], buckets=_SECONDS
)
VIDEO_SECONDS = Counter(
    "cmvc_video_seconds_total", "Seconds of video that went through", ["direction", "mode", "profile"]
)
FIRST_BYTE_SECONDS = Histogram("cmvc_first_byte_seconds", "Time from a request to its first output", buckets=_SECONDS)
REALTIME_FACTOR = Histogram(
    "cmvc_realtime_factor", "Seconds of video per second of work of a request", ["direction"], buckets=_FACTORS
)
INFLIGHT_SEGMENTS = Gauge("cmvc_inflight_segments", "Segments in work", ["service"])
QUEUE_DEPTH = Gauge("cmvc_queue_depth", "Requests that wait for a slot")
CALLS = Gauge("cmvc_calls", "Calls that have begun and not ended", ["method"])
SEGMENTS_REDRIVEN = Counter("cmvc_segments_redriven_total", "Segments that were given to another decoder", ["reason"])
SEMANTICS_FALLBACKS = Counter(
    "cmvc_semantics_fallbacks_total", "Windows that embedded described because the model failed", ["semantics"]
)
REQUESTS = Counter("cmvc_requests_total", "Calls, by method and status", ["method", "code"])
TENANT_BYTES = Counter("cmvc_tenant_bytes_total", "Bytes of calls, by caller (a hash)", ["tenant", "direction"])
TENANT_SECONDS = Counter("cmvc_tenant_seconds_total", "Seconds in which calls held places, by caller", ["tenant"])
TENANT_PIXEL_STEPS = Counter(
    "cmvc_tenant_pixel_steps_total", "Pixels times denoising steps that models make, by caller", ["tenant"]
)
BUILD_INFO = Gauge("cmvc_build_info", "Always 1; the labels say what runs here", ["version", "python"])
BUILD_INFO.labels(__version__, platform.python_version()).set(1)
PROFILE_UP = Gauge("cmvc_profile_up", "1 where a decoder's profile does all its modes, else 0", ["profile"])
BACKEND_UP = Gauge("cmvc_backend_up", "1 where a backend takes work, else 0", ["backend"])


def mode_label(mode: Mode.ValueType) -> str:
    """Return the mode as a label."""
    return MODE_NAMES.get(mode, "none")


def asked_label(mode: Mode.ValueType) -> str:
    """Return the mode that was asked for as a label; unspecified lets the encoder choose."""
    return MODE_NAMES.get(mode, "auto")


class MetricsObserver(NullObserver):
    """Passes on what a pipeline says about its segments (see ``cmvc.observer``)."""

    def __init__(self, direction: str, profile: str = "") -> None:
        """Label what is passed on with ``profile``; ``direction`` is ``encode`` or ``decode``."""
        self._direction = direction
        self._profile = profile

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        """Record the time of a stage."""
        SEGMENT_SECONDS.labels(stage, mode_label(mode), self._profile).observe(seconds)

    def payload(self, mode: Mode.ValueType, part: str, size: int) -> None:
        """Count bytes."""
        PAYLOAD_BYTES.labels(mode_label(mode), part).inc(size)

    def video(self, mode: Mode.ValueType, seconds: float) -> None:
        """Count video."""
        VIDEO_SECONDS.labels(self._direction, mode_label(mode), self._profile).inc(seconds)

    def stream(self, mode: Mode.ValueType, bits_per_second: float, bits_per_pixel: float) -> None:
        """Set the rates of a stream that was encoded."""
        encoded_stream(mode, bits_per_second, bits_per_pixel)

    def over_target(self, mode: Mode.ValueType) -> None:
        """Count a stream that is larger than asked for."""
        STREAMS_OVER_TARGET.labels(asked_label(mode)).inc()

    def stored_plain(self, mode: Mode.ValueType) -> None:
        """Count a payload that was not packed."""
        AV1_STORED_PLAIN.labels(mode_label(mode)).inc()

    def fallback(self, extractor: str) -> None:
        """Count a window that the model did not describe."""
        SEMANTICS_FALLBACKS.labels(extractor).inc()


@dataclass
class _Sum:
    bits: int = 0
    frames: int = 0


class StreamMeter:
    """Adds up the segments of one stream and sets the rates by mode."""

    def __init__(self, header: pb.StreamHeader) -> None:
        self._header = header
        self._sums: dict[str, _Sum] = {}

    def segment(self, segment: pb.Segment, frames: int, size: int) -> None:
        """Count one segment of ``size`` bytes in the stream."""
        mode = mode_name(segment)
        for part, count in segment_parts(segment, size).items():
            PAYLOAD_BYTES.labels(mode, part).inc(count)
        total = self._sums.setdefault(mode, _Sum())
        total.bits += 8 * size
        total.frames += frames
        rate = self._header.frame_rate_numerator / (self._header.frame_rate_denominator or 1)
        STREAM_BITS_PER_SECOND.labels(mode).set(total.bits * rate / total.frames)
        pixels = self._header.width * self._header.height * total.frames
        STREAM_BITS_PER_PIXEL.labels(mode).set(total.bits / pixels)


def encoded_stream(mode: Mode.ValueType, bits_per_second: float, bits_per_pixel: float) -> None:
    """Set the rates of a stream that was encoded; its mode is the one asked for, and unspecified counts as ``auto``."""
    label = asked_label(mode)
    STREAM_BITS_PER_SECOND.labels(label).set(bits_per_second)
    STREAM_BITS_PER_PIXEL.labels(label).set(bits_per_pixel)


class RequestClock:
    """Times one request: its first output and its speed."""

    def __init__(self, direction: str) -> None:
        """Start the clock; ``direction`` is ``encode`` or ``decode``."""
        self._direction = direction
        self._start = time.monotonic()
        self._first = True

    def output(self) -> None:
        """Note that output leaves."""
        if self._first:
            self._first = False
            FIRST_BYTE_SECONDS.observe(time.monotonic() - self._start)

    def done(self, seconds_of_video: float) -> None:
        """Note the end."""
        elapsed = time.monotonic() - self._start
        if elapsed > 0:
            REALTIME_FACTOR.labels(self._direction).observe(seconds_of_video / elapsed)
