"""Keeps a Triton server up: starts it, watches every model, and starts it again when one is dead."""

import logging
import os
import secrets
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cmvc.addresses import join_address
from cmvc.errors import BackendUnavailableError, InvalidSettingError
from cmvc_decoder.generator import STUCK_S
from cmvc_decoder.triton.address import KEY, Address, read_key
from cmvc_decoder.triton.canary import Watch
from cmvc_decoder.triton.wire import HEARTBEATS

EXIT_S = 5  # that Triton gives work in flight when it is told to end; decoders drive it again elsewhere
START_S = 900.0  # that models may take to load and answer their first canary; the first compiled run is slow
_POLL_S = 0.2
_NOBODYS = "model-repository,trace,logging"
_DECODERS = "inference,shared-memory,model-config,statistics"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installation:
    """Where Triton is: ``bin/tritonserver`` and ``backends`` in ``server``, libraries of its own in ``libraries``."""

    server: Path
    libraries: Path | None

    @staticmethod
    def find(folder: Path) -> "Installation":
        """Return the installation in ``folder``: one of ``cmvc_decoder.triton.prepare``, or NVIDIA's own layout.

        Raises:
            InvalidSettingError: there is none.
        """
        for server, libraries in ((folder / "tritonserver", folder / "libs"), (folder, None)):
            if (server / "bin" / "tritonserver").is_file():
                return Installation(server.resolve(), libraries.resolve() if libraries else None)
        raise InvalidSettingError(
            f"there is no tritonserver in {folder}; run 'make triton' in a checkout, or name one with --server"
        )


@dataclass(frozen=True)
class TritonOptions:
    """How to run Triton.

    Attributes:
        installation: of Triton.
        repository: folder of models.
        profiles: models to load.
        key_file: file with the key that inference takes; None where everyone may ask who reaches it.
        host: to listen on.
        grpc_port: for inference.
        metrics_port: for Triton's own metrics; None serves none.
        models: root of the model store; None for the default one.
        speed: options of the generators.
    """

    installation: Installation
    repository: Path
    profiles: Sequence[str]
    key_file: Path | None
    host: str
    grpc_port: int
    metrics_port: int | None
    models: Path | None
    speed: Sequence[str]

    @property
    def address(self) -> Address:
        """Where inference is, and its key."""
        return Address(join_address(self.host, self.grpc_port), self.key_file)


class Supervisor:
    """Runs one Triton server after the other, until it is told to stop."""

    def __init__(self, options: TritonOptions) -> None:
        """Prepare; nothing runs before ``run``."""
        self._options = options
        self._stopped = threading.Event()
        self._dead = threading.Event()
        self._ready = False

    def stop(self) -> None:
        """End the server and have ``run`` return."""
        self._stopped.set()

    def run(self) -> None:
        """Keep Triton up until ``stop``.

        Says ``triton ready on HOST:PORT`` on standard error each time that all models have answered.

        Raises:
            BackendUnavailableError: the first server ended by itself, or its models did not come up.
        """
        came_up = False
        while not self._stopped.is_set():
            up = self._serve()
            came_up = came_up or up
            if not came_up and not self._stopped.is_set():
                raise BackendUnavailableError("Triton did not come up; the lines above say why")
            if not self._stopped.wait(1.0):
                log.warning("starting Triton again")

    def _serve(self) -> bool:
        """Run one server to its end; return whether its models came up."""
        self._dead.clear()
        self._ready = False
        process = subprocess.Popen(_command(self._options), env=_environment(self._options), start_new_session=True)
        leash = _leash(process.pid)
        watches = [Watch(self._options.address, profile, self._changed) for profile in self._options.profiles]
        steps = [Steps(watch.model) for watch in watches]
        for watch in watches:
            watch.start()
        try:
            waited = 0.0
            while process.poll() is None and not self._stopped.is_set() and not self._dead.is_set():
                now = time.monotonic()
                if any(_is_stuck(watch, each, now) for watch, each in zip(watches, steps, strict=True)):
                    log.warning("a model makes no step and answers no canary")
                    break
                if not self._ready and all(watch.alive for watch in watches):
                    self._ready = True
                    print(f"triton ready on {self._options.address}", file=sys.stderr, flush=True)  # noqa: T201
                waited += _POLL_S
                if not self._ready and waited > START_S:
                    break
                self._stopped.wait(_POLL_S)
        finally:
            _end(process, gently=self._stopped.is_set())
            leash.kill()
            leash.communicate()
            for watch in watches:
                watch.stop()
        return self._ready

    def _changed(self, watch: Watch) -> None:
        if not watch.alive:
            self._dead.set()


class Steps:
    """When a model made its last step, by the mark that each leaves in a file.

    What counts is that the mark changes, not the time in it: the clock of the machine may be set meanwhile.
    """

    def __init__(self, model: str) -> None:
        self._path = Path(_heartbeats() + model)
        self._mark = self._read()
        self._moved = 0.0

    def last(self, now: float) -> float:
        """Return when the last step was seen, by ``time.monotonic``, which says ``now``; 0 where none was."""
        mark = self._read()
        if mark != self._mark:
            self._mark, self._moved = mark, now
        return self._moved

    def _read(self) -> int:
        return self._path.stat().st_mtime_ns if self._path.exists() else 0


def _is_stuck(watch: Watch, steps: Steps, now: float) -> bool:
    """Return whether a canary has waited for long, and no work before it in line makes steps either."""
    last = steps.last(now)
    if watch.asked is None or not watch.alive:
        return False
    return now - max(watch.asked, last) > STUCK_S


def _command(options: TritonOptions) -> list[str]:
    server = options.installation.server
    metrics = options.metrics_port is not None
    return [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={options.repository}",
        f"--backend-directory={server / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={_shm_prefix(os.getpid())}",
        "--disable-auto-complete-config",
        "--model-control-mode=explicit",
        *(f"--load-model={profile}" for profile in options.profiles),
        f"--grpc-address={options.host}",
        f"--grpc-port={options.grpc_port}",
        "--allow-http=false",
        *_restrictions(options),
        f"--allow-metrics={str(metrics).lower()}",
        *((f"--metrics-address={options.host}", f"--metrics-port={options.metrics_port}") if metrics else ()),
        f"--exit-timeout-secs={EXIT_S}",
    ]


def _restrictions(options: TritonOptions) -> list[str]:
    """Return Triton's options that keep strangers out.

    Who may change its models or where it writes its log runs code of his own choice in it; nobody needs that here, so
    that its key is thrown away. The rest takes the decoder's key, where there is one. Health and metadata stay open.
    """
    closed = f"--grpc-restricted-protocol={_NOBODYS}:{KEY}={secrets.token_hex(32)}"
    if not options.key_file:
        return [closed]
    return [closed, f"--grpc-restricted-protocol={_DECODERS}:{KEY}={read_key(options.key_file)}"]


def _environment(options: TritonOptions) -> dict[str, str]:
    environment = dict(os.environ)
    libraries = [str(sysconfig.get_config_var("LIBDIR"))]  # the stub runs this very Python
    if options.installation.libraries:
        libraries.insert(0, str(options.installation.libraries))
    environment["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, *_split(os.environ.get("LD_LIBRARY_PATH"))])
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), *_split(os.environ.get("PATH"))])
    environment[HEARTBEATS] = _heartbeats()
    environment["CMVC_SPEED"] = " ".join(options.speed)
    if options.models:
        environment["CMVC_MODELS"] = str(options.models.resolve())
    return environment


def _split(paths: str | None) -> list[str]:
    return [path for path in (paths or "").split(os.pathsep) if path]


def _shm_prefix(pid: int) -> str:
    return f"cmvc_triton_{pid}_"


def _heartbeats() -> str:
    """Return how the names of the models' heartbeat files start: in memory, removed with all else that is there."""
    return f"/dev/shm/{_shm_prefix(os.getpid())}steps_"


def _leash(server: int) -> subprocess.Popen[bytes]:
    """Start what does as ``_end`` when this process is killed: a shell that waits for the other end of a pipe to close.

    Without it Triton and its models would go on, and hold their ports and the GPU's memory.
    """
    script = f"read -r _; kill -s KILL -- -{server}; rm -f /dev/shm/{_shm_prefix(os.getpid())}*"
    return subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)


def _end(process: subprocess.Popen[bytes], *, gently: bool) -> None:
    """End the server and the processes of its models, and remove the shared memory that they leave behind."""
    if gently and process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(EXIT_S + 2)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its models' processes outlive it otherwise
    process.wait()
    for region in Path("/dev/shm").glob(f"{_shm_prefix(os.getpid())}*"):
        region.unlink(missing_ok=True)
