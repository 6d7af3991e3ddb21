"""The decoder's main job: segment -> conditions -> executor (a generator) -> frames -> output bytes.

Plain generators of ``cmvc.records``, which ``cmvc.wire.messages`` turns into messages; neither grpc nor Triton.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from cmvc.ahead import Begun, Pace, Stopwatch, ahead
from cmvc.bitstream.audio import first_packet, unpack_audio
from cmvc.bitstream.cut import part_header, part_sound
from cmvc.bitstream.header import check_header
from cmvc.bitstream.modes import Mode, check_served, mode_name, mode_of
from cmvc.bitstream.packets import ByteSource
from cmvc.bitstream.segments import frame_count
from cmvc.bitstream.stream import PlacedSegment, frame_rate
from cmvc.bitstream.work import (
    check_whole,
    frames_asked_for,
    frames_wanted,
    open_stream,
    part_in,
    segment_requests,
)
from cmvc.control import Control
from cmvc.errors import CmvcError, CorruptStreamError, InvalidSettingError, ServerError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.output import check_format, open_output
from cmvc.media.picture import Picture
from cmvc.observer import NullObserver, Observer
from cmvc.part import Part
from cmvc.profiles.continuity import hands_on
from cmvc.profiles.generation import pixel_steps
from cmvc.records import (
    DecodeRecord,
    DecodeSummary,
    Progress,
    Prologue,
    Remark,
    SegmentRecord,
    SegmentSummary,
    StreamBytes,
    Tail,
)
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.executors.base import Executor
from cmvc_decoder.generator import Conditions, Made, Step
from cmvc_decoder.memory import Memory

FRAMES_AHEAD = 32  # generated while earlier ones are written out; AV1 gives them in bursts of up to 16
AHEAD_BYTES = 64 << 20  # of them at most
PROGRESS_SECONDS = 0.25
NO_OBSERVER = NullObserver()


def check_request(config: decoder_pb2.DecodeConfig, executor: Executor) -> None:
    """Return if a stream could be decoded as ``config`` says; so that a call is refused before it stands in line.

    Raises:
        UnknownProfileError: the profile that it names is not served.
        InvalidSettingError: the output format is not known.
    """
    if config.profile:
        check_served(_served(executor), config.profile, common_pb2.MODE_UNSPECIFIED, "config.profile")
    check_format(config.format, "config.format")


def _served(executor: Executor) -> dict[str, Collection[Mode.ValueType]]:
    return {each.id: each.modes for each in executor.profiles()}


def decode_segment(
    request: decoder_pb2.DecodeSegmentRequest,
    control: Control,
    executor: Executor,
    limits: Limits = DEFAULT_LIMITS,
    observer: Observer = NO_OBSERVER,
) -> Generator[SegmentRecord]:
    """Decode one segment: yield progress at once and while it denoises, notes, tail, prologue, data, and the summary.

    A segment that has no wanted frame, and from which the next goes on, has but a tail and a summary.

    The observer is told what a model has to make, and the seconds spent in the stages ``anchors``, ``generate`` and
    ``mux``; the latter two overlap.

    Raises:
        CmvcError: see ``check_served``, ``read_conditions``, ``Executor`` and ``open_output``; also when ``control``
            says stop.
    """
    yield Progress(0, frame_count(request.segment, request.header.segment_frames))  # from here on it is in work
    check_served(_served(executor), request.profile.id, mode_of(request.segment))
    check_whole(request)
    check_header(request.header, None, limits)
    part = part_in(request)
    limits.check("stream_frames", max(part.first, part.end or 0))
    header = part_header(request.header, part)
    output = open_output(request.format, header, limits, crf=request.crf if request.HasField("crf") else None)
    started = time.monotonic()
    conditions = read_conditions(request, limits, control.check)
    observer.stage("anchors", conditions.mode, time.monotonic() - started)
    wanted = part.of_run(request.first_frame, conditions.frames)
    if not (wanted or conditions.hands_on):
        raise InvalidSettingError(f"segment {request.index} has no frame from {part.first} to {part.end}; ask for one")
    packets, packet = _sound(request, part, limits)
    first_frame = request.first_frame + wanted.start - part.first
    is_last = request.closes_stream or part.ends_before(request.first_frame + wanted.stop)
    end = first_frame + len(wanted) if is_last else None
    observer.generation(pixel_steps(request.header, request.profile, request.segment, conditions.frames))
    generation = Stopwatch(executor.generate(request, conditions, control))
    ready = ahead(_generated(generation, conditions, observer), _held(conditions.width, conditions.height))
    size = 0
    try:
        first = yield from _denoising(ready, conditions, request.header)
        if not wanted:
            yield SegmentSummary(0, 0)
            return
        yield Prologue(output.prologue)
        pictures = Stopwatch(islice(_pictures(first, ready), wanted.start, wanted.stop))
        writing = Stopwatch(output.segment(first_frame, pictures, packets, packet, end_frame=end))
        pace = Pace(PROGRESS_SECONDS)
        for data in writing:
            size += len(data)
            yield StreamBytes(data)
            if pace.is_due():
                yield Progress(pictures.count, conditions.frames)
    finally:
        ready.close()
    observer.stage("generate", conditions.mode, generation.seconds)
    observer.stage("mux", conditions.mode, writing.seconds - pictures.seconds)
    observer.video(conditions.mode, float(len(wanted) / conditions.frame_rate))
    yield SegmentSummary(len(wanted), size)


def _sound(request: decoder_pb2.DecodeSegmentRequest, part: Part, limits: Limits) -> tuple[Sequence[bytes], int]:
    """Return the packets of sound that are wanted of a segment, and the number of the first in the output.

    Raises:
        CorruptStreamError: the segment has sound where the stream has none, or it cannot be taken apart.
        LimitError: there is more of it than ``limits`` allow.
    """
    lead_in, own = unpack_audio(request.lead_in, limits), unpack_audio(request.segment.audio, limits)
    if not (lead_in or own):
        return (), 0
    if not request.header.HasField("audio"):
        raise CorruptStreamError(f"segment {request.index} has sound, the stream has no audio track")
    number = first_packet(request.header.audio, frame_rate(request.header), request.first_frame)
    return part_sound(request.header, part, [*lead_in, *own], number - len(lead_in))


def _held(width: int, height: int) -> int:
    """Return how many frames, or records of output, are made before they are taken: fewer where they are large."""
    return min(FRAMES_AHEAD, max(AHEAD_BYTES // (width * height * 3 // 2), 1))  # 4:2:0


def _generated(items: Stopwatch[Made], conditions: Conditions, observer: Observer) -> Iterator[Made]:
    """Pass on what is generated as a piece of work of its own; each denoising step is an event in it."""
    steps = 0
    with closing(items), observer.piece("generate", frames=conditions.frames) as piece:
        for item in items:
            if isinstance(item, Step) and item.done > steps:  # the same one may be told again, as a sign of life
                steps = item.done
                piece.event("step", done=steps, total=item.total)
            yield item


def _denoising(
    items: Iterator[Made], conditions: Conditions, header: pb.StreamHeader
) -> Generator[Progress | Remark | Tail, None, Picture]:
    """Yield the progress, notes and the tail that stand before the first picture; return that picture.

    Steps count as shares of frames.
    """
    for item in items:
        if isinstance(item, Picture):
            return item
        if isinstance(item, Remark | Tail):
            yield item
            continue
        done = conditions.frames * item.done // item.total
        yield Progress(done, conditions.frames, seconds_done=float(done / frame_rate(header)))
    raise ServerError("the generator made no picture; this is a defect of its profile")


def _pictures(first: Picture, items: Iterator[Made]) -> Iterator[Picture]:
    yield first
    yield from (item for item in items if isinstance(item, Picture))


def _decode_placed(
    request: decoder_pb2.DecodeSegmentRequest, control: Control, executor: Executor, limits: Limits, observer: Observer
) -> Generator[SegmentRecord]:
    """Decode one segment as a piece of the work on its stream."""
    with observer.piece("segment", index=request.index, mode=mode_name(request.segment), profile=request.profile.id):
        yield from decode_segment(request, control, executor, limits, observer)


_Placed = tuple[PlacedSegment, decoder_pb2.DecodeSegmentRequest]


def _in_work(
    works: Iterable[_Placed],
    begin: Callable[[decoder_pb2.DecodeSegmentRequest], Begun[SegmentRecord]],
    at_once: int,
) -> Generator[tuple[_Placed, Begun[SegmentRecord]]]:
    """Yield each segment and its records in order, while up to ``at_once`` are in work, that one included.

    No segment begins before the one that it goes on from was taken whole.

    Raises:
        CmvcError, OSError: whatever reading raises; segments in front of it are yielded first.
    """
    line: deque[tuple[_Placed, Begun[SegmentRecord]]] = deque()

    def taken(most: int) -> Generator[tuple[_Placed, Begun[SegmentRecord]]]:
        while len(line) > most:
            yield line[0]
            line.popleft()[1].close()

    try:
        for placed, request in works:
            line.append(((placed, request), begin(request)))
            yield from taken(0 if hands_on(request.profile, request.segment) else at_once - 1)
    except (CmvcError, OSError):
        yield from taken(0)
        raise
    else:
        yield from taken(0)
    finally:
        for _, made in line:
            made.stop()
        for _, made in line:
            made.close()


@dataclass
class _Heard:
    """What segments have said beside their video: the tail for the next one, notes, each once, and how much it was."""

    tail: bytes = b""
    notes: dict[str, None] = field(default_factory=dict)
    frames: int = 0
    segments: int = 0

    def hear(self, record: Tail | Remark | SegmentSummary) -> None:
        match record:
            case Tail(data):
                self.tail = data
            case Remark(note):
                self.notes[note] = None
            case SegmentSummary(frames, _):
                self.frames += frames
                self.segments += frames > 0

    def take_tail(self) -> bytes:
        tail, self.tail = self.tail, b""
        return tail


def decode(
    source: ByteSource,
    config: decoder_pb2.DecodeConfig,
    control: Control,
    executor: Executor,
    *,
    limits: Limits = DEFAULT_LIMITS,
    observer: Observer = NO_OBSERVER,
    at_once: int = 1,
    memory: Memory | None = None,
) -> Generator[DecodeRecord]:
    """Decode a stream, or the part of it that is asked for, segment after segment.

    A stream that is cut off or damaged decodes up to its last whole segment; a note in the summary says so.

    Args:
        source: the stream.
        config: what is wanted of it.
        control: stops the work.
        executor: runs the generators.
        limits: bounds what is in the stream.
        observer: is told of the work.
        at_once: how many segments may be in work. The next is read before the one before it is done, so a stream that
            may still be written is decoded one by one: one that has no trailer yet, or cannot be sought in.
        memory: that segments of other calls share, where these are decoded one by one; None: there is enough.

    Yields:
        data, progress between, and the summary.

    Raises:
        CmvcError: the stream has no whole segment, or one of them cannot be decoded, or the part is none.
    """
    check_request(config, executor)
    reader = open_stream(source, config, limits)
    rate = frame_rate(reader.header)
    told = 0
    total = frames_asked_for(reader, config, limits)
    pace = Pace(PROGRESS_SECONDS)
    heard = _Heard()

    def begin(request: decoder_pb2.DecodeSegmentRequest) -> Begun[SegmentRecord]:
        request.tail_before = heard.take_tail()
        made = _decode_placed(request, control, executor, limits, observer)
        made = memory.in_turn(request.header, control, made) if memory else made
        return Begun(made, _held(reader.header.width, reader.header.height))

    works = segment_requests(reader, config, limits)
    with closing(_in_work(works, begin, at_once if total else 1)) as in_work:
        for (placed, request), records in in_work:
            if placed.closes_stream:
                total = heard.frames + frames_wanted(placed, request)
            for record in records:
                match record:
                    case Prologue(data) if not heard.segments:
                        yield StreamBytes(data)
                    case StreamBytes():
                        yield record
                    case Progress() if heard.frames + record.frames_done >= told:  # frames after steps, from 0 again
                        told = heard.frames + record.frames_done
                        yield Progress(told, total, placed.offset, float(told / rate))
                    case Tail() | Remark() | SegmentSummary():
                        heard.hear(record)
            if pace.is_due():
                told = heard.frames
                yield Progress(told, total, placed.offset + placed.size, float(told / rate))
    damage = (f"{reader.damage.reason}: {reader.damage}; decoded up to there",) if reader.damage else ()
    yield DecodeSummary(heard.frames, heard.segments, (*heard.notes, *damage))
