"""Traces one decode through a gateway and two decoders, each a process of its own, and prints it as a tree.

python -m benchmarks.trace [STREAM.cmvc]
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from cmvc.client import Client
from examples.demo.servers import Servers

SHOWN = ("index", "mode", "cached", "number", "frames", "code")  # attributes in the tree, without "cmvc."
SMALL = Path(__file__).parents[1] / "tests" / "vectors" / "keyframes.cmvc"
PATIENCE_S = 30.0
_FAILED = trace_pb2.Status.STATUS_CODE_ERROR


@dataclass
class Node:
    """One span as it was received.

    Attributes:
        service: that made it.
        name: of its kind of work.
        trace_id, span_id, parent_id: in hexadecimal; the parent of a root is "".
        start, end: in seconds since 1970.
        attributes: by name, without "cmvc.".
        error: how it failed, "" where it did not.
        events: names of what happened within it, in order.
        children: by their start.
    """

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    end: float
    attributes: dict[str, Any]
    error: str
    events: list[str]
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """Yield it and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes traces by OTLP over gRPC on a free port of loopback, as a collector does; runs within its block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: list[Node] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def environment(self) -> dict[str, str]:
        """Return the variables that make a process send its traces here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",  # ms
        }

    def Export(  # noqa: N802 - OTLP's name
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take spans."""
        with self._lock:
            self._nodes += _nodes(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def nodes(self) -> list[Node]:
        """Return all spans received so far, without their children."""
        with self._lock:
            return list(self._nodes)

    def roots(self) -> list[Node]:
        """Return the trees of what was received so far, those whose parents are missing among them."""
        nodes = {node.span_id: node for node in sorted(self.nodes(), key=lambda node: node.start)}
        for node in nodes.values():
            node.children = []
        for node in nodes.values():
            if node.parent_id in nodes:
                nodes[node.parent_id].children.append(node)
        return [node for node in nodes.values() if node.parent_id not in nodes]

    def last(self) -> Node:
        """Return the latest trace, once every span that it has is there.

        Raises:
            TimeoutError: a process has not sent its spans.
        """
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            time.sleep(0.5)  # several times what a process may hold a span back
            roots = self.roots()
            if roots and not any(root.parent_id for root in roots):
                return roots[-1]
        raise TimeoutError("a span's parent never came; is one of the processes gone?")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None)


def _nodes(request: trace_service_pb2.ExportTraceServiceRequest) -> Iterator[Node]:
    for group in request.resource_spans:
        service = _values(group.resource.attributes)["service.name"]
        for scope in group.scope_spans:
            for span in scope.spans:
                values = {name.removeprefix("cmvc."): value for name, value in _values(span.attributes).items()}
                yield Node(
                    service=service,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    start=span.start_time_unix_nano / 1e9,
                    end=span.end_time_unix_nano / 1e9,
                    attributes=values,
                    error=span.status.message if span.status.code == _FAILED else "",
                    events=[event.name for event in span.events],
                )


def _values(attributes: Iterable[common_pb2.KeyValue]) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in attributes}


def draw(root: Node) -> str:
    """Return a tree as text: start and length of each span in milliseconds, what it is, and who did it."""
    lines = [f"trace {root.trace_id}", f"{'start':>8} {'ms':>8}"]
    for node, indent in _indented(root, 0):
        shown = [f"{name}={node.attributes[name]}" for name in SHOWN if name in node.attributes]
        shown += [f"steps={node.events.count('step')}"] if "step" in node.events else []
        shown += [f"error: {node.error}"] if node.error else []
        what = " ".join((node.name, *shown))
        start, length = 1e3 * (node.start - root.start), 1e3 * (node.end - node.start)
        lines.append(f"{start:8.1f} {length:8.1f}  {'  ' * indent}{what}  [{node.service}]")
    return "\n".join(lines)


def _indented(node: Node, indent: int) -> Iterator[tuple[Node, int]]:
    yield node, indent
    for child in node.children:
        yield from _indented(child, indent + 1)


def trace_decode(stream: Sequence[bytes], folder: Path) -> Node:
    """Return the trace of one decode of ``stream`` through servers that log to ``folder``."""
    with Receiver() as receiver:
        os.environ.update(receiver.environment())
        with Servers(folder, decoders=2) as servers, Client(servers.target) as client:
            for _ in range(2):  # the first is slower: libraries load
                for _ in client.decode_stream(stream):
                    pass
            return receiver.last()


def main() -> None:
    """Trace one decode and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("stream", type=Path, nargs="?", default=SMALL, help="default: two small segments of it2v")
    stream = parser.parse_args().stream
    with tempfile.TemporaryDirectory() as folder:
        print(draw(trace_decode([stream.read_bytes()], Path(folder))))


if __name__ == "__main__":
    main()
