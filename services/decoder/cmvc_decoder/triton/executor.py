"""Runs the profiles that need weights in a Triton server."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmvc.control import Control
from cmvc.errors import BackendUnavailableError, ServerError
from cmvc.media.picture import Picture
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc.profiles.registry import profile_of
from cmvc.records import Remark, Tail
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.generator import Conditions, Made, Step
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import IN_LINE, Region, ask
from cmvc_decoder.triton.canary import Watch
from cmvc_decoder.triton.shared_memory import MOST_BYTES, shared_region
from cmvc_decoder.triton.wire import FRAMES, NOTE, PROGRESS, TAIL, picture_bytes, unpack
from cmvc_decoder.upscale import upscale

log = logging.getLogger(__name__)
Responses = Iterator[tuple[str, NDArray[Any]]]


class TritonExecutor:
    """Sends segments to Triton. What needs no model (CODED segments, the embedded profile) is done here."""

    def __init__(
        self, address: Address, profiles: Sequence[str], local: InProcessExecutor, *, shared_memory: bool
    ) -> None:
        """Serve ``profiles`` from the Triton server at ``address``.

        Args:
            address: of it.
            profiles: ids; models of these names are expected there.
            local: for what needs no model.
            shared_memory: whether frames come that way; Triton has to be on this host.

        Raises:
            UnknownProfileError: there is no such profile.
        """
        self._address = address
        self._facts = tuple(profile_of(each) for each in profiles)
        self._local = local
        self._shared_memory = shared_memory
        self._watches = {facts.id: Watch(address, facts.id) for facts in self._facts if isinstance(facts, ModelProfile)}

    def profiles(self) -> Sequence[Profile]:
        """Return those asked for."""
        return self._facts

    def adapters(self, profile_id: str) -> None:
        """Return None: they lie in Triton's model store, which may be on another machine."""

    def start(self) -> None:
        """Begin to watch the models."""
        for watch in self._watches.values():
            watch.start()

    def works(self, profile_id: str) -> bool:
        """Return whether the profile's model answered its last canary, or works; True where it has none."""
        return profile_id not in self._watches or self._watches[profile_id].alive

    def close(self) -> None:
        """Watch no more."""
        for watch in self._watches.values():
            watch.stop()

    def generate(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Made]:
        """Yield steps and frames; see ``Executor``."""
        if request.profile.id not in self._watches:
            return self._local.generate(request, conditions, control)
        if conditions.mode == common_pb2.MODE_CODED:
            return upscale(conditions, control)
        return self._watched(request, conditions, control)

    def _watched(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Made]:
        watch = self._watches[request.profile.id]
        count = 0
        try:
            for item in self._remote(request, conditions, control):
                if not isinstance(item, Step) or item.done:
                    watch.saw_work()
                count += isinstance(item, Picture)
                yield item
        except BackendUnavailableError:
            watch.failed()
            raise
        if count != conditions.frames:
            raise ServerError(f"Triton at {self._address} sent {count} pictures of {conditions.frames}")

    def _remote(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Made]:
        size = picture_bytes(conditions.width, conditions.height)
        with ExitStack() as stack:
            region, contents = None, None
            if self._shared_memory and size * conditions.frames <= MOST_BYTES:
                try:
                    region, contents = stack.enter_context(shared_region(self._address, conditions.frames, size))
                except OSError as error:
                    log.warning("no shared memory for %d frames, so they come without: %s", conditions.frames, error)
            yield from _items(self._ask(request, control, region), conditions, contents)

    def _ask(
        self, request: decoder_pb2.DecodeSegmentRequest, control: Control, region: Region | None = None
    ) -> Responses:
        return ask(self._address, request.profile.id, request.SerializeToString(), control, region=region)


def _items(responses: Responses, conditions: Conditions, contents: NDArray[np.uint8] | None = None) -> Iterator[Made]:
    """Yield what responses stand for; ``contents`` are the frames where they came in shared memory."""
    for name, tensor in responses:
        if name == IN_LINE:  # passed on, because a gateway takes long silence for a death
            yield Step(0, 1)
        elif name == PROGRESS:
            yield Step(int(tensor[0, 0]), int(tensor[0, 1]))
        elif name == NOTE:
            yield Remark(tensor[0].tobytes().decode())
        elif name == TAIL:
            yield Tail(tensor[0].tobytes())
        elif name == FRAMES:
            rows = tensor[0] if contents is None else contents
            # Copied, because the region may be gone before a picture is shown.
            yield from (unpack(row.copy(), conditions.width, conditions.height) for row in rows)
