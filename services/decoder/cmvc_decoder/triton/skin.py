"""What runs within Triton: requests in, the same generator class as in the decoder, responses out."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import triton_python_backend_utils as pb_utils
from google.protobuf.message import DecodeError
from torch.utils.dlpack import from_dlpack

from cmvc import process
from cmvc.control import Control
from cmvc.errors import CmvcError, CorruptStreamError, ServerError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc.options import from_environment
from cmvc.profiles.registry import model_profile
from cmvc.records import Remark, Tail
from cmvc.v1 import decoder_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.generator import STUCK_S, Conditions, Made, Step
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.speed.options import SpeedOptions, read_speed
from cmvc_decoder.triton.sign_of_life import sign_of_life
from cmvc_decoder.triton.wire import (
    CANARY,
    FRAMES,
    HEARTBEATS,
    NOTE,
    ONE_RESPONSE,
    PROGRESS,
    RESPONSE_BYTES,
    SEGMENT,
    TAIL,
    error_text,
    pack,
    picture_bytes,
)
from cmvc_decoder.weights.store import ModelStore

KEEP_ALIVE_S = 1.0
_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    """A profile as a model of Triton's python backend, which looks for a class of this name."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the profile's weights from the store ``CMVC_MODELS`` with the speed options ``CMVC_SPEED``.

        An instance that Triton places on a GPU runs on that one, whatever device the options name.

        Args:
            args: what Triton says of the model; its name is the profile's id.

        Raises:
            CmvcError: it cannot be loaded; Triton then refuses the model and logs why.
        """
        process.prepare()
        options = from_environment(DecoderOptions)  # the supervisor passes them on
        profile_id = args["model_name"]
        speed = _placed(read_speed(options.speed), args)
        self._generator = make_generator(profile_id, ModelStore(options.models).root, speed)
        self._generator.load()
        self._sign_of_life = sign_of_life(model_profile(profile_id), speed)
        heartbeats = os.environ.get(HEARTBEATS)
        self._heartbeat = Path(heartbeats + profile_id) if heartbeats else None
        self._count = speed.in_work
        self._places = threading.Semaphore(self._count)
        self._ward = _Ward()

    def execute(self, requests: Sequence[Any]) -> None:
        """Begin the work on requests, each in a thread of its own, and return while there is room for more.

        So what comes later, from whichever decoder, shares runs of the model with what is in work. Where there is no
        room, Triton's line is where requests wait, which is bounded.
        """
        for request in requests:
            call = _Call(request, self._sign_of_life)
            self._places.acquire()
            threading.Thread(target=self._answer, args=(call,), name="segment", daemon=True).start()

    def finalize(self) -> None:
        """Wait for what is in work."""
        for _ in range(self._count):
            self._places.acquire()

    def _answer(self, call: "_Call") -> None:
        """Send what is made for a call, each response as soon as it is made."""
        try:
            with self._ward.watched(call):
                for item in self._generator.generate(call.conditions(), call.control):
                    if item == call.steps:
                        continue  # said again, of which the ward takes care here
                    if isinstance(item, Step) and self._heartbeat:
                        self._heartbeat.touch()
                    self._ward.beat()
                    call.take(item)
        except CmvcError as error:
            call.fail(error)
        except BaseException as error:
            call.fail(ServerError(f"the model failed: {error}; the log of Triton says more"))
            raise
        finally:
            self._places.release()


def _placed(speed: SpeedOptions, args: Mapping[str, str]) -> SpeedOptions:
    """Return ``speed`` on the device where Triton has placed this instance."""
    if args["model_instance_kind"] != "GPU":
        return speed
    return replace(speed, device=f"cuda:{args['model_instance_device_id']}")


class _RequestControl(Control):
    """Is cancelled when the client gives up; deadlines are the client's to watch, which gives up then."""

    def __init__(self, sender: Any) -> None:
        super().__init__()
        self._sender = sender

    def check(self) -> None:
        if self._sender.is_cancelled():
            self.cancel()
        super().check()


class _Call:
    """One request with what was and is to be sent."""

    def __init__(self, request: Any, sign_of_life: Conditions) -> None:
        self._sign_of_life = sign_of_life
        self._sender = request.get_response_sender()
        self.control = _RequestControl(self._sender)
        # By DLPack both ways: from and to NumPy arrays the backend makes empty tensors under NumPy 2.
        self._segment = from_dlpack(pb_utils.get_input_tensor_by_name(request, SEGMENT)).numpy().tobytes()
        self._whole = ONE_RESPONSE in (request.parameters() or "")
        self._lock = threading.Lock()  # the keep-alive sends from a thread of its own
        self.steps = Step(0, 1)
        self._waiting: list[Picture] = []
        self._left = 0  # pictures still to come
        self._open = True

    def conditions(self) -> Conditions:
        """Return what is asked for.

        Raises:
            CmvcError: it cannot be read.
        """
        conditions = self._read()
        self._left = conditions.frames
        return conditions

    def _read(self) -> Conditions:
        if self._segment == CANARY:
            return self._sign_of_life
        try:
            request = decoder_pb2.DecodeSegmentRequest.FromString(self._segment)
        except DecodeError:
            raise CorruptStreamError(
                f"{SEGMENT} is no DecodeSegmentRequest; is the decoder of another version?"
            ) from None
        return read_conditions(request, DEFAULT_LIMITS)

    def take(self, item: Made) -> None:
        """Send what the generator made, pictures by the handful, and after the last of them that this was all."""
        if isinstance(item, Step):
            self.steps = item
            self.progress()
        elif isinstance(item, Remark):
            self._send(NOTE, _bytes(item.note.encode()))
        elif isinstance(item, Tail):
            self._send(TAIL, _bytes(item.data))
        else:
            self._left -= 1
            self._show(item)
            if not self._left:
                self._end()

    def progress(self) -> None:
        """Say how far it is, also when that has been said."""
        self._send(PROGRESS, torch.tensor([[self.steps.done, self.steps.total]], dtype=torch.int32))

    def fail(self, error: CmvcError) -> None:
        """End it with an error."""
        with self._lock:
            if self._open:
                self._open = False
                answer = pb_utils.InferenceResponse(error=pb_utils.TritonError(error_text(error)))
                self._sender.send(answer, flags=_FINAL)

    def _show(self, picture: Picture) -> None:
        if self._segment == CANARY:
            return
        self._waiting.append(picture)
        size = picture_bytes(picture.width, picture.height) * len(self._waiting)
        if size >= RESPONSE_BYTES and not self._whole:
            self._flush()

    def _end(self) -> None:
        """Send what is left, and that this was all."""
        if self._waiting:
            self._flush()
        with self._lock:
            if self._open:
                self._open = False
                self._sender.send(flags=_FINAL)

    def _flush(self) -> None:
        frames, self._waiting = pack(self._waiting), []
        self._send(FRAMES, torch.from_numpy(frames[None]))

    def _send(self, name: str, tensor: torch.Tensor) -> None:
        with self._lock:
            if self._open:
                self._sender.send(pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, tensor)]))


def _bytes(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)[None]


class _Ward:
    """Repeats the progress of calls in work while steps are made of any of them: they wait for each other's runs."""

    def __init__(self) -> None:
        self._calls: set[_Call] = set()
        self._last = 0.0
        threading.Thread(target=self._keep, name="keep-alive", daemon=True).start()

    def beat(self) -> None:
        """Note that a step or a picture was made."""
        self._last = time.monotonic()

    @contextmanager
    def watched(self, call: _Call) -> Iterator[None]:
        """Look after a call while it is in work."""
        if not self._calls:
            self.beat()
        self._calls.add(call)
        try:
            call.progress()  # says that it has left the line
            yield
        finally:
            self._calls.discard(call)

    def _keep(self) -> None:
        while True:
            time.sleep(KEEP_ALIVE_S)
            if time.monotonic() - self._last < STUCK_S:
                for call in tuple(self._calls):
                    call.progress()
