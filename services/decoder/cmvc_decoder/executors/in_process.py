"""Runs generators in this process."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from cmvc.control import Control
from cmvc.errors import BackendUnavailableError
from cmvc.profiles.profile import ModelProfile, Profile
from cmvc.profiles.registry import profile_of
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.generator import Conditions, Generator, Made
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import read_speed
from cmvc_decoder.weights.adapters import Adapter, installed

_CUDA = "CUDA error"  # how PyTorch begins the errors after which a process can use its GPU no more
_GPU_LOST = "the GPU of this decoder failed; start it again (its log says how)"
log = logging.getLogger(__name__)


class InProcessExecutor:
    """Runs generators here."""

    def __init__(self, profiles: Sequence[str], models: Path, speed: Sequence[str]) -> None:
        """Serve ``profiles`` with weights from the store at ``models``; ``speed`` as ``read_speed`` takes it.

        Raises:
            UnknownProfileError, InvalidSettingError: a name or an option is not known.
        """
        self._facts = tuple(profile_of(each) for each in profiles)
        self._models = models
        self._speed = read_speed(speed)
        self._generators: dict[str, Generator] = {}
        self._lock = threading.Lock()
        self._gpu_lost = False

    def profiles(self) -> Sequence[Profile]:
        """Return those asked for."""
        return self._facts

    def adapters(self, profile_id: str) -> Sequence[Adapter]:
        """Return those in the model store."""
        return installed(self._models / profile_id)

    def generate(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Made]:
        """Yield steps and frames; see ``Executor``.

        Raises:
            BackendUnavailableError: the GPU failed, now or before; see ``works``.
        """
        if not self.works(request.profile.id) and conditions.mode != common_pb2.MODE_CODED:
            raise BackendUnavailableError(_GPU_LOST)
        try:
            yield from self._generator(request.profile.id).generate(conditions, control)
        except RuntimeError as error:
            if not str(error).startswith(_CUDA):
                raise
            log.exception("the GPU failed")
            self._gpu_lost = True
            raise BackendUnavailableError(_GPU_LOST) from None

    def start(self) -> None:
        """Load the weights of every profile."""
        for facts in self._facts:
            self._generator(facts.id).load()

    def works(self, profile_id: str) -> bool:
        """Return whether the profile has no model, or its GPU has not failed.

        After an error of CUDA no work of this process reaches the GPU any more, until it is started again.
        """
        return not (self._gpu_lost and isinstance(profile_of(profile_id), ModelProfile))

    def close(self) -> None:
        """Do nothing; the process ends."""

    def _generator(self, profile_id: str) -> Generator:
        with self._lock:
            if profile_id not in self._generators:
                self._generators[profile_id] = make_generator(profile_id, self._models, self._speed)
            return self._generators[profile_id]
