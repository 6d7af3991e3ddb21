"""One request to a model in Triton, as an iterator of its responses."""

import queue
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from cmvc.addresses import is_near
from cmvc.control import Control
from cmvc.errors import BackendUnavailableError
from cmvc.wire import tracing
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.wire import FRAMES, NOTE, ONE_RESPONSE, PROGRESS, SEGMENT, TAIL, read_error

IN_LINE = "in line"  # stands for a response
SILENT_S = 30.0  # of a model that has begun: it repeats its progress every second, a few late under load
_IN_LINE_S = 1.0  # between two signs that a request is still in line
_POLL_S = 0.05  # how soon a waiting reader notices cancellation
_NOTHING = np.zeros(0, np.uint8)
_MOST_BYTES = (1 << 31) - 1  # of a message, as the client has it by default
_CHANNEL: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", _MOST_BYTES),
    ("grpc.max_receive_message_length", _MOST_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


class Region:
    """Where all frames of a segment go, in memory that Triton and this process share.

    Attributes:
        name: under which Triton knows it.
        size: in bytes.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size


def open_client(address: Address) -> triton.InferenceServerClient:
    """Return a client of a Triton; one that is near is reached past any proxy."""
    past_proxies = [("grpc.enable_http_proxy", 0)] if is_near(address.target) else []
    return triton.InferenceServerClient(address.target, channel_args=[*_CHANNEL, *past_proxies])


def ask(
    address: Address,
    model: str,
    segment: bytes,
    control: Control,
    *,
    region: Region | None = None,
    silent_s: float | None = None,
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the responses to one request: name and contents of their tensor.

    Frames that went to ``region`` come as an empty tensor. While the request is in line, ``IN_LINE`` comes every
    second; the line is waited in as long as ``control`` lets, since Triton itself ends what waits for a dead process.

    Args:
        address: of Triton.
        model: its name there.
        segment: what it is sent.
        control: stops it, also in Triton, within one denoising step.
        region: for the frames; None to have them in the responses.
        silent_s: seconds without a word after which a model that has begun is given up; None for ``SILENT_S``.

    Raises:
        CmvcError: the model's own error; ``BackendUnavailableError`` where Triton or the model is down or silent,
            ``OverloadedError`` where its line is full; what ``control`` says.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client, target = open_client(address), address.target
    with tracing.span("triton", model=model, target=target) as span:
        try:
            # Triton's own traces (--trace-config mode=opentelemetry) go on from these headers.
            headers = dict(span.metadata()) | address.headers()
            client.start_stream(lambda result, error: answers.put(error or result), headers=headers)
            client.async_stream_infer(
                model,
                [_input(segment)],
                outputs=_outputs(region),
                parameters={ONE_RESPONSE: True} if region else None,
                enable_empty_final_response=True,
            )
            yield from _responses(answers, control, target, region, SILENT_S if silent_s is None else silent_s)
        except InferenceServerException as error:
            raise read_error(error.message(), target) from None
        finally:
            with suppress(InferenceServerException):
                client.stop_stream(cancel_requests=True)
            client.close()


def _responses(
    answers: "queue.SimpleQueue[Any]", control: Control, target: str, region: Region | None, silent_s: float
) -> Iterator[tuple[str, NDArray[Any]]]:
    waited, begun = 0.0, False
    while True:
        control.check()
        try:
            answer = answers.get(timeout=_POLL_S)
        except queue.Empty:
            waited += _POLL_S
            if not begun and waited > _IN_LINE_S:
                waited = 0.0
                yield IN_LINE, _NOTHING
        else:
            if isinstance(answer, InferenceServerException):
                control.check()  # a call that was cancelled here ends with an error, too
                raise read_error(answer.message(), target)
            message = answer.get_response()
            for output in message.outputs:
                elsewhere = region is not None and output.name == FRAMES
                yield output.name, _NOTHING if elsewhere else answer.as_numpy(output.name)
            if message.parameters["triton_final_response"].bool_param:
                return
            waited, begun = 0.0, True
        if begun and waited > silent_s:
            raise BackendUnavailableError(f"the model in Triton at {target} was silent for {silent_s:.0f} s")


def _input(segment: bytes) -> Any:
    data = np.frombuffer(segment, np.uint8)[None]
    tensor = triton.InferInput(SEGMENT, data.shape, "UINT8")
    tensor.set_data_from_numpy(data)
    return tensor


def _outputs(region: Region | None) -> Sequence[Any]:
    frames = triton.InferRequestedOutput(FRAMES)
    if region:
        frames.set_shared_memory(region.name, region.size)
    return cast(Sequence[Any], [*map(triton.InferRequestedOutput, (PROGRESS, NOTE, TAIL)), frames])
