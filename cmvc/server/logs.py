"""What servers log on standard error: text for people, or JSON lines for machines, with the ids of the trace."""

import json
import logging
import os
import sys
import time
from typing import Any, Literal

from cmvc.plain import one_line
from cmvc.server.tenant import tenant
from cmvc.wire import tracing

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
SAID = "cmvc.said"  # logger of what a server always says, such as where it listens
_TRACEBACK_LETTERS = 16_000
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _traceback(text: str) -> str:
    """Return a traceback every line of which is indented and plain: what a message holds cannot pass for a line."""
    lines = text[:_TRACEBACK_LETTERS].splitlines()
    return "\n".join("  " + " " * (len(each) - len(each.lstrip(" "))) + one_line(each) for each in lines)


class TextFormatter(logging.Formatter):
    """One line, and after an exception its traceback, indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback."""
        return _traceback(super().formatException(ei))


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Its fields: ``time`` (RFC 3339, UTC, to the millisecond), ``level``, ``logger``, ``message``, ``service``; within
    a trace ``trace_id`` and ``span_id``; within the call of a caller who was verified ``tenant``, a hash; after an
    exception ``exception``, its traceback.
    """

    def __init__(self, service: str) -> None:
        """Name the service in every line."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line feed."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(record.getMessage()),
            "service": self._service,
        }
        trace_id, span_id = tracing.ids()
        line |= {"trace_id": trace_id} if trace_id else {}
        line |= {"span_id": span_id} if span_id else {}
        line |= {"tenant": tenant()} if tenant() else {}
        if record.exc_info:
            line["exception"] = _traceback(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up(form: Format, level: str, role: str) -> None:
    """Log to standard error.

    Args:
        form: ``text`` or ``json``.
        level: one of ``LEVELS``; less is left out.
        role: ``gateway``, ``encoder`` or ``decoder``; unless ``OTEL_SERVICE_NAME`` names the service, it is ``cmvc-``
            and this.
    """
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonFormatter(os.environ.get("OTEL_SERVICE_NAME") or f"cmvc-{role}"))
    else:
        handler.setFormatter(TextFormatter(_TEXT))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    said = logging.getLogger(SAID)
    said.setLevel(logging.INFO)
    if form == "text":  # what callers wait for, as it is
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(logging.Formatter("%(message)s"))
        said.addHandler(plain)
        said.propagate = False


def message_of(line: str) -> str:
    """Return the message of a line that a server wrote, in either format; a line of text is all message."""
    return str(json.loads(line)["message"]) if line.startswith('{"time": ') else line.rstrip("\n")
