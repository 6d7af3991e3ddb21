"""The trace that a caller began: what of a call's metadata carries it, and a span that does no more than pass it on."""

import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from cmvc.observer import NoPiece

Attribute = str | int | float | bool
Metadata = tuple[tuple[str, str], ...]
T = TypeVar("T")
_PASSED_ON = ("traceparent", "tracestate", "baggage")  # keys of gRPC metadata, as W3C names them
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, id of the parent span, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
passed: ContextVar[Metadata] = ContextVar("passed", default=())  # the caller's trace, as it came


def passed_on(metadata: Iterable[Any]) -> Metadata:
    """Return what of a call's ``metadata`` carries a trace; nothing where that is no well-formed one."""
    pairs = tuple((key, value) for key, value in metadata if key in _PASSED_ON and isinstance(value, str))
    return pairs if trace_id_in(pairs) else ()


def trace_id_in(pairs: Metadata) -> str:
    """Return the id of the trace that ``pairs`` carry, in hexadecimal; "" for none."""
    for key, value in pairs:
        if key == "traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            return match[1]
    return ""


class NullSpan(NoPiece):
    """A span of a trace that is not recorded here."""

    @property
    def trace_id(self) -> str:
        """The id of the trace that a caller began, in hexadecimal; "" for none."""
        return trace_id_in(passed.get())

    def set(self, **attributes: Attribute) -> None:
        """Do nothing."""

    def rpc(self, method: str, status: int | None = None) -> None:
        """Do nothing."""

    def fail(self, error: BaseException) -> None:
        """Do nothing."""

    def metadata(self) -> Metadata:
        """Return what to send along, so that the trace goes on where it is recorded."""
        return passed.get()

    def carry(self, items: Iterator[T]) -> Iterator[T]:
        """Return ``items``."""
        return items

    def __enter__(self) -> Self:
        return self
