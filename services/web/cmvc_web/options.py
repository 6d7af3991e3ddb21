"""The options of the web service."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from cmvc.options import Options, option
from cmvc.server.options import LISTEN, ListenOptions
from cmvc.wire.security import ChannelSecurity

WEB_LISTEN = "127.0.0.1:8080"


@attrs.frozen(kw_only=True)
class WebServerOptions(ListenOptions):
    """Where and how to serve."""

    listen: str = option(WEB_LISTEN, "Port 0: any free.", metavar="HOST:PORT")


@attrs.frozen(kw_only=True)
class WebLimits(Options):
    """What is kept and taken on, wherever the gateway is."""

    store: Path | None = option(
        None, "Folder for results; new ones take the place of old.", folder=True, default_text="a temporary one"
    )
    store_mib: int = option(4096, "MiB that results and uploads may take there.", least=1)
    store_age_s: float = option(
        86_400.0, "Seconds that a result is kept.", flag="--store-age", name="store_age", above=0
    )
    upload_mib: int = option(2048, "MiB of one upload; more is refused.", least=1)
    web_requests: int = option(16, "Encodes and decodes at once; more are refused.", least=1)
    web_requests_per_tenant: int | None = option(
        None, "Encodes and decodes at once from one token.", default_text="no bound", least=1
    )
    cors: Sequence[str] = option(
        (), "Origin whose pages may call this, such as https://app.example; '*': any; repeatable.", metavar="ORIGIN"
    )


@attrs.frozen(kw_only=True)
class WebOptions(WebLimits):
    """What the web service keeps, takes on, and has behind it."""

    gateway: str = option(LISTEN, "Gateway, encoder or decoder that does the work.", metavar="HOST:PORT")
    gateway_ca: Path | None = option(None, "PEM file of the gateway's authority; turns TLS to it on.")
    gateway_cert: Path | None = option(None, "PEM file of a certificate, where the gateway asks for one.")
    gateway_key: Path | None = option(None, "PEM file of its key.")
    gateway_token_file: Path | None = option(
        None, "File with a bearer token for the gateway, shown in place of the callers' own; turns TLS on."
    )
    gateway_insecure_token: bool = option(
        False, "Show tokens to a gateway elsewhere without TLS: whoever is on the way can read them."
    )

    @property
    def security(self) -> ChannelSecurity:
        """How the gateway is reached."""
        return ChannelSecurity(
            self.gateway_ca,
            self.gateway_cert,
            self.gateway_key,
            self.gateway_token_file,
            insecure_token=self.gateway_insecure_token,
        )
