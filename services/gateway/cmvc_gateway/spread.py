"""Spreads the segments of a stream over decoders and puts the results back in order.

The segment is the unit of retry: what a decoder that died leaves behind is thrown away and the segment is driven
again elsewhere, so that the client gets each segment once and whole.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from cmvc.bitstream.modes import check_served, mode_name, mode_of
from cmvc.control import Control
from cmvc.errors import (
    BackendUnavailableError,
    ChecksumError,
    CmvcError,
    InvalidSettingError,
    OverloadedError,
    ServerError,
    UnknownModeError,
)
from cmvc.server import telemetry
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc.wire import tracing
from cmvc.wire.status import asked_to_stop, from_rpc_error
from cmvc.wire.transfer import checked
from cmvc_gateway.backends import Backend, DecoderCapabilities, Pool
from cmvc_gateway.results import Budget, Cache, Result

LEAST_AHEAD = 2  # segments that a decoder is given before it has said how many it takes
WINDOW_SECONDS = 0.5  # between two looks at how many decoders there are, while no segment is released
PROGRESS_SECONDS = 0.5  # between two words on a segment that takes long
TRIES = 5
REASONS = ("unavailable", "stalled", "overloaded", "checksum", "failed")

Request = decoder_pb2.DecodeSegmentRequest
log = logging.getLogger(__name__)


class StalledError(BackendUnavailableError):
    """A decoder has gone silent in the middle of a segment."""


@dataclass(frozen=True)
class Work:
    """One segment to decode.

    Attributes:
        request: what a decoder is asked.
        frames: how many the segment has.
        stream_end: where its packet ends in the stream, in bytes.
        size: of its packet, in bytes.
    """

    request: Request
    frames: int
    stream_end: int
    size: int


@dataclass
class Job:
    """One segment on its way through the decoders.

    Attributes:
        request: what a decoder is asked.
        control: stops it.
        frames_done: how far the decoder that has it says it is.
        ended: set once it is done, or never will be.
    """

    request: Request
    control: Control
    frames_done: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def last(self, seconds: float) -> bool:
        """Wait for its end, at most ``seconds``, and return whether it has come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        return self.ended.is_set()


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

    def __init__(self, pool: Pool[DecoderCapabilities], cache: Cache, stall_s: float) -> None:
        self._pool = pool
        self._cache = cache
        self._budget = Budget()
        self._stall_s = stall_s
        for reason in REASONS:  # so that a rate over them is 0, not missing, before the first one
            telemetry.SEGMENTS_REDRIVEN.labels(reason)

    async def results(self, works: AsyncIterator[Work], control: Control) -> AsyncGenerator[tuple[Work, Result] | int]:
        """Yield the result of each of ``works``, in order. A result is dropped when the next is asked for.

        While one takes long, yield now and then the number of frames that decoders have done of all that are in work.

        Raises:
            CmvcError: a segment cannot be decoded, here or anywhere.
        """
        window = _Window(self._segments_ahead)
        driven: asyncio.Queue[tuple[Work, asyncio.Task[Result]] | None] = asyncio.Queue()
        jobs: dict[asyncio.Task[Result], Job] = {}

        async def drive_all() -> None:
            try:
                async for work in works:
                    await window.enter()
                    job = Job(work.request, control)
                    task = asyncio.create_task(self.drive(job))
                    jobs[task] = job
                    driven.put_nowait((work, task))
            finally:
                driven.put_nowait(None)

        driving = asyncio.create_task(drive_all())
        try:
            while (next_one := await driven.get()) is not None:
                work, task = next_one
                while not await jobs[task].last(PROGRESS_SECONDS):
                    yield sum(job.frames_done for job in jobs.values())
                result = await task
                try:
                    yield work, result
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
            with tracing.span("segment", index=request.index, mode=mode, profile=profile) as span:
                return await self._drive(job, span)
        finally:
            job.ended.set()

    async def _drive(self, job: Job, span: tracing.AnySpan) -> Result:
        able = self._ability(job.request)
        key = hashlib.sha256(job.request.SerializeToString(deterministic=True)).digest()
        cached = await self._cache.get(key, self._budget)
        span.set(cached=cached is not None)
        if cached:
            return cached
        telemetry.INFLIGHT_SEGMENTS.labels("gateway").inc()
        try:
            result = await self._drive_until_done(job, able)
        finally:
            telemetry.INFLIGHT_SEGMENTS.labels("gateway").dec()
        self._cache.put(key, result)
        return result

    async def _drive_until_done(self, job: Job, able: Callable[[DecoderCapabilities], bool]) -> Result:
        last: Backend[DecoderCapabilities] | None = None
        labels = ("queue", mode_name(job.request.segment), job.request.profile.id)
        for left in reversed(range(TRIES)):
            arrived = time.monotonic()
            async with self._pool.lease(able, segments_given, last) as backend:
                waited = time.monotonic() - arrived
                telemetry.SEGMENT_SECONDS.labels(*labels).observe(waited)
                number, address = TRIES - left, backend.address
                try:
                    with tracing.span("attempt", number=number, backend=address, queue_seconds=waited) as span:
                        return await self._ask(backend, job, span)
                except CmvcError as error:
                    reason = redrive_reason(error)
                    if not reason or not left:
                        raise
                    if reason in ("unavailable", "stalled"):
                        await self._pool.failed(backend, error)
                    last, wait_s = backend, getattr(error, "retry_after_s", 0.0)
            telemetry.SEGMENTS_REDRIVEN.labels(reason).inc()
            log.warning("segment %d is driven again (%s)", job.request.index, reason)
            await asyncio.sleep(wait_s)
        raise AssertionError("the last try either returned or raised")

    async def _ask(self, backend: Backend[DecoderCapabilities], job: Job, span: tracing.AnySpan) -> Result:
        result = Result(self._budget)
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
                await _take(message, job, result)
                if message.HasField("summary") and message.summary.bytes == result.size:
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

    def _ability(self, request: Request) -> Callable[[DecoderCapabilities], bool]:
        mode, profile, output = mode_of(request.segment), request.profile.id, request.format
        if mode == common_pb2.MODE_UNSPECIFIED:
            raise UnknownModeError(f"segment {request.index} has a mode that this version does not know; update CMVC")

        def able(capabilities: DecoderCapabilities) -> bool:
            return any(each.id == profile and mode in each.modes for each in capabilities.profiles) and (
                not output or output in capabilities.formats
            )

        known = self._pool.known()
        if known and not any(map(able, known)):
            served: dict[str, set[common_pb2.Mode.ValueType]] = {}
            for each in (each for capabilities in known for each in capabilities.profiles):
                served.setdefault(each.id, set()).update(each.modes)
            check_served(served, profile, mode)
            raise InvalidSettingError(f"no decoder here writes the output format {output}; choose another")
        return able


def segments_given(capabilities: DecoderCapabilities | None) -> int:
    """Return how many segments a decoder is given.

    Those that it works on at once and one waiting at the door, so that it does not idle between two.
    """
    return LEAST_AHEAD if capabilities is None else max(capabilities.segments_at_once, 1) + 1


def redrive_reason(error: CmvcError) -> str:
    """Return why a segment that ended with ``error`` should be driven again, "" where that would not help."""
    if isinstance(error, StalledError):
        return "stalled"
    if isinstance(error, BackendUnavailableError):
        return "unavailable"
    if isinstance(error, OverloadedError):
        return "overloaded"
    if isinstance(error, ChecksumError):
        return "checksum"
    return "failed" if isinstance(error, ServerError) else ""


async def _take(message: decoder_pb2.DecodeSegmentResponse, job: Job, result: Result) -> None:
    if message.HasField("progress"):
        job.frames_done = message.progress.frames_done
    if message.HasField("prologue"):
        result.prologue = message.prologue
    if message.HasField("data"):
        await result.add(message.data, len(checked(message.data)))
    if message.HasField("summary"):
        result.frames = message.summary.frames


def _drop_result(task: "asyncio.Task[Result]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().drop()
