"""Which restorers there are, and what of a profile's settings names one."""

from importlib.util import find_spec

from cmvc.errors import InvalidSettingError, MissingServiceError

SETTING = "restorer"
FIDELITY, OFF = "fidelity", "off"
CHOICES = (FIDELITY, OFF)


def checked_restorer(name: str) -> str:
    """Return a restorer's name.

    Raises:
        InvalidSettingError: there is none of that name.
    """
    if name not in CHOICES:
        raise InvalidSettingError(
            f"there is no restorer '{name[:80]}'; use {' or '.join(CHOICES)}", field="config.profile.settings"
        )
    return name


def is_runnable() -> bool:
    """Return whether what runs restorers is installed."""
    return find_spec("onnxruntime") is not None


def check_runnable() -> None:
    """Make sure that what runs restorers is installed.

    Raises:
        MissingServiceError: it is not.
    """
    if not is_runnable():
        raise MissingServiceError(
            "restoring VT2V needs onnxruntime, which is not installed; in a checkout run: pip install -c "
            "constraints.txt '.[restoration]'; or do without: --set restorer=off to "
            "encode, --profile embedded to decode"
        )
