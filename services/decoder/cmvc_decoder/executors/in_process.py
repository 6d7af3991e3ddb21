"""Runs generators in this process."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from cmvc.control import Control
from cmvc.profiles.profile import Profile
from cmvc.profiles.registry import profile_of
from cmvc.v1 import decoder_pb2
from cmvc_decoder.generator import Conditions, Generator, Made
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import read_speed
from cmvc_decoder.weights.adapters import Adapter, installed


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

    def profiles(self) -> Sequence[Profile]:
        """Return those asked for."""
        return self._facts

    def adapters(self, profile_id: str) -> Sequence[Adapter]:
        """Return those in the model store."""
        return installed(self._models / profile_id)

    def generate(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Made]:
        """Yield steps and frames; see ``Executor``."""
        return self._generator(request.profile.id).generate(conditions, control)

    def start(self) -> None:
        """Load the weights of every profile."""
        for facts in self._facts:
            self._generator(facts.id).load()

    def works(self, profile_id: str) -> bool:  # noqa: ARG002
        """Return True: what would break a model would end this process."""
        return True

    def close(self) -> None:
        """Do nothing; the process ends."""

    def _generator(self, profile_id: str) -> Generator:
        with self._lock:
            if profile_id not in self._generators:
                self._generators[profile_id] = make_generator(profile_id, self._models, self._speed)
            return self._generators[profile_id]
