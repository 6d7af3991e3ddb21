"""Whatever bytes a message is and whatever a handler raises, a call ends with a status and a reason."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from cmvc.errors import MissingWeightsError
from cmvc.server.callers import CallerInterceptor
from cmvc.server.calls import handled
from cmvc.server.parsing import ParsingInterceptor
from cmvc.v1 import common_pb2
from cmvc.wire.status import DETAILS_KEY, to_status

GARBAGE = b"\xff\xff\xff"


def reason(failed):
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(dict(failed.trailing_metadata())[DETAILS_KEY]).details:
        detail.Unpack(info)
    return info.reason


async def ended(raises, message, kind, guard=None, around=handled):
    """Call a method of a server that reads its messages and ``raises``; return the status, reason and text."""

    async def one(request, context):
        async with around(context, "Test"):
            raise raises

    async def many(requests, context):
        async with around(context, "Test"):
            async for _ in requests:
                pass
            raise raises

    chunk = common_pb2.Chunk
    make = {"unary_unary": one, "unary_stream": one, "stream_stream": many}
    handler = getattr(grpc, f"{kind}_rpc_method_handler")(make[kind], chunk.FromString, chunk.SerializeToString)
    server = grpc.aio.server(interceptors=[guard or ParsingInterceptor()])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("cmvc.Test", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = getattr(channel, kind)("/cmvc.Test/Call")(iter([message]) if kind == "stream_stream" else message)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await (call if kind == "unary_unary" else call.read())
    await server.stop(None)
    return failed.value.code().name, reason(failed.value), failed.value.details()


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_stream"])
def test_what_is_no_message_is_refused_with_a_reason(kind):
    status, why, _ = asyncio.run(ended(KeyError("never"), GARBAGE, kind))
    assert (status, why) == ("INVALID_ARGUMENT", "INVALID_MESSAGE")


@pytest.mark.parametrize("error", [KeyError("/srv/secret"), OSError(28, "No space left on device", "/srv/secret")])
def test_what_is_no_error_of_ours_has_a_reason_and_tells_no_path(error):
    status, why, text = asyncio.run(ended(error, b"", "stream_stream"))
    assert (status, why) == ("INTERNAL", "SERVER_FAILED")
    assert "secret" not in text


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_stream"])
def test_a_handler_that_maps_nothing_tells_no_path_either(kind):
    @asynccontextmanager
    async def bare(_context, _method):
        yield

    error = PermissionError(13, "Permission denied", "/srv/secret")
    status, why, text = asyncio.run(ended(error, b"", kind, CallerInterceptor(None, {}), bare))
    assert (status, why, "secret" in text) == ("INTERNAL", "SERVER_FAILED", False)
    missing = MissingWeightsError("/srv/secret/model.safetensors is not there")
    status, why, text = asyncio.run(ended(missing, b"", kind, CallerInterceptor(None, {}), bare))
    assert (why, "secret" in text) == (missing.reason, False)


def test_a_status_names_files_of_the_server_without_their_folders():
    error = MissingWeightsError("/srv/store/wan/model.safetensors is not there (unix:/run/a.sock, 1/2/3); run: x")
    assert to_status(error).message == "model.safetensors is not there (unix:/run/a.sock, 1/2/3); run: x"
