"""Traces: what the rest of CMVC calls, whether they are on or off.

Off, the default, every span is one shared object that does nothing, and OpenTelemetry is not imported. On, when the
standard environment variables ask for it (``start``) or the program around the SDK has set OpenTelemetry up itself,
``cmvc.wire.spans`` makes them. A trace that a caller began is passed on either way, with its id in logs and errors.
"""

import logging
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from cmvc.observer import Observer
from cmvc.wire.passed_on import Attribute, NullSpan, passed, passed_on, trace_id_in

if TYPE_CHECKING:
    from cmvc.wire.spans import Span, Spans

log = logging.getLogger(__name__)
AnySpan: TypeAlias = "Span | NullSpan"
_OFF = NullSpan()
_spans: "Spans | None" = None


def wanted() -> bool:
    """Return whether the standard environment variables ask for traces."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporters:
        return exporters != "none"
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(os.environ.get(name, "").strip() for name in endpoints)


def start(role: str) -> None:
    """Turn traces on where the environment, or the program around the SDK, wants them. More calls change nothing.

    Args:
        role: ``client``, ``gateway``, ``encoder`` or ``decoder``; unless the environment names the service, it is
            ``cmvc-`` and this.
    """
    global _spans  # noqa: PLW0603 - a process is traced or it is not
    around = _set_up_around()
    if _spans is not None or not (around or wanted()):
        return
    try:
        from cmvc.wire.spans import Spans, make_provider  # noqa: PLC0415 - not installed everywhere
    except ImportError as error:
        log.warning("no traces: %s is not installed; in a checkout run: pip install '.[tracing]'", error.name)
        return
    provider = around or make_provider(role)
    if provider is not None:
        _spans = Spans(provider, role)


def stop() -> None:
    """Send what is still to be sent, and turn traces off."""
    global _spans
    if _spans is not None:
        spans, _spans = _spans, None
        spans.close()


def _set_up_around() -> Any:
    """Return the provider of spans that the program around the SDK has set up, None where it has not."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    provider = api.get_tracer_provider()
    return None if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider) else provider


def request(name: str, **attributes: Attribute) -> AnySpan:
    """Return a span for a call that a client makes: a context manager; see ``cmvc.wire.spans.Span``.

    It is not made current, so that a generator may hold it while its consumer runs in between.
    """
    return _spans.request(name, attributes) if _spans else _OFF


def call(method: str, metadata: Iterable[Any] | None) -> AnySpan:
    """Return a span for a call that a server got, to be entered in the call's own task.

    Args:
        method: such as ``Decode``; the span is named after the role and this.
        metadata: of the call; the caller's trace is in it.
    """
    pairs = [(key, value) for key, value in metadata or () if isinstance(value, str)]
    passed.set(passed_on(pairs))  # never reset: the task is the call's
    return _spans.call(method, pairs) if _spans else _OFF


def span(name: str, **attributes: Attribute) -> AnySpan:
    """Return a span for a block of work, current within it; nothing where no trace was begun around it."""
    return _spans.child(name, attributes) if _spans else _OFF


def ended(name: str, seconds: float, **attributes: Attribute) -> None:
    """Note work of ``seconds`` that has just ended, as a child of the current span."""
    if _spans:
        _spans.ended(name, seconds, attributes)


def current() -> AnySpan:
    """Return the current span, to give it attributes or to have it sent along."""
    return _spans.current() if _spans else _OFF


def observed(observer: Observer) -> Observer:
    """Return an observer that makes spans of what it is told and passes it on to ``observer``."""
    return _spans.observer(observer) if _spans else observer


def ids() -> tuple[str, str]:
    """Return the ids of the current trace and span, in hexadecimal; "" for what there is none of."""
    trace_id, span_id = _spans.ids() if _spans else ("", "")
    return trace_id or trace_id_in(passed.get()), span_id


def trace_id_of(metadata: Iterable[Any] | None) -> str:
    """Return the id of the current trace, else of the one in a call's ``metadata``, "" for none."""
    return ids()[0] or trace_id_in(passed_on(metadata or ()))
