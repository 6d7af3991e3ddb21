"""The profile table that a stream starts with."""

import re

from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.v1 import bitstream_pb2 as pb

EMBEDDED = pb.Profile(id="embedded", revision="1")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def profile_table(profile: pb.Profile) -> pb.ProfileTable:
    """Return the table of a stream made for ``profile``; without an id it is the embedded one, which has no settings.

    Which profiles and settings there are is the decoder's to know: here the form is checked.

    Raises:
        InvalidSettingError: the id or a setting's name is no name.
        LimitError: the table is too large for a stream.
    """
    for name in (profile.id, *profile.settings):
        if name and not _NAME.fullmatch(name):
            raise InvalidSettingError(
                f"'{name[:80]}' is no name of a profile or setting; use a-z, 0-9, '.', '_' and '-'"
            )
    if not profile.id and profile.settings:
        raise InvalidSettingError("settings of a generator need a profile that has them; name one")
    table = pb.ProfileTable(profiles=[profile if profile.id else EMBEDDED])
    DEFAULT_LIMITS.check("profile_table_bytes", table.ByteSize())
    return table
