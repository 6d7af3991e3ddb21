"""CMVC from Python without the SDK: encodes a video, decodes the stream, and says of an error what there is to know.

It needs grpcio, grpcio-status and google-crc32c, and stubs that are made from the protos:

    pip install grpcio-tools grpcio-status google-crc32c
    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. proto/cmvc/v1/*.proto
    PYTHONPATH=. python examples/python_grpc/transcode.py HOST:PORT IN.mp4 OUT.cmvc BACK.mp4 [BIT/S]
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from cmvc.v1 import common_pb2, decoder_pb2, decoder_pb2_grpc, encoder_pb2, encoder_pb2_grpc

CHUNK_BYTES = 256 << 10  # at most 1 MiB
DEADLINE_S = 600.0


def chunks(path: Path) -> Iterator[common_pb2.Chunk]:
    """Yield a file in chunks, each with its checksum."""
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            yield common_pb2.Chunk(data=data, crc32c=google_crc32c.value(data))


def receive(responses: Iterable[Any], path: Path) -> Any:
    """Write the data of a call to ``path``, there only once it is whole; return the summary.

    Raises:
        ValueError: a chunk was damaged on its way.
        grpc.RpcError: the call failed.
    """
    summary, part = None, path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            for response in responses:
                kind = response.WhichOneof("message")
                if kind == "data":
                    chunk = response.data
                    if google_crc32c.value(chunk.data) != chunk.crc32c:
                        raise ValueError("a chunk was damaged on its way; try again")
                    file.write(chunk.data)
                elif kind == "summary":
                    summary = response.summary
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return summary


def encode(channel: grpc.Channel, video: Path, stream: Path, bits_per_second: int) -> encoder_pb2.EncodeSummary:
    """Encode ``video`` to ``stream``."""

    def requests() -> Iterator[encoder_pb2.EncodeRequest]:
        yield encoder_pb2.EncodeRequest(config=encoder_pb2.EncodeConfig(bits_per_second=bits_per_second))
        yield from (encoder_pb2.EncodeRequest(chunk=chunk) for chunk in chunks(video))

    call = encoder_pb2_grpc.VideoEncoderStub(channel).Encode(requests(), timeout=DEADLINE_S)
    summary: encoder_pb2.EncodeSummary = receive(call, stream)
    return summary


def decode(channel: grpc.Channel, stream: Path, back: Path) -> decoder_pb2.DecodeSummary:
    """Decode ``stream`` to the MP4 ``back``."""

    def requests() -> Iterator[decoder_pb2.DecodeRequest]:
        yield decoder_pb2.DecodeRequest(config=decoder_pb2.DecodeConfig(format=decoder_pb2.OUTPUT_FORMAT_FMP4))
        yield from (decoder_pb2.DecodeRequest(chunk=chunk) for chunk in chunks(stream))

    call = decoder_pb2_grpc.VideoDecoderStub(channel).Decode(requests(), timeout=DEADLINE_S)
    summary: decoder_pb2.DecodeSummary = receive(call, back)
    return summary


def explain(failed: Any) -> dict[str, Any]:
    """Return what a failed call says: status, message, and of its details reason, fields and when to come back."""
    found: dict[str, Any] = {"status": failed.code().name, "message": failed.details()}
    status = rpc_status.from_call(failed)
    for detail in status.details if status else ():
        info, fault = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            found["reason"] = info.reason
        elif detail.Unpack(fault):
            found["fields"] = [violation.field for violation in fault.field_violations]
        elif detail.Unpack(retry):
            found["retry_after_s"] = retry.retry_delay.ToTimedelta().total_seconds()
    return found


def main(target: str, video: str, stream: str, back: str, rate: str = "12000") -> int:
    """Send a video there and back; return the exit code."""
    with grpc.insecure_channel(target) as channel:
        try:
            encoded = encode(channel, Path(video), Path(stream), int(rate))
            print(f"encoded {encoded.frames} frames in {encoded.stream_bytes} bytes")
            for code, note in zip(encoded.note_codes, encoded.notes, strict=True):
                print(common_pb2.NoteCode.Name(code), note)
            decoded = decode(channel, Path(stream), Path(back))
            print(f"decoded {decoded.frames} frames in {decoded.segments} segments")
        except grpc.RpcError as failed:
            print(json.dumps(explain(failed)), file=sys.stderr)
            # It holds the call, which ends with it here: at the interpreter's end gRPC may wait for its lock for ever.
            failed.__traceback__ = None
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
