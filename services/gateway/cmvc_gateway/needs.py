"""What a decoder has to be able to do that a segment is given to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cmvc.bitstream.modes import Mode, check_served, mode_of
from cmvc.errors import UnknownModeError
from cmvc.settings import ADAPTER_SETTING
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_gateway.capabilities import DecoderCapabilities, modes_by_profile
from cmvc_gateway.checks import check_format


@dataclass(frozen=True)
class Needs:
    """What one segment needs.

    Attributes:
        profile: its id.
        mode: of the segment.
        output: the form of its output.
        adapter: name of the one that it is made with; "" where its hash says which, or it takes none.
        adapter_sha256: first bytes of its hash; empty where the name says which, or it takes none.
    """

    profile: str
    mode: Mode.ValueType
    output: decoder_pb2.OutputFormat.ValueType
    adapter: str = ""
    adapter_sha256: bytes = b""

    @staticmethod
    def of(request: decoder_pb2.DecodeSegmentRequest) -> "Needs":
        """Return what a segment needs.

        Raises:
            UnknownModeError: its mode is one of a later version.
        """
        mode = mode_of(request.segment)
        if mode == common_pb2.MODE_UNSPECIFIED:
            raise UnknownModeError(f"segment {request.index} has a mode that this version does not know; update CMVC")
        needs = Needs(request.profile.id, mode, request.format)
        if mode == common_pb2.MODE_CODED:  # which is made without a model
            return needs
        name = request.profile.settings.get(ADAPTER_SETTING, "")
        return replace(needs, adapter=name, adapter_sha256=request.profile.adapter_sha256)

    def with_any_adapter(self) -> "Needs":
        """Return the same but for the adapter."""
        return replace(self, adapter="", adapter_sha256=b"")

    def served_by(self, decoder: DecoderCapabilities) -> bool:
        """Return whether a decoder does such segments, when all that it has works."""
        if self.output and self.output not in decoder.formats:
            return False
        return any(
            each.id == self.profile and self.mode in each.modes and self._has_adapter(each) for each in decoder.profiles
        )

    def _has_adapter(self, profile: decoder_pb2.ProfileCapability) -> bool:
        """Return whether a decoder has the adapter, or cannot tell."""
        if not (self.adapter or self.adapter_sha256) or not profile.HasField("adapters"):
            return True
        return any(
            self.adapter in ("", each.name) and self.adapter_sha256 in (b"", each.sha256)
            for each in profile.adapters.adapters
        )

    def met_by(self, decoder: DecoderCapabilities) -> bool:
        """Return whether a decoder does such segments now: CODED ones need no model."""
        models = [each for each in decoder.profiles if each.id == self.profile]
        down = self.mode != common_pb2.MODE_CODED and any(each.model_down for each in models)
        return self.served_by(decoder) and not down

    def check(self, known: Sequence[DecoderCapabilities]) -> None:
        """Return unless it is known that no decoder does such segments, whatever their adapter.

        Raises:
            UnknownProfileError: the profile is not served, or does not decode the mode.
            InvalidSettingError: no decoder writes the output.
        """
        if known and not any(map(self.with_any_adapter().served_by, known)):
            check_served(modes_by_profile(known), self.profile, self.mode)
            check_format(self.output, known, "format")
