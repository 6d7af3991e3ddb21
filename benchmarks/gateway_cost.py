"""``make bench-scale``, second half: what the gateway itself adds to a segment.

Two ``Decode`` calls are held open, one to a stub decoder that costs nothing (see ``benchmarks.replicas``) and one to a
gateway in front of another of that kind. Segments go to them in turn, one at a time, and each is timed from the moment
its bytes are sent to the moment its progress is back, which follows its last byte.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.replicas import Cost, Replicas, packets
from benchmarks.report import markdown, save
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderStub
from cmvc.wire.channel import open_aio_channel
from cmvc.wire.security import ChannelSecurity
from cmvc.wire.transfer import checked, make_chunk

WARM = 20  # segments that are sent first and not counted
SIZES = (16_000, 48_000, 64_000)  # bytes of a segment's one fragment


class OpenStream:
    """A ``Decode`` call that is fed segment by segment."""

    def __init__(self, call: Any) -> None:  # noqa: ANN401 - the types of grpc know no call that is fed by ``write``
        self._call = call
        self.received = bytearray()

    async def send(self, data: bytes) -> None:
        """Send the next bytes of the stream."""
        await self._call.write(decoder_pb2.DecodeRequest(chunk=make_chunk(data)))

    async def segment(self, data: bytes) -> float:
        """Send a packet, wait for the segment that it completes, and return the seconds that this took.

        A decoder looks one segment ahead: each packet lets it work on the one before.
        """
        began = time.perf_counter()
        await self.send(data)
        while not (response := await self._call.read()).HasField("progress"):
            self.received += checked(response.data)
        return time.perf_counter() - began


@asynccontextmanager
async def open_stream(target: str, head: list[bytes]) -> AsyncIterator[OpenStream]:
    """Open a call and send ``head``, which no answer but the prologue follows."""
    async with open_aio_channel(target, ChannelSecurity()) as channel:
        stub: Any = VideoDecoderStub(channel)
        call = stub.Decode()
        await call.write(decoder_pb2.DecodeRequest(config=decoder_pb2.DecodeConfig()))
        stream = OpenStream(call)
        for data in head:
            await stream.send(data)
        yield stream
        call.cancel()


async def measure(direct: str, gateway: str, segments: int, cost: Cost) -> list[tuple[float, float]]:
    """Return the seconds of each segment, direct and through the gateway.

    Raises:
        ValueError: the two outputs differ.
    """
    opening, first, *rest = packets(segments + WARM + 1)
    times = []
    async with open_stream(direct, [opening, first]) as one, open_stream(gateway, [opening, first]) as other:
        for number, data in enumerate(rest[:-1]):
            order = (one, other) if number % 2 == 0 else (other, one)
            took = {each: await each.segment(data) for each in order}
            times.append((took[one], took[other]))
        if not one.received == other.received == cost.video(segments + WARM):
            raise ValueError("what came back is not what the decoder sent")
    return times[WARM:]


def row(size: int, times: list[tuple[float, float]], load: float) -> dict[str, object]:
    """Put the times of one fragment size together; in milliseconds."""
    added = [1000 * (through - direct) for direct, through in times]
    return {
        "fragment_bytes": size,
        "segments": len(times),
        "direct_ms": round(1000 * median(direct for direct, _ in times), 2),
        "gateway_ms": round(1000 * median(through for _, through in times), 2),
        "added_ms": round(median(added), 2),
        "added_p95_ms": round(quantiles(added, n=20)[-1], 2),
        "load_before": round(load, 2),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway_cost")
    parser.add_argument("--segments", type=int, default=300)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="cmvc-gateway-cost-") as scratch:
        for size in SIZES:
            cost, load = Cost(seconds=0.0, size=size), os.getloadavg()[0]
            with Replicas(Path(scratch), 1, cost) as replicas:
                # One of its own: an open call takes the one place that a decoder has.
                direct = replicas.decoders[replicas.add()].target
                times = asyncio.run(measure(direct, replicas.gateway.target, options.segments, cost))
            rows.append(row(size, times, load))
            print(rows[-1], flush=True)
    about = (
        "Time of one segment on an open stream, direct to a decoder that costs nothing and through a gateway in front"
        " of such a decoder, in turn; medians. The added time is the median of the differences of pairs; load is that"
        " of the machine (1 minute) before each run.\n\n"
    )
    save("gateway_cost", about + markdown(list(rows[0]), [list(each.values()) for each in rows]), {"rows": rows})


if __name__ == "__main__":
    main()
