"""The profile table that a stream starts with."""

import re

from cmvc.bitstream.stream import DEFAULT_PROFILES
from cmvc.errors import InvalidSettingError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.restoration.settings import FIDELITY, OFF, SETTING, checked_restorer
from cmvc.settings import ADAPTER_HASH_BYTES, ADAPTER_NAME, ADAPTER_SETTING
from cmvc.v1 import bitstream_pb2 as pb

EMBEDDED = DEFAULT_PROFILES.profiles[0]
RESTORED_PROFILE = 1  # position of the profile whose VT2V is restored, in tables for the embedded one
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def profile_table(profile: pb.Profile) -> pb.ProfileTable:
    """Return the table of a stream made for ``profile``; without an id it is the embedded one.

    For the embedded one it has two entries, without and with a restorer, whether or not segments refer to the second.

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
    if not profile.id and set(profile.settings) - {SETTING}:
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
    table = _embedded_table(profile) if profile.id in ("", EMBEDDED.id) else pb.ProfileTable(profiles=[profile])
    DEFAULT_LIMITS.check("profile_table_bytes", table.ByteSize())
    return table


def restorer_of(profile: pb.Profile) -> str:
    """Return the restorer that a stream made for ``profile`` may use in VT2V; "" for none.

    Raises:
        InvalidSettingError: there is none of the name that its settings give.
    """
    if profile.id not in ("", EMBEDDED.id):
        return ""
    name = checked_restorer(profile.settings.get(SETTING, FIDELITY))
    return "" if name == OFF else name


def _embedded_table(profile: pb.Profile) -> pb.ProfileTable:
    plain, restored = pb.Profile(), pb.Profile()
    plain.CopyFrom(EMBEDDED)
    plain.settings.update({name: text for name, text in profile.settings.items() if name != SETTING})
    restored.CopyFrom(plain)
    restored.settings[SETTING] = restorer_of(profile) or FIDELITY
    return pb.ProfileTable(profiles=[plain, restored])
