"""From windows and their coder to the bytes of a stream, with sound among them, and to what is said of it."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from cmvc.ahead import beats
from cmvc.bitstream.audio import pack_audio
from cmvc.bitstream.inspect import SATURATED_BELOW, segment_parts
from cmvc.bitstream.modes import MODE_NAMES, Mode, mode_of
from cmvc.bitstream.segments import frame_count, is_plain_av1
from cmvc.bitstream.stream import StreamWriter
from cmvc.control import Control
from cmvc.limits import Limits
from cmvc.media.reader import VideoInfo
from cmvc.notes import Note
from cmvc.observer import Observer
from cmvc.records import EncodeRecord, EncodeSummary, Progress, SegmentCoding, StreamBytes
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2
from cmvc_encoder.coding.effort import EFFORTS
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.coding.quality import quality_db
from cmvc_encoder.ingest.cutting import Batch, Clock, WindowShape, halves
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.job import Job
from cmvc_encoder.planning.auto import is_for_text
from cmvc_encoder.planning.ledger import Ledger
from cmvc_encoder.planning.planner import OUTLOOK, ImagesTurn, Part, Planner
from cmvc_encoder.planning.slope import LEAST
from cmvc_encoder.sound import CopiedShare, audio_size
from cmvc_encoder.stream.header import stream_header
from cmvc_encoder.workers.outlook import Known
from cmvc_encoder.workers.task import Order, ProbeOrder

PACKET_OVERHEAD = 16  # bytes around a segment, at most
PROGRESS_SECONDS = 0.5  # between two words on how far it is, while a window is read or coded
QUALITY_SLACK_DB = 1.0  # under what a quality stands for, before that is said
R = TypeVar("R")
Coding = Callable[[Window, Order], Generator[Progress, None, Trial]]
"""Codes a window, and yields how far the stream is meanwhile."""
HIT = 0.975  # of the bytes allowed; a stream that would end below has its last window coded again


class StreamOutput:
    """A stream being written: the writer, the ledger, and what there is to say about it."""

    def __init__(self, info: VideoInfo, job: Job, shape: WindowShape, observer: Observer, limits: Limits) -> None:
        """Begin a stream that a decoder with ``limits`` takes.

        Raises:
            LimitError: no such stream can hold the video.
            InvalidSettingError: the sound would take more than its share.
        """
        self._job = job
        self._shape = shape
        self._observer = observer
        self._frames_total = info.frames_estimate or 0
        self._limits = limits
        header = stream_header(info, job, shape)
        self._writer = StreamWriter(header, job.profiles, limits)
        rate = job.bits_per_second
        self._ledger = Ledger(rate, info.frame_rate) if rate is not None else None
        self._planner = Planner(self._ledger, self._writer.trailer_size) if self._ledger else None
        self._ordered: int | None = None  # bytes, of the last window planned
        self._turn = ImagesTurn(EFFORTS[job.effort].most_skipped)
        copies = job.sound.treatment is not None and job.sound.treatment.copy
        self._copied = CopiedShare(rate, info.source_audio_rate) if rate is not None and copies else None
        self._frames = 0
        self._saturated = False
        self._codings: list[SegmentCoding | None] = []
        self._modes: list[Mode.ValueType] = []

    def open(self) -> Iterator[EncodeRecord]:
        """Yield what stands before the first segment, and how much there is to do, as far as that is known."""
        data = self._writer.open()
        self._observer.payload(common_pb2.MODE_UNSPECIFIED, "overhead", len(data))
        self._took()
        yield StreamBytes(data)
        yield Progress(0, self._frames_total, self._writer.bytes_written)

    def meanwhile(self, work: Callable[[], R], clock: Clock, control: Control) -> Generator[Progress, None, R]:
        """Yield how far the stream is while ``work`` goes on in a thread of its own; return what it returns.

        Where nobody wants that any more ``control`` is cancelled, which has to end the work.
        """
        beating = beats(work, PROGRESS_SECONDS, control.cancel)
        with closing(beating):
            while True:
                try:
                    next(beating)
                except StopIteration as end:
                    result: R = end.value
                    return result
                yield self._progress(clock)

    @property
    def outlook(self) -> int:
        """Windows to try before the one in front of them is planned: none where bytes are not shared out by quality."""
        job = self._job
        compared = job.mode in (common_pb2.MODE_UNSPECIFIED, common_pb2.MODE_CODED, common_pb2.MODE_VT2V)
        looks_ahead = EFFORTS[job.effort].looks_ahead and job.latency_s is None
        if self._ledger is None or not compared or not looks_ahead:
            return 0
        shape = self._shape
        rate = LEAST * 8 * self._ledger.allowed(1000) * float(shape.frame_rate / 1000)
        by_text = job.mode == common_pb2.MODE_UNSPECIFIED and is_for_text(rate, shape.source_width, shape.source_height)
        return 0 if by_text else OUTLOOK

    def probe_order(self, batch: Batch) -> ProbeOrder:
        """Return how a window is to be tried before it is planned."""
        assert self._ledger is not None
        fair = self._ledger.allowed(len(batch.window.pictures)) - self._sound(batch)
        return ProbeOrder(max(fair, 0), self._job.effort)

    def plan(self, known: Sequence[Known]) -> Order:
        """Return how the next window is to be coded; called for all in order, up to ``LAG`` before they are added.

        Args:
            known: the window, and those after it that are known.
        """
        budget = None if self._planner is None else self._planner.budget([self._part(each) for each in known])
        batch, probe = known[0].batch, known[0].probe
        order = replace(self._order(batch, budget, tries_images=self._turn.next()), seen=probe.seen if probe else None)
        self._ordered = order.byte_budget
        return order

    def _part(self, known: Known) -> Part:
        window = known.batch.window
        return Part(
            frames=len(window.pictures),
            seconds=window.seconds,
            sound=self._sound(known.batch),
            segments=self._segments_of(len(window.pictures)),
            curve=known.probe.curve if known.probe else None,
            last=known.batch.last,
        )

    def _sound(self, batch: Batch) -> int:
        """Return the bytes of the sound within a window, at most."""
        return audio_size(batch.audio, self._segments_of(len(batch.window.pictures)))

    def add(self, batch: Batch, trial: Trial, code: Coding, clock: Clock) -> Iterator[EncodeRecord]:
        """Yield the bytes of a window; one that takes more than a segment may have is coded anew in halves.

        Raises:
            LimitError: one picture takes more than that, or the stream is longer than one may be.
            InvalidSettingError: the sound takes more than its share.
        """
        if self._misses(batch, trial):
            trial = yield from code(batch.window, self._order_now(batch))
        for item in self._parts(batch, trial, code):
            if isinstance(item, Progress):
                yield item
            else:
                yield from self._add(*item, clock)
        self._took()
        self._turn.took(self._modes[-1])

    def _parts(self, batch: Batch, trial: Trial, code: Coding) -> Iterator[Progress | tuple[Batch, list[pb.Segment]]]:
        """Yield the window with its segments, or its halves with theirs, and how far it is while those are coded."""
        segments = list(self._with_audio(batch, trial))
        if self._fits(segments, len(batch.window.pictures)):
            self._saturated |= trial.saturated
            self._codings += [_coding(trial)] * len(segments)
            yield batch, segments
            return
        for half in halves(batch, self._shape):
            coded = yield from code(half.window, self._order_now(half))
            yield from self._parts(half, coded, code)

    def _add(self, batch: Batch, segments: Sequence[pb.Segment], clock: Clock) -> Iterator[EncodeRecord]:
        if self._copied:
            done = self._frames + len(batch.window.pictures)
            self._copied.add(batch.audio, float(done / self._shape.frame_rate))
        for segment in segments:
            data = self._writer.write(segment)
            mode = mode_of(segment)
            self._modes.append(mode)
            for part, size in segment_parts(segment, len(data)).items():
                self._observer.payload(mode, part, size)
            if is_plain_av1(segment):
                self._observer.stored_plain(mode)
            yield StreamBytes(data)
            self._observer.video(mode, float(frame_count(segment, 0) / self._shape.frame_rate))
        self._frames += len(batch.window.pictures)
        yield self._progress(clock)

    def _fits(self, segments: Sequence[pb.Segment], pictures: int) -> bool:
        """Say whether a decoder takes segments of so many pictures; False only where they can be halved."""
        self._limits.check("stream_frames", self._frames + pictures)
        self._limits.check("segments", len(self._modes) + len(segments))
        largest = max(segment.ByteSize() for segment in segments) + PACKET_OVERHEAD
        if largest > self._limits.segment_bytes and pictures == 1:
            self._limits.check("segment_bytes", largest)
        return largest <= self._limits.segment_bytes

    def close(self, notes: Iterable[str]) -> Iterator[EncodeRecord]:
        """Yield the trailer and the summary, with ``notes`` in it and what there is to say of the rate."""
        data = self._writer.close()
        self._observer.payload(common_pb2.MODE_UNSPECIFIED, "overhead", len(data))
        yield StreamBytes(data)
        size = self._writer.bytes_written
        rate = float(8 * size * self._shape.frame_rate / self._frames)
        pixels = self._shape.source_width * self._shape.source_height * self._frames
        self._observer.stream(self._job.mode, rate, 8 * size / pixels)
        if self._ledger is not None and size > self._ledger.allowed(self._frames):
            self._observer.over_target(self._job.mode)
        yield EncodeSummary(
            self._frames, size, rate, [*notes, *self._rate_notes(), *self._quality_notes()], self._codings
        )

    def _order(self, batch: Batch, budget: int | None, *, tries_images: bool) -> Order:
        """Return the order for a window that may take ``budget`` bytes with its sound; None for no bound."""
        job = self._job
        if budget is not None:
            budget = max(budget - self._sound(batch), 0)
        return Order(
            mode=job.mode,
            byte_budget=budget,
            quality=job.quality or 0,
            effort=job.effort,
            captions=job.captions,
            tries_images=tries_images,
            last=batch.last,
            asked=job.semantics if job.takes_turns else "",
            profile=job.generator,
            restorer=job.restorer,
        )

    def _order_now(self, batch: Batch) -> Order:
        """Return the order for a window that comes next in the stream, all before it being written."""
        budget = None
        if self._ledger is not None:
            budget = self._ledger.budget(
                frames_before=self._frames,
                frames=len(batch.window.pictures),
                spent=self._writer.bytes_written,
                trailer=self._writer.trailer_size(len(self._modes), self._segments_of(len(batch.window.pictures))),
                last=batch.last,
            )
        return self._order(batch, budget, tries_images=False)

    def _misses(self, batch: Batch, trial: Trial) -> bool:
        """Say whether the stream would end over the target, or far below it, where its last window can help that."""
        room = self._order_now(batch).byte_budget
        if not batch.last or room is None or self._ledger is None or self._ordered is None:
            return False
        if trial.size > room:
            return not trial.floor
        allowed = self._ledger.allowed(self._frames + len(batch.window.pictures))
        return room > self._ordered and not trial.saturated and room - trial.size > (1 - HIT) * allowed

    def _took(self) -> None:
        if self._planner is not None:
            self._planner.took(self._writer.bytes_written, len(self._modes))

    def _segments_of(self, frames: int) -> int:
        """Return how many segments a window of so many frames may become, at most."""
        may_be_text = self._job.mode in (common_pb2.MODE_TT2V, common_pb2.MODE_UNSPECIFIED)
        return frames // self._job.generator.text_frames(self._shape.frame_rate) + 1 if may_be_text else 1

    def _with_audio(self, batch: Batch, trial: Trial) -> Iterator[pb.Segment]:
        """Yield the segments, each with the audio packets that start within it; the last with all that are left."""
        packets = list(batch.audio)
        end = batch.window.first_frame
        for number, segment in enumerate(trial.segments, 1):
            end += frame_count(segment, 0)
            count = len(packets)
            if number < len(trial.segments) and self._shape.packet_seconds is not None:
                until = end / self._shape.frame_rate + self._shape.skip_seconds
                count = sum(packet.index * self._shape.packet_seconds < until for packet in packets)
            if count:
                segment.audio.CopyFrom(pack_audio([packet.data for packet in packets[:count]]))
                packets = packets[count:]
            yield segment

    def _rate_notes(self) -> Iterator[str]:
        if self._ledger is None:
            return
        allowed, size = self._ledger.allowed(self._frames), self._writer.bytes_written
        modes = "+".join(sorted({MODE_NAMES[mode] for mode in self._modes}))
        asked = self._job.bits_per_second
        reached = round(float(8 * size * self._shape.frame_rate / self._frames))
        if size > allowed:
            yield Note.FLOOR.line(f"{modes} takes {reached} bit/s on this clip, over the {asked} bit/s asked for")
        elif size < allowed * SATURATED_BELOW:
            why = "more would not improve it" if self._saturated else "no coding comes nearer"
            yield Note.SATURATED.line(f"{modes} takes {reached} of the {asked} bit/s asked for; {why}")

    def _quality_notes(self) -> Iterator[str]:
        if self._job.quality is None:
            return
        wanted, reached = quality_db(self._job.quality), [each.decibels for each in self._codings if each]
        missed = [each for each in reached if each < wanted - QUALITY_SLACK_DB]
        if missed:
            yield Note.QUALITY_MISSED.line(
                f"{len(missed)} of {len(reached)} segments measure less than the {wanted:.1f} dB that quality "
                f"{self._job.quality} stands for, down to {min(missed):.1f} dB; coded comes nearest"
            )

    def _progress(self, clock: Clock) -> Progress:
        return Progress(
            frames_done=self._frames,
            frames_total=max(self._frames_total, self._frames) if self._frames_total else 0,
            stream_bytes=self._writer.bytes_written,
            seconds_done=float(self._frames / self._shape.frame_rate),
            frames_read=clock.pictures,
        )


def _coding(trial: Trial) -> SegmentCoding | None:
    made = trial.made
    if made is None:
        return None
    shape = made.shape
    return SegmentCoding(shape.width, shape.height, shape.step, made.crf, made.preset, made.measure, trial.score)
