"""What a gateway refuses before any work is done, by what the decoders behind it have said that they can do."""

from collections.abc import Sequence

from cmvc.bitstream.modes import check_served
from cmvc.bounds import check_bounds
from cmvc.errors import InvalidSettingError, MissingWeightsError
from cmvc.settings import ADAPTER_SETTING
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2
from cmvc_gateway.capabilities import DecoderCapabilities, adapters_of, modes_by_profile

_ANY_FORMAT = decoder_pb2.OUTPUT_FORMAT_UNSPECIFIED


def check_encode(config: encoder_pb2.EncodeConfig, known: Sequence[DecoderCapabilities]) -> None:
    """Return unless it is known that nobody behind this gateway could decode what is to be encoded.

    A gateway that has never seen a decoder knows nothing; nor is the default profile asked for, whose streams any
    other may decode (``DecodeConfig.profile``).

    Raises:
        InvalidSettingError: a number is out of its bounds.
        UnknownProfileError: the profile named is not served, or does not decode the mode.
        MissingWeightsError: no decoder has its adapter.
    """
    check_bounds(config)
    if known and config.profile.id:
        check_served(modes_by_profile(known), config.profile.id, config.mode, "config.profile.id")
        _check_adapter(config.profile, known)


def check_decode(config: decoder_pb2.DecodeConfig, known: Sequence[DecoderCapabilities]) -> None:
    """Return unless it is known that no decoder here decodes so.

    Raises:
        UnknownProfileError: the profile named is not served.
        InvalidSettingError: no decoder writes the output format.
    """
    if known and config.profile:
        check_served(modes_by_profile(known), config.profile, common_pb2.MODE_UNSPECIFIED, "config.profile")
    check_format(config.format, known, "config.format")


def check_format(wanted: decoder_pb2.OutputFormat.ValueType, known: Sequence[DecoderCapabilities], field: str) -> None:
    """Return unless it is known that no decoder writes the output format ``wanted``, named in the request's ``field``.

    Raises:
        InvalidSettingError: none does.
    """
    if known and wanted != _ANY_FORMAT and not any(wanted in each.formats for each in known):
        raise InvalidSettingError(f"no decoder here writes the output format {wanted}; choose another", field=field)


def _check_adapter(profile: pb.Profile, known: Sequence[DecoderCapabilities]) -> None:
    wanted = profile.settings.get(ADAPTER_SETTING, "")
    there = adapters_of([each for capabilities in known for each in capabilities.profiles if each.id == profile.id])
    if not wanted or there is None:
        return
    if any(each.name == wanted and profile.adapter_sha256 in (b"", each.sha256) for each in there.adapters):
        return
    found = ", ".join(f"{each.name}@{each.sha256.hex()}" for each in there.adapters) or "none"
    raise MissingWeightsError(
        f"no decoder here has the adapter {wanted}@{profile.adapter_sha256.hex()} of {profile.id}; installed: {found}; "
        "choose one of them, or have it installed ('cmvc models install')",
        field="config.profile.settings",
    )
