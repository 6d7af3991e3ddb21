"""``POST /v1/encode`` and ``POST /v1/streams``: an upload becomes a result."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from cmvc.bitstream.inspect import header_record, segment_record
from cmvc.bitstream.stream import StreamReader
from cmvc.control import Control
from cmvc.errors import CmvcError, InvalidSettingError
from cmvc.server import telemetry
from cmvc.server.idle import STREAM_PACE, VIDEO_PACE
from cmvc.settings import encode_config
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc.wire.bridge import ChunkSource, in_thread
from cmvc_web.answers import Lines, error_body
from cmvc_web.store import Result
from cmvc_web.studio import Studio, tenant_of
from cmvc_web.uploads import Upload

_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?")
OWN = ("id", "name", "deadline")  # parameters that are not settings of the encoder
_LETTERS = 255  # of one parameter: the longest name of a file
_SECONDS = ("start", "duration")
_NUMBERS = ("quality", "seed", "latency_ms", "keyframe_gap_ms")
_TEXTS = ("mode", "bitrate", "effort", "profile", "audio", "audio_track", "semantics", "keyframes", "adapter")
_FLAGS = ("metadata", "strict")


def check_parameters(parameters: Mapping[str, str], known: Collection[str]) -> None:
    """Return if the parameters of a request are among those that are ``known``, and none is too long to be kept.

    Raises:
        InvalidSettingError: they are not.
    """
    for name, text in parameters.items():
        if name not in known:
            raise InvalidSettingError(f"the parameter '{name}' is unknown; choose among {', '.join(known)}")
        if len(text) > _LETTERS:
            raise InvalidSettingError(f"{name} has {len(text)} letters; write at most {_LETTERS}")


def settings_of(parameters: Mapping[str, str]) -> encoder_pb2.EncodeConfig:
    """Return the config that the parameters of a request stand for; see ``cmvc.settings.encode_config``.

    Raises:
        InvalidSettingError: one is unknown, too long or out of range.
    """
    check_parameters(parameters, (*_TEXTS, *_NUMBERS, *_SECONDS, *_FLAGS, *OWN))
    settings: dict[str, Any] = {}
    for name, text in parameters.items():
        if name in _NUMBERS:
            settings[name] = whole_number(name, text)
        elif name in _SECONDS:
            settings[name] = seconds(name, text)
        elif name in _TEXTS:
            settings[name] = text
        elif name in _FLAGS:
            settings[name] = text == "true"
    return encode_config(**settings)


def whole_number(name: str, text: str) -> int:
    """Return the number that ``text`` is.

    Raises:
        InvalidSettingError: it is none.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise InvalidSettingError(f"{name} '{text}' is no whole number; write such as {name}=50")
    return int(text)


def seconds(name: str, text: str) -> float:
    """Return the seconds that ``text`` stands for.

    Raises:
        InvalidSettingError: it is no such number.
    """
    if not _DECIMAL.fullmatch(text):
        raise InvalidSettingError(f"{name} '{text}' is no number of seconds; write such as {name}=2.5")
    return float(text)


def deadline_of(request: Request) -> float | None:
    """Return the seconds that a request may take, None for as long as it takes.

    Raises:
        InvalidSettingError: they are no number.
    """
    text = request.query_params.get("deadline", "")
    return whole_number("deadline", text) if text else None


class Making:
    """An answer in lines: what happens while an upload becomes a result. Whoever leaves early cancels it."""

    def __init__(self, studio: Studio, request: Request, config: encoder_pb2.EncodeConfig | None) -> None:
        """Plan it; ``config`` says how to encode, None takes the upload for a CMVC stream.

        Raises:
            InvalidSettingError: the parameters of the request are wrong.
        """
        self._studio = studio
        self._config = config
        self._tenant = tenant_of(request)
        self._token = studio.shown(request)
        self._parameters = dict(request.query_params)
        self._deadline_s = deadline_of(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with self._studio.slots.take(self._tenant):
            store, wanted = self._studio.store, self._parameters.pop("id", "")
            result = store.add(wanted, self._tenant, self._parameters.pop("name", ""))
            result.settings = self._parameters
            with result.held():
                try:
                    await self._make(result, receive, send, scope)
                finally:
                    if not result.ready:
                        store.remove(result)

    async def _make(self, result: Result, receive: Receive, send: Send, scope: Scope) -> None:
        control = Control()
        options = self._studio.options
        most, pace = options.upload_mib << 20, STREAM_PACE if self._config is None else VIDEO_PACE
        upload = Upload(receive, result, control, most, self._studio.idle_s, least_pace=pace)
        work = _Work(self._studio, result, control, self._deadline_s, self._token)
        lines = Lines(send, {"Location": f"/v1/streams/{result.id}"})
        async with upload.coming():
            source = upload.file.follow()
            making = asyncio.create_task(work.run(source, self._config))
            try:
                await self._tell(result, making, lines, scope)
            finally:
                control.cancel()
                making.cancel()
                await asyncio.wait([making])
                await source.aclose()

    async def _tell(self, result: Result, making: "asyncio.Task[CmvcError | None]", lines: Lines, scope: Scope) -> None:
        held = []  # until it is known that it is worth a 200
        async with aclosing(result.events.follow()) as events:
            async for event in events:
                held.append(event)
                if event["event"] == "accepted" or (event["event"] == "error" and not lines.begun):
                    continue
                for each in held:
                    await lines.write(each)
                held.clear()
        error = await making
        if error and not lines.begun:
            raise error
        scope["cmvc.code"] = error.code.name if error else "OK"
        await lines.end()


class _Work:
    """Makes one result."""

    def __init__(self, studio: Studio, result: Result, control: Control, deadline_s: float | None, token: str) -> None:
        self._studio = studio
        self._result = result
        self._control = control
        self._deadline_s = deadline_s
        self._token = token
        self._shown = 0.0
        self._frames = 0

    async def run(self, source: AsyncGenerator[bytes], config: encoder_pb2.EncodeConfig | None) -> CmvcError | None:
        """Do it and return why it could not be done; what happens becomes events of the result."""
        events, stream = self._result.events, self._result.begin(self._result.stream_path)
        self._result.stream = stream
        events.add("accepted", id=self._result.id, name=self._result.name, settings=self._result.settings)
        try:
            notes = await self._fill(source, config)
            self._result.settle(notes)
            events.add("done", bytes=stream.size, frames=self._frames, notes=notes)
        except CmvcError as error:
            stream.fail(error)
            events.add("error", error=error_body(error))
            return error
        finally:
            if not stream.ended:  # something that nobody has a word for
                stream.drop()
            events.end()
        return None

    async def _fill(self, source: AsyncGenerator[bytes], config: encoder_pb2.EncodeConfig | None) -> list[str]:
        stream, pipe = self._result.stream, ChunkSource(self._control)
        assert stream
        reading = asyncio.create_task(self._read(pipe))
        try:
            notes: list[str] = []
            pieces = source if config is None else self._encoded(source, config, notes)
            async with aclosing(pieces):
                async for data in pieces:
                    stream.write(data)
                    await pipe.feed(data)
                    if reading.done():
                        break
            pipe.finish()
            return [*notes, *await reading]
        finally:
            pipe.abandon()
            reading.cancel()
            await asyncio.wait([reading])

    async def _encoded(
        self, source: AsyncIterator[bytes], config: encoder_pb2.EncodeConfig, notes: list[str]
    ) -> AsyncGenerator[bytes]:
        clock = telemetry.RequestClock("encode")
        transfer = self._studio.client.encode_stream(
            source,
            config,
            progress=self._progress,
            deadline_s=self._deadline_s,
            control=self._control,
            token=self._token,
        )
        async with transfer:
            async for data in transfer:
                clock.output()
                yield data
        notes += transfer.summary.notes
        clock.done(self._shown)

    async def _read(self, pipe: ChunkSource) -> list[str]:
        """Tell of the stream's parts as they come, and return what is wrong with it."""
        notes: list[str] = []
        records = in_thread(_records(pipe, notes), self._studio.threads, self._control)
        async with aclosing(records):
            async for kind, record in records:
                self._result.events.add(kind, **record)
                self._frames += record["frames"] if kind == "segment" else 0
        return notes

    def _progress(self, progress: common_pb2.Progress) -> None:
        self._shown = progress.seconds_done
        self._result.events.progress(
            frames=progress.frames_done,
            frames_total=progress.frames_total,
            frames_read=progress.frames_read,
            bytes=progress.stream_bytes,
            seconds=round(progress.seconds_done, 3),
        )


def _records(pipe: ChunkSource, notes: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what ``inspect`` says of header and segments, as they come; blocking."""
    reader = StreamReader(pipe)
    yield "header", {"header": header_record(reader.header), "profiles": [each.id for each in reader.profiles.profiles]}
    for placed in reader.segments():
        yield "segment", segment_record(placed, reader.header)
    if reader.damage:
        notes.append(f"{reader.damage.reason}: {reader.damage}")
