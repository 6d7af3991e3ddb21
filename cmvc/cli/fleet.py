"""Servers as child processes that end with their parent, and are started again when they fall."""

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cmvc.errors import BackendUnavailableError
from cmvc.server.logs import message_of

log = logging.getLogger(__name__)
_LISTENING = "listening on "
_RESTART_SECONDS = 1.0  # between a fall and the next start, so that a broken child does not spin
_STOP_SECONDS = 35.0  # a little more than a child's own grace


@dataclass(frozen=True)
class Children:
    """How many servers of one kind, with which arguments, and where each listens."""

    count: int
    arguments: tuple[str, ...] = ()
    listen: str = "127.0.0.1:0"


@dataclass
class _Child:
    kind: str
    arguments: tuple[str, ...]
    process: subprocess.Popen[str]
    address: str


class Fleet:
    """Starts children on loopback when entered, ends them when left.

    Each child holds the other end of a pipe as its standard input, so that it ends with this process even when
    this is killed.
    """

    def __init__(self, kinds: Mapping[str, Children], *, metrics: bool) -> None:
        """Plan the children.

        Args:
            kinds: children of each kind (``encoder``, ``decoder``, ``web``).
            metrics: whether each serves ``/metrics`` on a free port, which it says on standard error.
        """
        self._kinds = kinds
        self._metrics = ("--metrics-listen", "127.0.0.1:0") if metrics else ()
        self._children: list[_Child] = []
        self._ending = threading.Event()
        self._watchers: list[threading.Thread] = []

    def addresses(self, kind: str) -> tuple[str, ...]:
        """Return where the children of a kind listen."""
        return tuple(child.address for child in self._children if child.kind == kind)

    def __enter__(self) -> Self:
        try:
            for kind, children in self._kinds.items():
                for _ in range(children.count):
                    arguments = (*children.arguments, *self._metrics)
                    process = _start(kind, children.listen, arguments)
                    self._children.append(_Child(kind, arguments, process, ""))
            for child in self._children:
                child.address = _await_address(child.kind, child.process)
        except BaseException:
            self._end()
            raise
        for child in self._children:
            watcher = threading.Thread(target=self._keep_up, args=(child,), daemon=True)
            watcher.start()
            self._watchers.append(watcher)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _keep_up(self, child: _Child) -> None:
        while True:
            for line in child.process.stderr or ():
                _relay(line, f"{child.kind} {child.address}")
            code = child.process.wait()
            if self._ending.wait(_RESTART_SECONDS):
                return
            log.warning("%s %s ended with %d; starting it again", child.kind, child.address, code)
            child.process = _start(child.kind, child.address, child.arguments)

    def _end(self) -> None:
        self._ending.set()
        for child in self._children:
            if child.process.stdin:
                with suppress(BrokenPipeError):
                    child.process.stdin.close()
        for child in self._children:
            try:
                child.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _start(kind: str, listen: str, arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cmvc.cli", "serve", kind, "--listen", listen, "--end-with-stdin", *arguments]
    # A session of its own: Ctrl-C reaches this process alone, which ends the child once its work is done.
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _relay(line: str, child: str) -> None:
    """Pass on what a child said; a line of JSON names its service itself."""
    sys.stderr.write(line if line.startswith("{") else f"{child}: {line}")


def _await_address(kind: str, process: subprocess.Popen[str]) -> str:
    for line in process.stderr or ():
        if message_of(line).startswith(_LISTENING):
            return message_of(line).removeprefix(_LISTENING)
        _relay(line, kind)
    raise BackendUnavailableError(f"the {kind} ended before it listened; see the lines above")
