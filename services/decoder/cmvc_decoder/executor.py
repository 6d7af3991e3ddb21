"""Where generators run: in this process, or in a Triton server."""

import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from cmvc.bitstream.modes import MODE_NAMES, Mode
from cmvc.control import Control
from cmvc.errors import MissingServiceError, UnknownProfileError
from cmvc.media.picture import Picture
from cmvc.service.registry import DecoderOptions
from cmvc.v1 import decoder_pb2
from cmvc_decoder.generators.base import Conditions, Generator, Step
from cmvc_decoder.generators.registry import PROFILES, ProfileFacts, make_generator, profile_facts
from cmvc_decoder.models.store import ModelStore
from cmvc_decoder.speed.options import read_speed


class Executor(Protocol):
    """Makes the frames of segments, with the profile that each asks for."""

    def profiles(self) -> Sequence[ProfileFacts]:
        """Return the profiles that it serves."""

    def generate(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Step | Picture]:
        """Yield steps and then the frames of one segment; see ``Generator.generate``.

        Args:
            request: the segment as it came; of a profile and a mode that are served here (see ``check_served``).
            conditions: what ``read_conditions`` made of it.
            control: stops the work.

        Raises:
            CmvcError: see the profile; ``BackendUnavailableError`` where what runs it is down.
        """

    def start(self) -> None:
        """Make everything ready that takes long; blocking.

        Raises:
            MissingWeightsError: of a profile that is to be served.
        """

    def healthy(self) -> bool:
        """Return whether work would be done now."""

    def close(self) -> None:
        """Let go of everything."""


class InProcessExecutor:
    """Runs generators here."""

    def __init__(self, profiles: Sequence[str], models: Path, speed: Sequence[str]) -> None:
        """Serve ``profiles`` with weights from the store at ``models``; ``speed`` as ``read_speed`` takes it.

        Raises:
            UnknownProfileError, InvalidSettingError: a name or an option is not known.
        """
        self._facts = tuple(profile_facts(each) for each in profiles)
        self._models = models
        self._speed = read_speed(speed)
        self._generators: dict[str, Generator] = {}
        self._lock = threading.Lock()

    def profiles(self) -> Sequence[ProfileFacts]:
        """Return those asked for."""
        return self._facts

    def generate(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Step | Picture]:
        """Yield steps and frames; see ``Executor``."""
        return self._generator(request.profile.id).generate(conditions, control)

    def start(self) -> None:
        """Load the weights of every profile."""
        for facts in self._facts:
            self._generator(facts.id).load()

    def healthy(self) -> bool:
        """Return True: what would break it would end this process."""
        return True

    def close(self) -> None:
        """Do nothing; the process ends."""

    def _generator(self, profile_id: str) -> Generator:
        with self._lock:
            if profile_id not in self._generators:
                self._generators[profile_id] = make_generator(profile_id, self._models, self._speed)
            return self._generators[profile_id]


def check_served(served: Sequence[ProfileFacts], profile_id: str, mode: Mode.ValueType) -> None:
    """Return if a segment can be decoded with one of ``served``; its mode may be one that is not known.

    Raises:
        UnknownProfileError: it cannot.
    """
    facts = next((each for each in served if each.id == profile_id), None)
    if facts is None:
        names = ", ".join(each.id for each in served)
        raise UnknownProfileError(
            f"the profile '{profile_id}' is not served here; served: {names}; choose one with --profile"
        )
    if mode in MODE_NAMES and mode not in facts.modes:
        able = ", ".join(each.id for each in served if mode in each.modes)
        raise UnknownProfileError(
            f"the profile '{profile_id}' does not decode {MODE_NAMES[mode]}; served here and able: {able}; "
            "choose one with --profile"
        )


def make_executor(options: DecoderOptions) -> Executor:
    """Return the executor that the options ask for.

    Raises:
        UnknownProfileError, InvalidSettingError: a name or an option is not known.
        MissingServiceError: Triton is asked for, and its client is not installed.
    """
    profiles = options.profiles or tuple(PROFILES)
    local = InProcessExecutor(profiles, ModelStore(options.models).root, options.speed)
    if not options.triton:
        return local
    try:
        triton = import_module("cmvc_decoder.triton.executor")  # only here: its client is an extra
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"Triton needs {missing.name}, which is not installed; in a checkout run: "
            "pip install -c constraints.txt '.[cli]' './services/decoder[triton]'"
        ) from None
    executor: Executor = triton.TritonExecutor(options.triton, profiles, local, shared_memory=options.shared_memory)
    return executor
