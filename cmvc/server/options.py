"""Options that every server has, whatever it serves."""

import os
from collections.abc import Sequence

import attrs

from cmvc.errors import InvalidSettingError
from cmvc.options import Options, option
from cmvc.server.logs import FORMATS, LEVELS, Format
from cmvc.server.quotas import Hourly
from cmvc.server.scopes import read_name
from cmvc.server.security import ServerSecurity

LISTEN = "127.0.0.1:50051"
HALF = max(1, (os.cpu_count() or 1) // 2)


@attrs.frozen(kw_only=True)
class ListenOptions(Options):
    """Where and how to serve, whatever is spoken there.

    Attributes:
        security: TLS and tokens.
    """

    listen: str = option(LISTEN, "Port 0: any free.", metavar="HOST:PORT")
    metrics_listen: str | None = option(None, "Where to serve /metrics.", metavar="HOST:PORT", default_text="nowhere")
    grace_s: float = option(30.0, "Seconds to drain.", flag="--grace", name="grace", least=0)
    idle_s: float = option(
        30.0, "Seconds that a call may send nothing or read nothing.", flag="--idle", name="idle", above=0
    )
    end_with_stdin: bool = option(
        False, "End when standard input does, as a child process whose parent is gone.", hidden=True
    )
    security: ServerSecurity = attrs.field(factory=ServerSecurity)


@attrs.frozen(kw_only=True)
class ServerOptions(ListenOptions):
    """Where and how to serve gRPC.

    Attributes:
        tls_client_names: that a client's certificate has to have one of, each with what it may do (see
            ``cmvc.server.scopes``); none: every certificate of the authority will do for everything.
        private: a socket to listen on as well, in the clear; for what this process has started itself.
    """

    health_listen: str | None = option(
        None,
        "Where to answer health checks alone, in the clear.",
        metavar="HOST:PORT",
        default_text="nowhere",
    )
    tls_client_names: Sequence[str] = option(
        (),
        "A name in clients' certificates that is let in, and for what: encode, decode or both; repeatable.",
        flag="--tls-client-name",
        metavar="NAME[=SCOPE,...]",
        default_text="any, for both",
    )
    deadline_s: float = option(
        86_400.0,
        "Seconds that a call may take at most.",
        flag="--deadline",
        name="deadline",
        above=0,
    )
    overdue_s: float = option(
        300.0,
        "Seconds that work may go on after its call has ended before this ends itself, to be started again.",
        flag="--overdue",
        name="overdue",
        above=0,
    )
    tenant_mib: int | None = option(
        None, "MiB an hour that one caller may send and be sent.", default_text="no bound", least=1
    )
    tenant_seconds: float | None = option(
        None, "Seconds an hour in which one caller's calls may hold places.", default_text="no bound", above=0
    )
    tenant_gigapixel_steps: float | None = option(
        None,
        "Thousand million pixels, times denoising steps, that models may make an hour for one caller; "
        "5 s of 480p in 30 steps are one.",
        default_text="no bound",
        above=0,
    )
    reflection: bool = option(False, "Tell callers of services and messages, as grpcurl asks.")
    private: str | None = None

    @property
    def hourly(self) -> Hourly:
        """What each caller may use in an hour."""
        steps = self.tenant_gigapixel_steps
        return Hourly(self.tenant_mib and self.tenant_mib << 20, self.tenant_seconds, steps and steps * 1e9)

    def client_names(self) -> dict[str, frozenset[str]]:
        """Return the names in clients' certificates that are let in, and their scopes; none: all are, for everything.

        Raises:
            InvalidSettingError: one is malformed, or no certificates are asked for.
        """
        if self.tls_client_names and not self.security.tls_client_ca:
            raise InvalidSettingError("--tls-client-name needs --tls-client-ca, or no certificate is asked for")
        return dict(map(read_name, self.tls_client_names))


@attrs.frozen(kw_only=True)
class LogOptions(Options):
    """What servers say on standard error."""

    log_format: Format = option(
        "text",
        "Of standard error; json: one object a line, with ids of traces.",
        choices=FORMATS,
        variable="CMVC_LOG_FORMAT",
    )
    log_level: str = option(
        "warning",
        "From which on lines are logged; info: also every call.",
        choices=LEVELS,
        variable="CMVC_LOG_LEVEL",
    )


@attrs.frozen(kw_only=True)
class WorkerOptions(Options):
    """How much an encoder or a decoder takes on; its service knows how many at once where ``running`` is None."""

    running: int | None = option(None, "Requests at once.", least=1, default_text="half the cores")
    waiting: int = option(16, "Requests in line.", least=0)


@attrs.frozen(kw_only=True)
class DecoderWorkerOptions(WorkerOptions):
    """Likewise, for a decoder."""

    running: int | None = option(
        None,
        "Requests at once.",
        least=1,
        default_text="half the cores; with models, three times batch= of --speed for each",
    )
