"""What runs generators, whichever way, and which segments it takes."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from cmvc.bitstream.modes import MODE_NAMES, Mode
from cmvc.control import Control
from cmvc.errors import UnknownProfileError
from cmvc.media.picture import Picture
from cmvc.v1 import decoder_pb2
from cmvc_decoder.generator import Conditions, Step
from cmvc_decoder.generators.registry import ProfileFacts


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
