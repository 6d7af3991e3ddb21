"""What the entry point ``encoder`` in the group ``cmvc.services`` leads to."""

from collections.abc import Iterator
from typing import BinaryIO

import grpc

from cmvc.control import Control
from cmvc.service.registry import Attached, EncoderService
from cmvc.v1 import encoder_pb2
from cmvc.v1.encoder_pb2_grpc import add_VideoEncoderServicer_to_server
from cmvc_encoder.pipeline import encode
from cmvc_encoder.servicer import EncoderServicer


class _Service:
    def encode(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control
    ) -> Iterator[encoder_pb2.EncodeResponse]:
        return encode(source, config, control)

    def attach(self, server: grpc.aio.Server, *, running: int, waiting: int) -> Attached:
        servicer = EncoderServicer(running, waiting)
        add_VideoEncoderServicer_to_server(servicer, server)
        return servicer


SERVICE: EncoderService = _Service()
