"""The services as processes of their own on loopback, as a cluster would run them."""

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cmvc.errors import BackendUnavailableError

_STOP_SECONDS = 10.0


class _Server:
    """One ``cmvc serve`` process; what it says goes to a log file."""

    def __init__(self, name: str, log: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "cmvc.cli", "serve", *arguments, "--listen", "127.0.0.1:0"]
        command += ["--metrics-listen", "127.0.0.1:0", "--end-with-stdin"]
        self.name = name
        self.address = self.metrics = ""
        self._log = log
        # The pipe ends it when this process is killed; the session keeps Ctrl-C for this process to handle.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_until_listening(self) -> None:
        errors = self.process.stderr
        if errors is None:
            raise ValueError("started without a pipe")
        with self._log.open("w") as log:
            for line in errors:
                log.write(line)
                if line.startswith("metrics on "):
                    self.metrics = line.removeprefix("metrics on ").strip()
                if line.startswith("listening on "):
                    self.address = line.removeprefix("listening on ").strip()
                    threading.Thread(target=self._keep_log, args=(errors,), daemon=True).start()
                    return
        raise BackendUnavailableError(f"the {self.name} did not start; {self._log} says why")

    def _keep_log(self, errors: IO[str]) -> None:
        with self._log.open("a") as log:
            for line in errors:
                log.write(line)
                log.flush()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Servers:
    """One encoder, some decoders and a gateway in front of them; all of them end with the ``with`` block."""

    def __init__(self, logs: Path, *, decoders: int = 2) -> None:
        """Say how many decoders there are to be; each server's log goes to the folder ``logs``."""
        self._logs = logs
        self._decoders = decoders
        self._running: list[_Server] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        try:
            backends = [self._start("encoder", "encoder")]
            backends += [self._start(f"decoder-{number}", "decoder") for number in range(1, self._decoders + 1)]
            for backend in backends:
                backend.wait_until_listening()
            options = [part for each in backends for part in (f"--{each.name.split('-')[0]}", each.address)]
            self._gateway = self._start("gateway", "gateway", *options)
            self._gateway.wait_until_listening()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def target(self) -> str:
        """Where the gateway listens, HOST:PORT."""
        return self._gateway.address

    def processes(self) -> dict[str, int]:
        """Return each server's process id by its name."""
        return {each.name: each.process.pid for each in self._running}

    def describe(self) -> str:
        """Return who listens where, in one line."""
        return ", ".join(f"{each.name} {each.address}" for each in reversed(self._running))

    def scrape(self) -> str:
        """Return what the servers' ``/metrics`` say, the gateway's first."""
        parts = []
        for each in reversed(self._running):
            with urllib.request.urlopen(each.metrics, timeout=5) as response:
                parts.append(f"# {each.name}: {each.metrics}\n{response.read().decode()}")
        return "\n".join(parts)

    def _start(self, name: str, *arguments: str) -> _Server:
        server = _Server(name, self._logs / f"{name}.log", *arguments)
        self._running.append(server)
        return server

    def _stop(self) -> None:
        for each in reversed(self._running):
            if each.process.poll() is None:
                os.kill(each.process.pid, signal.SIGTERM)
        for each in reversed(self._running):
            each.stop()
        self._running.clear()
