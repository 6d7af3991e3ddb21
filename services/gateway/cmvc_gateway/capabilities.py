"""What the backends can do together."""

from collections.abc import Sequence

from cmvc import __version__
from cmvc.bitstream.modes import Mode
from cmvc.v1 import decoder_pb2
from cmvc.v1.encoder_pb2 import VideoEncoderGetCapabilitiesResponse as EncoderCapabilities

DecoderCapabilities = decoder_pb2.VideoDecoderGetCapabilitiesResponse
ProfileCapability = decoder_pb2.ProfileCapability


def all_encoders(known: Sequence[EncoderCapabilities]) -> EncoderCapabilities:
    """Return what any of them can do."""
    return EncoderCapabilities(
        version=__version__,
        modes=sorted({mode for each in known for mode in each.modes}),
        semantics=sorted({name for each in known for name in each.semantics}),
        embeddings=sorted({name for each in known for name in each.embeddings}),
    )


def all_decoders(known: Sequence[DecoderCapabilities], up: Sequence[DecoderCapabilities]) -> DecoderCapabilities:
    """Return what any of them can do, and how much all together.

    Args:
        known: what those can do that were ever up.
        up: what those can do that are.
    """
    well = profiles_up(up)
    alike: dict[tuple[str, str], list[ProfileCapability]] = {}
    for each in (each for capabilities in known for each in capabilities.profiles):
        alike.setdefault((each.id, each.revision), []).append(each)
    return DecoderCapabilities(
        version=__version__,
        profiles=[
            ProfileCapability(
                id=name,
                revision=revision,
                modes=sorted({mode for each in found for mode in each.modes}),
                adapters=adapters_of(found),
                model_down=name not in well,
            )
            for (name, revision), found in sorted(alike.items())
        ],
        formats=sorted({output for each in known for output in each.formats}),
        segments_at_once=sum(max(each.segments_at_once, 1) for each in known),
        segments_waiting=sum(each.segments_waiting for each in known),
        callers=1,
    )


def profiles_up(up: Sequence[DecoderCapabilities]) -> set[str]:
    """Return the ids of the profiles whose model works at one at least of the decoders that are ``up``."""
    return {each.id for capabilities in up for each in capabilities.profiles if not each.model_down}


def modes_by_profile(known: Sequence[DecoderCapabilities]) -> dict[str, set[Mode.ValueType]]:
    """Return the modes of each profile that any decoder serves, by its id."""
    served: dict[str, set[Mode.ValueType]] = {}
    for each in (each for capabilities in known for each in capabilities.profiles):
        served.setdefault(each.id, set()).update(each.modes)
    return served


def adapters_of(profiles: Sequence[ProfileCapability]) -> decoder_pb2.AdapterList | None:
    """Return the adapters that any decoder has of a profile; None where one of them cannot tell."""
    if not all(each.HasField("adapters") for each in profiles):
        return None
    found = {(each.name, each.sha256): each for profile in profiles for each in profile.adapters.adapters}
    return decoder_pb2.AdapterList(adapters=[found[key] for key in sorted(found)])
