"""The options of a gateway."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import attrs

from cmvc.addresses import is_loopback
from cmvc.errors import InvalidSettingError
from cmvc.options import Options, option
from cmvc.wire.security import ChannelSecurity

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses that a DNS name has now; raises OSError where nobody can say."""
_BACKEND = "[dns:]HOST:PORT"


@attrs.frozen(kw_only=True)
class GatewayLimits(Options):
    """What a gateway takes on and how long it waits, whatever is behind it."""

    max_requests: int = option(64, "At once; more wait in line.", least=1)
    waiting: int = option(64, "Requests in line; more are refused.", least=0)
    max_requests_per_tenant: int | None = option(
        None, "In work and in line from one token.", default_text="no bound", least=1
    )
    cache_mib: int = option(0, "Decoded segments kept for the next who asks.", least=0)
    spool_mib: int = option(2048, "Temporary files of uploads, and of segments that wait for their clients.", least=1)
    wait_s: float = option(
        60.0, "Seconds that work waits for a backend to come back.", flag="--wait", name="wait", least=0
    )
    stall_s: float = option(
        60.0,
        "Seconds of a backend's silence before its work goes elsewhere.",
        flag="--stall-timeout",
        name="stall_timeout",
        above=0,
    )


@attrs.frozen(kw_only=True)
class GatewayOptions(GatewayLimits):
    """How a gateway works, and what is behind it.

    Attributes:
        resolver: looks names up; None asks the system.
    """

    encoders: Sequence[str] = option((), "An encoder, or many by name; repeatable.", flag="--encoder", metavar=_BACKEND)
    decoders: Sequence[str] = option((), "A decoder, or many by name; repeatable.", flag="--decoder", metavar=_BACKEND)
    backend_ca: Path | None = option(None, "PEM file of the backends' authority; turns TLS to them on.")
    backend_cert: Path | None = option(None, "PEM file of the gateway's certificate, for backends that ask for it.")
    backend_key: Path | None = option(None, "PEM file of the gateway's key.")
    backend_token_file: Path | None = option(None, "File with the bearer token for the backends.")
    resolver: Resolver | None = None

    @property
    def security(self) -> ChannelSecurity:
        """How it connects to what is behind it."""
        return ChannelSecurity(
            self.backend_ca,
            self.backend_cert,
            self.backend_key,
            self.backend_token_file,
            insecure_token=self._in_the_clear,  # on this machine; ``check`` refuses it elsewhere
        )

    @property
    def _in_the_clear(self) -> bool:
        return self.backend_token_file is not None and not self.backend_ca

    def check(self) -> None:
        """Return where the options go together.

        Raises:
            InvalidSettingError: they do not.
        """
        if not self.encoders and not self.decoders:
            raise InvalidSettingError("a gateway needs at least one --encoder HOST:PORT or --decoder HOST:PORT")
        if (self.backend_cert or self.backend_key) and not (self.backend_ca and self.backend_cert and self.backend_key):
            raise InvalidSettingError("--backend-cert and --backend-key need each other and --backend-ca")
        if self._in_the_clear and not all(map(is_loopback, (*self.encoders, *self.decoders))):
            raise InvalidSettingError(
                "a bearer token would travel in the clear; give the backends TLS and --backend-ca"
            )
