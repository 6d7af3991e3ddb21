"""The profile table that a stream starts with."""

import re

from cmvc.bitstream.stream import DEFAULT_PROFILES
from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.settings import ADAPTER_HASH_BYTES, ADAPTER_NAME, ADAPTER_SETTING
from cmvc.v1 import bitstream_pb2 as pb

(EMBEDDED,) = DEFAULT_PROFILES.profiles
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def profile_table(profile: pb.Profile) -> pb.ProfileTable:
    """Return the table of a stream made for ``profile``; without an id it is the embedded one, which has no settings.

    Which profiles and settings there are is the decoder's to know: here the form is checked.

    Raises:
        InvalidSettingError: the id, a setting's name or the adapter's is no name, or the adapter's hash none.
        LimitError: the table is too large for a stream.
    """
    for name in (profile.id, *profile.settings):
        if name and not _NAME.fullmatch(name):
            raise InvalidSettingError(
                f"'{name[:80]}' is no name of a profile or setting; use a-z, 0-9, '.', '_' and '-'",
                field="config.profile.id" if name == profile.id else "config.profile.settings",
            )
    if not profile.id and profile.settings:
        raise InvalidSettingError(
            "settings of a generator need a profile that has them; name one", field="config.profile.id"
        )
    adapter = profile.settings.get(ADAPTER_SETTING)
    if adapter is not None and not ADAPTER_NAME.fullmatch(adapter):
        raise InvalidSettingError(
            f"'{adapter[:80]}' is no name of an adapter; use a-z, 0-9, '.', '_' and '-'",
            field="config.profile.settings",
        )
    if len(profile.adapter_sha256) not in (0, ADAPTER_HASH_BYTES):
        raise InvalidSettingError(
            f"the adapter's hash has {len(profile.adapter_sha256)} bytes; give the first {ADAPTER_HASH_BYTES} of its "
            "SHA-256, or none",
            field="config.profile.adapter_sha256",
        )
    if profile.id in ("", EMBEDDED.id) and (adapter is not None or profile.adapter_sha256):
        raise InvalidSettingError(
            f"the profile {EMBEDDED.id} takes no adapter; name a profile that does", field="config.profile.id"
        )
    table = pb.ProfileTable(profiles=[profile if profile.id else EMBEDDED])
    DEFAULT_LIMITS.check("profile_table_bytes", table.ByteSize())
    return table
