"""Real servers in real processes, for tests."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import psutil

from cmvc.server.logs import message_of

CMVC = (sys.executable, "-m", "cmvc.cli")
_LISTENING = re.compile(r"listening on (\S+)")
_METRICS = re.compile(r"metrics on (\S+)")
PATIENCE_S = 60.0  # far more than anything takes; only a hang meets it


class Server:
    """``cmvc serve ARGUMENTS`` with free ports."""

    def __init__(self, *arguments: str, listen: str = "127.0.0.1:0", program: tuple[str, ...] = CMVC) -> None:
        command = [*program, "serve", *arguments, "--listen", listen, "--metrics-listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self.metrics_url = self._await(_METRICS)
        self.address = self._await(_LISTENING)
        threading.Thread(target=self._drain, daemon=True).start()

    def _await(self, pattern: re.Pattern[str]) -> str:
        for line in self.process.stderr:
            self.lines.append(line)
            if match := pattern.fullmatch(message_of(line)):
                return match[1]
        raise AssertionError(f"the server ended: {self.lines}")

    def _drain(self) -> None:
        self.lines.extend(self.process.stderr)

    def metrics(self) -> str:
        with urlopen(self.metrics_url) as response:
            return response.read().decode()

    def metric(self, series: str) -> float:
        """Return the value of one series, 0 where it is not there."""
        for line in self.metrics().splitlines():
            if line.startswith(series + " "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it if it still runs; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        return self.process.wait(PATIENCE_S)


@contextmanager
def servers() -> Iterator[Callable[..., Server]]:
    """Yield what starts a server; all of them end with the block."""
    started: list[Server] = []

    def start(*arguments: str, **options: str) -> Server:
        started.append(Server(*arguments, **options))
        return started[-1]

    try:
        yield start
    finally:
        for server in reversed(started):
            server.stop()


def command_line(process: psutil.Process) -> str:
    """Return how a process was called; nothing where it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one, too
        return ""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that comes on its own."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"never happened: {what}"
        time.sleep(0.05)
