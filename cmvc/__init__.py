"""CMVC: video sent as text, images and tiny videos, made again by a video generator.

What programs use stands here, in ``__all__``, and is loaded when it is first asked for: the services import parts of
this package where neither gRPC nor the client is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmvc.client import (
        AsyncClient,
        AsyncTransfer,
        Capabilities,
        Client,
        Health,
        Retry,
        Transfer,
    )
    from cmvc.control import Control
    from cmvc.errors import CmvcError
    from cmvc.settings import decode_config, encode_config
    from cmvc.wire.security import ChannelSecurity

__version__ = "0.2.0"
__all__ = [
    "AsyncClient",
    "AsyncTransfer",
    "Capabilities",
    "ChannelSecurity",
    "Client",
    "CmvcError",
    "Control",
    "Health",
    "Retry",
    "Transfer",
    "__version__",
    "decode_config",
    "encode_config",
]
_HOMES = {
    **dict.fromkeys(
        ("AsyncClient", "AsyncTransfer", "Capabilities", "Client", "Health", "Retry", "Transfer"), "cmvc.client"
    ),
    "ChannelSecurity": "cmvc.wire.security",
    "CmvcError": "cmvc.errors",
    "Control": "cmvc.control",
    "decode_config": "cmvc.settings",
    "encode_config": "cmvc.settings",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Load what is public when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cmvc' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
