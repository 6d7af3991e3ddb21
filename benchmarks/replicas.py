"""Decoders of a stated cost, each in its own process, and a real gateway that finds them by name.

A stub decoder is a real server of the real service. It works on one segment at a time, sleeps for as long as the
segment costs and answers with bytes that follow from the segment's index, so that what comes out of a gateway can be
compared byte by byte. What the name stands for is read from a file, one address a line, as often as the gateway asks.

``python -m benchmarks.replicas decoder|gateway`` is what the processes run.
"""

import argparse
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from cmvc import __version__
from cmvc.bitstream.stream import StreamReader, StreamWriter
from cmvc.errors import BackendUnavailableError
from cmvc.server import logs
from cmvc.server.calls import Context, control_of, handled
from cmvc.server.options import ServerOptions
from cmvc.server.run import run
from cmvc.server.worker import Worker, read_config
from cmvc.services import Attached, load_gateway
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer, add_VideoDecoderServicer_to_server
from cmvc.wire.bridge import ChunkSource
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.options import GatewayOptions

NAME = "decoders.bench"
FRAMES = 48  # of a segment: 2 s at 24 frames per second
PROLOGUE = b"prologue;"
SEGMENT_BYTES = 4096  # of a coded segment on its way in: the generators' modes need about as many
_LISTENING = "listening on "
Response = decoder_pb2.DecodeResponse
SegmentResponse = decoder_pb2.DecodeSegmentResponse


@dataclass(frozen=True)
class Cost:
    """What a stub decoder does for a segment.

    Attributes:
        seconds: that it sleeps, on average.
        spread: how far a segment may be off, as a share of ``seconds``; the same on every decoder.
        size: bytes of its answer, in one fragment.
    """

    seconds: float = 0.25
    spread: float = 0.2
    size: int = 48_000

    def of(self, index: int) -> float:
        """Return the seconds that a segment takes, uniform in ``seconds * (1 ± spread)``."""
        return self.seconds * (1 + self.spread * random.Random(index).uniform(-1, 1))

    def output(self, index: int) -> bytes:
        """Return the answer to a segment."""
        return random.Random(index).randbytes(self.size)

    def video(self, segments: int) -> bytes:
        """Return what a whole stream has to decode to."""
        return PROLOGUE + b"".join(map(self.output, range(segments)))


def packets(segments: int) -> Iterator[bytes]:
    """Yield a stream: its head, its segments (each with bytes of its own), its trailer."""
    header = pb.StreamHeader(width=854, height=480, frame_rate_numerator=24, segment_frames=FRAMES)
    writer = StreamWriter(header, pb.ProfileTable(profiles=[pb.Profile(id="embedded", revision="1")]))
    yield writer.open()
    for index in range(segments):
        video = random.Random(-index).randbytes(SEGMENT_BYTES)
        yield writer.write(pb.Segment(closing_frames=FRAMES, video=video))
    yield writer.close()


class StubDecoder(VideoDecoderServicer):
    """Serves ``VideoDecoder``; says on standard output when it took which segment."""

    names: tuple[str, ...] = (decoder_pb2.DESCRIPTOR.services_by_name["VideoDecoder"].full_name,)

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._worker = Worker("stub", running=1, waiting=16)

    async def DecodeSegment(  # type: ignore[override]  # noqa: N802
        self, request: decoder_pb2.DecodeSegmentRequest, context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "DecodeSegment"):
            responses = self._worker.run(lambda: self._decode_segment(request), control_of(context))
            async with aclosing(responses):
                async for response in responses:
                    await context.write(response)

    async def Decode(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[decoder_pb2.DecodeRequest], context: Context
    ) -> None:
        """See the proto."""
        async with handled(context, "Decode"):
            await read_config(request_iterator)
            responses = self._worker.transfer(request_iterator, control_of(context), self._decode)
            async with aclosing(responses):
                async for response in responses:
                    await context.write(response)

    def _work(self, index: int) -> bytes:
        print(time.monotonic(), index, flush=True)
        time.sleep(self._cost.of(index))
        return self._cost.output(index)

    def _decode_segment(self, request: decoder_pb2.DecodeSegmentRequest) -> Iterator[SegmentResponse]:
        data = self._work(request.index)
        summary = decoder_pb2.DecodeSegmentSummary(frames=FRAMES, bytes=len(data))
        # In one message, as a decoder sends what is short.
        yield SegmentResponse(prologue=PROLOGUE, data=make_chunk(data), summary=summary)

    def _decode(self, source: ChunkSource) -> Iterator[Response]:
        yield Response(data=make_chunk(PROLOGUE))
        frames = count = 0
        for placed in StreamReader(source).segments():
            yield Response(data=make_chunk(self._work(placed.index)))
            frames, count = frames + placed.frames, count + 1
            yield Response(progress=common_pb2.Progress(frames_done=frames, stream_bytes=placed.offset + placed.size))
        yield Response(summary=decoder_pb2.DecodeSummary(frames=frames, segments=count))

    async def GetCapabilities(  # noqa: N802
        self,
        request: decoder_pb2.VideoDecoderGetCapabilitiesRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
        """See the proto."""
        return decoder_pb2.VideoDecoderGetCapabilitiesResponse(
            version=__version__,
            profiles=[decoder_pb2.ProfileCapability(id="embedded", revision="1", modes=[common_pb2.MODE_CODED])],
            formats=[decoder_pb2.OUTPUT_FORMAT_FMP4],
            segments_at_once=1,
        )

    async def start(self) -> None:
        """Have nothing to load."""

    def health(self) -> dict[str, bool]:
        """Return that all is well."""
        return dict.fromkeys((*self.names, ""), True)

    async def close(self) -> None:
        """Take no more work."""
        self._worker.close()


def _attach_decoder(cost: Cost) -> Callable[[grpc.aio.Server], Attached]:
    def attach(server: grpc.aio.Server) -> Attached:
        decoder = StubDecoder(cost)
        add_VideoDecoderServicer_to_server(decoder, server)
        return decoder

    return attach


def _attach_gateway(hosts: Path, port: int) -> Callable[[grpc.aio.Server], Attached]:
    async def resolve(_name: str) -> Sequence[str]:
        return hosts.read_text().split()

    options = GatewayOptions(
        encoders=[],
        decoders=[f"dns:{NAME}:{port}"],
        max_requests=16,
        resolver=resolve,
    )
    return lambda server: load_gateway().attach(server, options)


@dataclass
class Process:
    """A server of this module in a process of its own.

    Attributes:
        target: where it listens, ``HOST:PORT``.
        took: when a decoder took which segment, on the clock of ``time.monotonic``; whole once it has ended.
    """

    popen: subprocess.Popen[str]
    target: str
    took: list[tuple[float, int]] = field(default_factory=list)

    def end(self, *, kill: bool = False) -> None:
        """End it, by SIGTERM or at once, and read the rest of what it said."""
        if kill:
            self.popen.kill()
        else:
            self.popen.terminate()
        self.popen.wait()
        self.reader.join()

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _read(self) -> None:
        for line in self.popen.stdout or ():
            at, index = line.split()
            self.took.append((float(at), int(index)))

    def _pass_on(self) -> None:
        for line in self.popen.stderr or ():
            sys.stderr.write(f"{self.target}: {line}")


def start(*arguments: str) -> Process:
    """Start a server and wait until it listens. It ends with this process, even when that is killed."""
    command = [sys.executable, "-m", "benchmarks.replicas", *arguments]
    popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in popen.stderr or ():
        if line.startswith(_LISTENING):
            return Process(popen, line.removeprefix(_LISTENING).strip())
        sys.stderr.write(line)
    raise BackendUnavailableError(f"{' '.join(command)} ended before it listened; see the lines above")


class Replicas:
    """Decoders at 127.0.0.1, 127.0.0.2, … on one port with a gateway in front; all end with the ``with`` block."""

    def __init__(self, folder: Path, count: int, cost: Cost) -> None:
        """Plan ``count`` decoders; the file with their addresses lies in ``folder``, which exists."""
        self._hosts = folder / "hosts"
        self._count = count
        self._cost = cost
        self._port = _free_port()
        self.decoders: dict[str, Process] = {}

    def __enter__(self) -> Self:
        try:
            self.name(*(self.add() for _ in range(self._count)))
            self.gateway = start("gateway", f"--hosts={self._hosts}", f"--port={self._port}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.end()
        self._end()

    def add(self) -> str:
        """Start one more decoder and return its address; nobody knows of it yet."""
        host = f"127.0.0.{len(self.decoders) + 1}"
        cost = (f"--seconds={self._cost.seconds}", f"--spread={self._cost.spread}", f"--size={self._cost.size}")
        self.decoders[host] = start("decoder", f"--listen={host}:{self._port}", *cost)
        return host

    def name(self, *hosts: str) -> float:
        """Let the name stand for ``hosts``; return when it did, on the clock of ``time.monotonic``."""
        fresh = self._hosts.with_suffix(".new")
        fresh.write_text("\n".join(hosts))
        fresh.replace(self._hosts)
        return time.monotonic()

    def _end(self) -> None:
        for decoder in self.decoders.values():
            decoder.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run one server."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas")
    kinds = parser.add_subparsers(dest="kind", required=True)
    decoder = kinds.add_parser("decoder")
    decoder.add_argument("--listen", default="127.0.0.1:0")
    decoder.add_argument("--seconds", type=float, default=Cost.seconds)
    decoder.add_argument("--spread", type=float, default=Cost.spread)
    decoder.add_argument("--size", type=int, default=Cost.size)
    gateway = kinds.add_parser("gateway")
    gateway.add_argument("--hosts", type=Path, required=True)
    gateway.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    logs.set_up("text", "warning", options.kind)
    if options.kind == "decoder":
        attach = _attach_decoder(Cost(options.seconds, options.spread, options.size))
        run(attach, ServerOptions(listen=options.listen, end_with_stdin=True))
    else:
        attach = _attach_gateway(options.hosts, options.port)
        run(attach, ServerOptions(listen="127.0.0.1:0", end_with_stdin=True), load_gateway().new_loop)


if __name__ == "__main__":
    main()
