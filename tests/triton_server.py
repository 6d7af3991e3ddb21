"""A real Triton server under CMVC's supervisor, for tests."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from servers import CMVC, PATIENCE_S, command_line

SERVER = Path(__file__).parents[1] / ".triton"
_READY = "triton ready on "


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Triton:
    """``cmvc triton`` with models of a store.

    Attributes:
        address: for inference.
        ready: set each time that all models have answered.
        lines: what it said.
    """

    def __init__(self, store: Path, *profiles: str, speed: tuple[str, ...] = (), key_file: Path | None = None) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.ready = threading.Event()
        self.lines: list[str] = []
        command = [*CMVC, "triton", "--listen", self.address, "--server", SERVER, "--models", store]
        command += [f"--profile={profile}" for profile in profiles] + [f"--speed={option}" for option in speed]
        command += [f"--key-file={key_file}"] if key_file else []
        # One thread for each model: several stubs that each take every core hold each other up.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace", env=environment)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith(_READY):
                self.ready.set()

    def await_ready(self) -> None:
        assert self.ready.wait(4 * PATIENCE_S), "".join(self.lines[-30:])

    def stub(self, profile: str) -> psutil.Process:
        """Return the process that runs a model."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if f"/{profile}/1/model.py" in command_line(child):
                return child
        raise AssertionError(f"no process runs {profile}")

    def kill_stub(self, profile: str) -> None:
        """Kill a model's process as a crash would; ``ready`` is set again once it is back."""
        self.ready.clear()
        self.stub(profile).send_signal(signal.SIGKILL)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


@contextmanager
def triton(store: Path, *profiles: str, speed: tuple[str, ...] = (), key_file: Path | None = None) -> Iterator[Triton]:
    """Yield a Triton server whose models have answered; it ends with the block."""
    if not SERVER.is_dir():
        pytest.skip("there is no Triton server; run: make triton")
    if sys.version_info >= (3, 14):
        pytest.skip("the Triton server has a python backend for CPython 3.8 to 3.13 only")
    server = Triton(store, *profiles, speed=speed, key_file=key_file)
    try:
        server.await_ready()
        yield server
    finally:
        server.stop()
