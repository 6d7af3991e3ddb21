"""``cmvc triton``."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cmvc.addresses import is_loopback, split_address
from cmvc.errors import InvalidSettingError
from cmvc.profiles.registry import MODEL_PROFILES, profile_of
from cmvc_decoder.triton.repository import write
from cmvc_decoder.triton.supervisor import Installation, Supervisor, TritonOptions
from cmvc_decoder.weights.store import DEFAULT_ROOT

_FOLDER = click.Path(path_type=Path, file_okay=False)
LISTEN = "127.0.0.1:8001"
SERVER = Path("/opt/tritonserver")


@click.command("triton")
@click.option("--listen", metavar="HOST:PORT", default=LISTEN, show_default=True, help="For inference (gRPC).")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CMVC_TRITON_KEY_FILE",
    help="File with the key that inference takes.  [default: none]",
)
@click.option("--insecure", is_flag=True, help="Listen without a key where other machines reach it.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Of Triton's own metrics.  [default: nowhere]")
@click.option(
    "--profile",
    "profiles",
    metavar="ID",
    multiple=True,
    required=True,
    help=f"A profile to load; repeatable: {', '.join(MODEL_PROFILES)}.",
)
@click.option("--models", type=_FOLDER, envvar="CMVC_MODELS", help=f"Model store.  [default: {DEFAULT_ROOT}]")
@click.option("--speed", metavar="NAME=VALUE", multiple=True, envvar="CMVC_SPEED", help="As of 'cmvc serve decoder'.")
@click.option("--server", type=_FOLDER, default=SERVER, show_default=True, help="Folder with Triton.")
@click.option("--repository", type=_FOLDER, help="Folder of Triton models.  [default: CMVC's own]")
def command(
    *,
    listen: str,
    key_file: Path | None,
    insecure: bool,
    metrics_port: int | None,
    profiles: tuple[str, ...],
    models: Path | None,
    speed: tuple[str, ...],
    server: Path,
    repository: Path | None,
) -> None:
    """Run a Triton server with generator profiles, and start it again when one of them dies."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    host, port = split_address(listen)
    if not key_file and not insecure and not is_loopback(listen):
        raise InvalidSettingError(
            f"{listen} can be reached from other machines, and inference asks for no key: give --key-file, or "
            "--insecure where nobody else is there"
        )
    with _repository(repository) as folder:
        options = TritonOptions(
            installation=Installation.find(server),
            repository=folder,
            key_file=key_file,
            profiles=tuple(profile_of(each).id for each in profiles),
            host=host,
            grpc_port=port,
            metrics_port=metrics_port,
            models=models,
            speed=speed,
        )
        supervisor = Supervisor(options)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()


@contextmanager
def _repository(given: Path | None) -> Iterator[Path]:
    """Yield the folder of Triton models: the one given, else one that is written for as long as the block runs."""
    if given is not None:
        yield given
        return
    with TemporaryDirectory(prefix="cmvc-triton-") as folder:
        write(Path(folder))
        yield Path(folder)
