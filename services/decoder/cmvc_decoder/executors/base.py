"""What runs generators, whichever way, and which segments it takes."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from cmvc.control import Control
from cmvc.profiles.profile import Profile
from cmvc.v1 import decoder_pb2
from cmvc_decoder.generator import Conditions, Made
from cmvc_decoder.weights.adapters import Adapter


class Executor(Protocol):
    """Makes the frames of segments, with the profile that each asks for."""

    def profiles(self) -> Sequence[Profile]:
        """Return the profiles that it serves."""

    def adapters(self, profile_id: str) -> Sequence[Adapter] | None:
        """Return the adapters that are installed for a profile now, by name; None where that is not known here."""

    def generate(
        self, request: decoder_pb2.DecodeSegmentRequest, conditions: Conditions, control: Control
    ) -> Iterator[Made]:
        """Yield steps, the tail, and then the frames of one segment; see ``Generator.generate``.

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

    def works(self, profile_id: str) -> bool:
        """Return whether the model of a profile that it serves would do work now; True where it has none."""

    def close(self) -> None:
        """Let go of everything."""
