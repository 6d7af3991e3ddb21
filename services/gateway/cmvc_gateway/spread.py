"""Spreads the segments of a stream over decoders and puts the results back in order.

The segment is the unit of retry: what a decoder that died leaves behind is thrown away and the segment is driven
again elsewhere. The client gets each byte once; those of a segment that any decoder makes alike flow as they come.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc

from cmvc.bitstream.modes import mode_name
from cmvc.bitstream.segments import frame_count
from cmvc.control import Control
from cmvc.errors import BackendUnavailableError, CmvcError, LimitError, OverloadedError, ServerError
from cmvc.plain import one_line
from cmvc.profiles.generation import pixel_steps
from cmvc.server import telemetry
from cmvc.server.quotas import generated
from cmvc.v1 import decoder_pb2
from cmvc.wire import tracing
from cmvc.wire.status import asked_to_stop, from_rpc_error
from cmvc.wire.transfer import checked
from cmvc_gateway.asides import check_asides
from cmvc_gateway.attempts import BLAMED, REASONS, AgainError, Attempts, StalledError, redrive_reason
from cmvc_gateway.backends import Backend, DecoderCapabilities, Pool
from cmvc_gateway.flow import Flow, may_flow
from cmvc_gateway.needs import Needs
from cmvc_gateway.results import Cache, NoRoomError, Result, Stores, too_large
from cmvc_gateway.room import Room

LEAST_AHEAD = 2  # segments that a decoder is given before it has said how many it takes
WINDOW_SECONDS = 0.5  # between two looks at how many decoders there are, while no segment is released
PROGRESS_SECONDS = 0.5  # between two words on a segment that takes long
REQUEST_BYTES = 256 << 20  # of segments that all streams together have on their way to decoders

Request = decoder_pb2.DecodeSegmentRequest
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """One segment to decode.

    Attributes:
        request: what a decoder is asked.
        frames: how many of the segment are wanted.
        stream_end: where its packet ends in the stream, in bytes.
        size: of its packet, in bytes.
        goes_on: whether it is made from what the work before it hands on.
    """

    request: Request
    frames: int
    stream_end: int
    size: int
    goes_on: bool = False


@dataclass
class Job:
    """One segment on its way through the decoders.

    Attributes:
        request: what a decoder is asked.
        frames: how many of the segment are wanted.
        control: stops it.
        tenant: whose it is.
        begun: whether the decoder that has it works on it; until then it waits in that one's line.
        frames_done: how far the decoder that has it says it is.
        next: set once nothing of its stream stands before it.
        ended: set once it is done, or never will be.
        before: what the segment before hands on, where this one goes on from that.
        tail: what this one hands on, once that is known; empty for nothing.
        flows: whether its output leaves while it is made.
        flow: that output, on its way.
        moved: set when there is more of it, and at the end.
    """

    request: Request
    frames: int
    control: Control
    tenant: str = ""
    begun: bool = False
    frames_done: int = 0
    next: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    before: "asyncio.Future[bytes] | None" = None
    tail: "asyncio.Future[bytes]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    flows: bool = False
    flow: Flow = field(default_factory=Flow)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def hand_on(self, tail: bytes) -> None:
        """Let the next segment go on, unless it does."""
        if not self.tail.done():
            self.tail.set_result(tail)

    async def move(self, seconds: float) -> None:
        """Wait until there is more of its output, or its end has come, at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.moved.wait()
        if not self.ended.is_set():
            self.moved.clear()

    def flow_again(self) -> None:
        """Expect its output from the start once more; of another decoder it has to be the same where some has left."""
        if self.next.is_set():
            self.flow.again()
        else:
            self.flow = Flow()

    def end(self) -> None:
        """Say that it is done, or never will be."""
        self.ended.set()
        self.moved.set()


class _Window:
    """Bounds how many segments of a stream are on their way; the bound moves as decoders come and go."""

    def __init__(self, size: Callable[[], int]) -> None:
        self._size = size
        self._held = 0
        self._left = asyncio.Event()

    async def enter(self) -> None:
        """Wait for a place and take it; for one caller at a time."""
        while self._held >= self._size():
            self._left.clear()
            with suppress(TimeoutError):  # then there may be more decoders than before
                async with asyncio.timeout(WINDOW_SECONDS):  # wait_for may swallow a cancellation
                    await self._left.wait()
        self._held += 1

    def leave(self) -> None:
        """Give a place back."""
        self._held -= 1
        self._left.set()


class Spreader:
    """Drives segments through a pool of decoders."""

    def __init__(
        self, pool: Pool[DecoderCapabilities], cache: Cache, stores: Stores, *, stall_s: float, wait_s: float
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._stores = stores
        self._requests = Room(REQUEST_BYTES)
        self._stall_s = stall_s
        self._wait_s = wait_s
        for reason in REASONS:  # so that a rate over them is 0, not missing, before the first one
            telemetry.SEGMENTS_REDRIVEN.labels(reason)

    async def results(
        self, works: AsyncIterator[Work], control: Control, tenant: str = ""
    ) -> AsyncGenerator[tuple[Work, Result, Flow] | Flow | int]:
        """Yield the result of each of ``works``, in order, with what flowed of it. It is dropped at the next request.

        While one is made, yield its flow where there is more to take, and now and then the number of frames that
        decoders have done of all that are in work.

        Raises:
            CmvcError: a segment cannot be decoded, here or anywhere.
        """
        window = _Window(self._segments_ahead)
        driven: asyncio.Queue[tuple[Work, asyncio.Task[Result]] | None] = asyncio.Queue()
        jobs: dict[asyncio.Task[Result], Job] = {}

        async def drive_all() -> None:
            tail: asyncio.Future[bytes] | None = None
            try:
                async for work in works:
                    await window.enter()
                    await self._requests.take(work.size, lambda: not jobs)
                    before, flows = tail if work.goes_on else None, may_flow(work.request)
                    job = Job(work.request, work.frames, control, tenant, before=before, flows=flows)
                    tail = job.tail
                    task = asyncio.create_task(self.drive(job))
                    task.add_done_callback(partial(self._settled, work.size))
                    jobs[task] = job
                    driven.put_nowait((work, task))
            finally:
                driven.put_nowait(None)

        driving = asyncio.create_task(drive_all())
        try:
            while (next_one := await driven.get()) is not None:
                work, task = next_one
                head = jobs[task]
                head.next.set()
                while not head.ended.is_set():
                    yield head.flow or sum(job.frames_done for job in jobs.values())
                    await head.move(PROGRESS_SECONDS)
                result = await task
                try:
                    yield work, result, head.flow
                finally:
                    result.drop()
                    del jobs[task]
                    window.leave()
            await driving
        finally:
            driving.cancel()
            for task in jobs:
                task.cancel()
                task.add_done_callback(_drop_result)
            await asyncio.gather(driving, *jobs, return_exceptions=True)

    def _settled(self, size: int, _: "asyncio.Task[Result]") -> None:
        self._requests.give(size)

    def _segments_ahead(self) -> int:
        """Return how many segments of a stream may be in work or wait for their turn: what decoders are given now."""
        up = (backend.capabilities for backend in self._pool.backends if backend.up)
        return sum(map(segments_given, up)) or LEAST_AHEAD

    async def drive(self, job: Job) -> Result:
        """Return the whole result of one segment, from whichever decoder gives it.

        Raises:
            CmvcError: no decoder can, or ``TRIES`` of them failed.
        """
        request = job.request
        mode, profile = mode_name(request.segment), request.profile.id
        try:
            if job.before:
                request.tail_before = await job.before
            with tracing.span("segment", index=request.index, mode=mode, profile=profile) as span:
                result = await self._drive(job, span)
            job.hand_on(result.tail)
            return result
        finally:
            job.end()

    async def _drive(self, job: Job, span: tracing.AnySpan) -> Result:
        needs = Needs.of(job.request)
        needs.check(self._pool.known())
        self._check_room(job)
        for version in {_version(each, job.request) for each in self._pool.known() if needs.served_by(each)}:
            cached = await self._cache.get(_key(job.request, version), self._stores, job.next.is_set)
            if cached:
                span.set(cached=True)
                return cached
        span.set(cached=False)
        generated(_pixel_steps(job.request))
        telemetry.INFLIGHT_SEGMENTS.labels("gateway").inc()
        try:
            result, version = await self._drive_until_done(job, needs)
        finally:
            telemetry.INFLIGHT_SEGMENTS.labels("gateway").dec()
        self._cache.put(_key(job.request, version), result)
        return result

    def _check_room(self, job: Job) -> None:
        """Refuse what could not be kept, as far as that is known before it is made.

        Raises:
            LimitError: its output is larger.
        """
        header, room = job.request.header, self._stores.disk.size
        raw = job.frames * header.width * header.height * 3 // 2  # 4:2:0
        if job.request.format == decoder_pb2.OUTPUT_FORMAT_Y4M and raw > room:
            raise LimitError(too_large(raw, room))

    async def _drive_until_done(self, job: Job, needs: Needs) -> tuple[Result, str]:
        """Return the result, and the version of the decoder that made it."""
        attempts = Attempts(job.request.index, self._wait_s)
        while True:
            try:
                return await self._attempt(job, needs, attempts)
            except NoRoomError:
                if job.next.is_set():
                    raise
                await job.next.wait()  # what was made goes: what stands before it is to have the room
            except AgainError as again:
                telemetry.SEGMENTS_REDRIVEN.labels(again.why).inc()
                log.warning("segment %d is driven again (%s)", job.request.index, again.why)
                await asyncio.sleep(again.wait_s)

    async def _attempt(self, job: Job, needs: Needs, attempts: Attempts) -> tuple[Result, str]:
        labels = ("queue", mode_name(job.request.segment), job.request.profile.id)
        arrived = time.monotonic()
        able = (await self._known_to_exist(needs)).met_by
        places = self._pool.lease(
            able, segments_given, avoid=attempts.last, without=attempts.lacking, tenant=job.tenant
        )
        async with places as backend:
            waited = time.monotonic() - arrived
            telemetry.SEGMENT_SECONDS.labels(*labels).observe(waited)
            version = _version(backend.capabilities, job.request)
            attempts.last = backend.address
            try:
                with tracing.span(
                    "attempt", number=attempts.next_number(), backend=backend.address, queue_seconds=waited
                ) as span:
                    result = await self._ask(backend, job, span)
                self._pool.worked(backend)
                return result, version
            except NoRoomError:
                raise
            except CmvcError as error:
                if redrive_reason(error) in BLAMED:
                    self._pool.failed(backend, error)
                elif isinstance(error, OverloadedError):
                    self._pool.full(backend)
                others = self._pool.addresses(needs.served_by) - {backend.address}
                raise attempts.failed(error, begun=job.begun, others=others) from None

    async def _known_to_exist(self, needs: Needs) -> Needs:
        """Return ``needs``; but where no decoder has the adapter, let any say what it thinks of that."""
        if not self._pool.addresses(needs.served_by):  # it may have been installed since
            await self._pool.ask_again()
        return needs if self._pool.addresses(needs.served_by) else needs.with_any_adapter()

    async def _ask(self, backend: Backend[DecoderCapabilities], job: Job, span: tracing.AnySpan) -> Result:
        job.begun, job.frames_done = False, 0
        job.flow_again()
        result = Result(self._stores, job.next.is_set)
        timeout = job.control.remaining()
        metadata = (*self._pool.metadata, *span.metadata())
        call = backend.stub.DecodeSegment(job.request, timeout=timeout, metadata=metadata)
        backend.calls.add(call)  # kept there until it has ended, or it would be cancelled where it is forgotten
        call.add_done_callback(backend.calls.discard)
        try:
            await self._receive(call, job, result, backend.address)
        except BaseException:
            result.drop()
            call.cancel()
            raise
        return result

    async def _receive(self, call: Any, job: Job, result: Result, address: str) -> None:
        try:
            while message := await self._next(call):
                check_asides(message, len(result.notes), address)
                await _take(message, job, result)
                if message.HasField("summary"):
                    _check_whole(message.summary, job, result, address)
                    return  # whole: how the call ends changes nothing, and waiting for it would take time
        except TimeoutError:
            raise StalledError(f"the decoder {address} fell silent; see whether it hangs") from None
        except grpc.aio.AioRpcError as failed:
            raise from_rpc_error(failed, address) from None
        except asyncio.CancelledError:
            if asked_to_stop():
                raise
            # Nobody wants to stop, so the decoder is shutting down, or probes found it hanging.
            raise BackendUnavailableError(f"the decoder {address} is shutting down or hangs") from None
        raise ServerError(f"the decoder {address} sent less than it said; its log says more")

    async def _next(self, call: Any) -> Any:
        async with asyncio.timeout(self._stall_s):
            return await call.read()


def segments_given(capabilities: DecoderCapabilities | None) -> int:
    """Return how many segments a decoder is given.

    Those that it works on at once and, where it lets any wait, one waiting at the door, so that it does not idle
    between two; where other gateways give it work, too, a share of its places, but one at least.
    """
    if capabilities is None:
        return LEAST_AHEAD
    running = max(capabilities.segments_at_once, 1)
    if not capabilities.callers:  # an older one, which does not tell how many may wait either
        return running + 1
    at_the_door = min(capabilities.callers, capabilities.segments_waiting)
    return max((running + at_the_door) // capabilities.callers, 1)


def _version(capabilities: DecoderCapabilities | None, request: Request) -> str:
    """Return what a decoder's frames depend on beside the request: its own version and the profile's."""
    assert capabilities is not None  # a decoder is given work once it has told them
    revisions = [each.revision for each in capabilities.profiles if each.id == request.profile.id]
    return f"{capabilities.version} {' '.join(revisions)}"


def _pixel_steps(request: Request) -> int:
    """Return what a model has to make for a segment."""
    frames = frame_count(request.segment, request.header.segment_frames)
    return pixel_steps(request.header, request.profile, request.segment, frames)


def _key(request: Request, version: str) -> bytes:
    """Return what a result is kept under, made by a decoder of this version."""
    return hashlib.sha256(version.encode() + b"\0" + request.SerializeToString(deterministic=True)).digest()


def _check_whole(summary: decoder_pb2.DecodeSegmentSummary, job: Job, result: Result, address: str) -> None:
    """Return where a decoder gave what it says, and says what was asked for.

    Raises:
        ServerError: it did not.
    """
    if summary.bytes != result.size:
        raise ServerError(f"the decoder {address} sent {result.size} of {summary.bytes} bytes; its log says more")
    if summary.frames != job.frames or (job.frames and not result.size):
        raise ServerError(
            f"the decoder {address} made {summary.frames} of {job.frames} frames; update it, or see what its log says"
        )
    if result.size < job.flow.size:
        raise ServerError(
            f"the decoder {address} gave less than another before it; run the same version and FFmpeg on all of them"
        )


async def _take(message: decoder_pb2.DecodeSegmentResponse, job: Job, result: Result) -> None:
    if message.HasField("progress"):
        job.begun |= message.progress.frames_total > 0
        job.frames_done = min(message.progress.frames_done, job.frames)
    if message.note:
        result.notes.append(one_line(message.note))
    if message.tail:
        result.tail = message.tail
        job.hand_on(message.tail)
    if message.HasField("prologue"):
        result.prologue = job.flow.prologue = message.prologue
    if message.HasField("data"):
        await result.add(message.data, len(checked(message.data)))
        if job.flows and not result.is_filed:
            job.flow.add(message.data)
            job.moved.set()
    if message.HasField("summary"):
        result.frames = message.summary.frames


def _drop_result(task: "asyncio.Task[Result]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().drop()
