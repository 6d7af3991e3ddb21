"""What the entry point ``encoder`` in the group ``cmvc.services`` leads to.

What encodes is imported when it is first needed: the command line asks for the options alone.
"""

from collections.abc import Iterator
from typing import BinaryIO

import grpc

from cmvc.control import Control
from cmvc.services import Attached, EncoderService, KeyframeReport
from cmvc.v1 import encoder_pb2
from cmvc.v1.encoder_pb2_grpc import add_VideoEncoderServicer_to_server
from cmvc.wire import tracing
from cmvc.wire.messages import encode_responses
from cmvc_encoder.options import EncoderOptions

# ruff: noqa: PLC0415


class _Service:
    options = EncoderOptions

    def encode(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control, options: EncoderOptions
    ) -> Iterator[encoder_pb2.EncodeResponse]:
        from cmvc_encoder.pipeline import NO_OBSERVER, encode

        records = encode(source, config, control, observer=tracing.observed(NO_OBSERVER), options=options)
        yield from encode_responses(records)

    def capabilities(self, options: EncoderOptions) -> encoder_pb2.VideoEncoderGetCapabilitiesResponse:
        from cmvc_encoder.capabilities import capabilities

        return capabilities(options)

    def keyframes(
        self, source: str | BinaryIO, config: encoder_pb2.EncodeConfig, control: Control, options: EncoderOptions
    ) -> KeyframeReport:
        from cmvc_encoder.keyframes.report import report_keyframes

        return report_keyframes(source, config, control, options)

    def attach(
        self, server: grpc.aio.Server, *, running: int | None, waiting: int, options: EncoderOptions
    ) -> Attached:
        from cmvc.server.options import HALF
        from cmvc_encoder.servicer import EncoderServicer

        servicer = EncoderServicer(running or HALF, waiting, options)
        add_VideoEncoderServicer_to_server(servicer, server)
        return servicer


SERVICE: EncoderService = _Service()
