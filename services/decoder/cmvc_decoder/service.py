"""What the entry point ``decoder`` in the group ``cmvc.services`` leads to."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grpc

from cmvc import process
from cmvc.bitstream.packets import ByteSource
from cmvc.control import Control
from cmvc.services import Attached, DecoderOptions, DecoderService
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import add_VideoDecoderServicer_to_server
from cmvc.wire import tracing
from cmvc.wire.messages import decode_responses
from cmvc_decoder.executors.base import Executor
from cmvc_decoder.executors.registry import make_executor
from cmvc_decoder.pipeline import NO_OBSERVER, decode
from cmvc_decoder.servicer import DecoderServicer


@cache
def _local_executor() -> Executor:
    """Return the executor of calls without a server; kept, so that weights are loaded once."""
    return make_executor(
        DecoderOptions(
            models=Path(os.environ["CMVC_MODELS"]) if os.environ.get("CMVC_MODELS") else None,
            speed=os.environ.get("CMVC_SPEED", "").split(),
            triton=os.environ.get("CMVC_TRITON", ""),
        )
    )


class _Service:
    def decode(
        self, source: ByteSource, config: decoder_pb2.DecodeConfig, control: Control
    ) -> Iterator[decoder_pb2.DecodeResponse]:
        observer = tracing.observed(NO_OBSERVER)
        yield from decode_responses(decode(source, config, control, _local_executor(), observer=observer))

    def attach(self, server: grpc.aio.Server, *, running: int, waiting: int, options: DecoderOptions) -> Attached:
        process.prepare()
        servicer = DecoderServicer(make_executor(options), running, waiting)
        add_VideoDecoderServicer_to_server(servicer, server)
        return servicer


SERVICE: DecoderService = _Service()
