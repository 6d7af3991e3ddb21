"""What the entry point ``decoder`` in the group ``cmvc.services`` leads to.

What decodes is imported when it is first needed: the command line asks for the options alone.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import grpc

from cmvc.bitstream.packets import ByteSource
from cmvc.control import Control
from cmvc.findings import Finding
from cmvc.options import from_environment
from cmvc.process import cores, memory
from cmvc.services import Attached, DecoderService
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import add_VideoDecoderServicer_to_server
from cmvc.wire import tracing
from cmvc.wire.messages import decode_responses
from cmvc_decoder.options import DecoderOptions

if TYPE_CHECKING:
    from cmvc_decoder.executors.base import Executor

# ruff: noqa: PLC0415

MOST_AT_ONCE = 4  # segments in work for one call; each may hold 128 MiB of pictures


@cache
def _local_executor() -> "Executor":
    """Return the executor of calls without a server; kept, so that weights are loaded once."""
    from cmvc_decoder.executors.registry import make_executor

    return make_executor(attrs.evolve(from_environment(DecoderOptions), profiles=()))


def _at_once() -> int:
    """Return how many segments calls without a server have in work."""
    return min(cores(), MOST_AT_ONCE)


class _Service:
    options = DecoderOptions

    def capabilities(self) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
        from cmvc_decoder.capabilities import capabilities

        return capabilities(_local_executor(), segments_at_once=_at_once())

    def decode(
        self, source: ByteSource, config: decoder_pb2.DecodeConfig, control: Control
    ) -> Iterator[decoder_pb2.DecodeResponse]:
        from cmvc_decoder.pipeline import NO_OBSERVER, decode

        observer = tracing.observed(NO_OBSERVER)
        records = decode(source, config, control, _local_executor(), observer=observer, at_once=_at_once())
        yield from decode_responses(records)

    def examine(self, models: Path | None, triton: str) -> Iterator[Finding]:
        from cmvc_decoder.findings import examine

        return examine(models, triton)

    def attach(
        self, server: grpc.aio.Server, *, running: int | None, waiting: int, options: DecoderOptions
    ) -> Attached:
        from cmvc.server.options import HALF
        from cmvc_decoder.executors.registry import make_executor
        from cmvc_decoder.memory import Memory
        from cmvc_decoder.servicer import DecoderServicer
        from cmvc_decoder.speed.places import segments_in_work

        running = running or segments_in_work(options) or HALF
        shared = Memory(options.memory_mib << 20 if options.memory_mib else memory())
        servicer = DecoderServicer(make_executor(options), running, waiting, shared)
        add_VideoDecoderServicer_to_server(servicer, server)
        return servicer


SERVICE: DecoderService = _Service()
