"""Options that every server has, whatever it serves."""

import os

import attrs

from cmvc.options import Options, option
from cmvc.server.logs import FORMATS, LEVELS, Format
from cmvc.server.security import ServerSecurity

LISTEN = "127.0.0.1:50051"
HALF = max(1, (os.cpu_count() or 1) // 2)


@attrs.frozen(kw_only=True)
class ServerOptions(Options):
    """Where and how to serve.

    Attributes:
        security: TLS and tokens.
        private: a socket to listen on as well, in the clear; for what this process has started itself.
    """

    listen: str = option(LISTEN, "Port 0: any free.", metavar="HOST:PORT")
    metrics_listen: str | None = option(None, "Where to serve /metrics.", metavar="HOST:PORT", default_text="nowhere")
    grace_s: float = option(30.0, "Seconds to drain.", flag="--grace", name="grace", least=0)
    idle_s: float = option(
        30.0, "Seconds that a call may send nothing or read nothing.", flag="--idle", name="idle", above=0
    )
    reflection: bool = option(False, "Tell callers of services and messages, as grpcurl asks.")
    end_with_stdin: bool = option(
        False, "End when standard input does, as a child process whose parent is gone.", hidden=True
    )
    security: ServerSecurity = attrs.field(factory=ServerSecurity)
    private: str | None = None


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
    """How much an encoder or a decoder takes on."""

    running: int = option(HALF, "Requests at once.", least=1, default_text="half the cores")
    waiting: int = option(16, "Requests in line.", least=0)
