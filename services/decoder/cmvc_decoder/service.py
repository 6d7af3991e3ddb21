"""What the entry point ``decoder`` in the group ``cmvc.services`` leads to."""

from collections.abc import Iterator

import grpc

from cmvc.bitstream.packets import ByteSource
from cmvc.control import Control
from cmvc.service.registry import Attached, DecoderService
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import add_VideoDecoderServicer_to_server
from cmvc_decoder.pipeline import decode
from cmvc_decoder.servicer import DecoderServicer


class _Service:
    def decode(
        self, source: ByteSource, config: decoder_pb2.DecodeConfig, control: Control
    ) -> Iterator[decoder_pb2.DecodeResponse]:
        return decode(source, config, control)

    def attach(self, server: grpc.aio.Server, *, running: int, waiting: int) -> Attached:
        servicer = DecoderServicer(running, waiting)
        add_VideoDecoderServicer_to_server(servicer, server)
        return servicer


SERVICE: DecoderService = _Service()
