"""Runs docs/first-day.md on a toy model and a CPU: ``python -m tests.first_day [FOLDER]``.

The toy takes the place of the weights in a model store of its own, with the manifest that a pull would have left, so
that every command is the document's. Ports are taken free, and Triton from ``.triton``.
"""

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from cmvc.profiles.wan_vace import PROFILE
from cmvc_decoder.weights.digests import sha256_of
from cmvc_decoder.weights.store import FileRecord, Manifest, ModelStore

sys.path.insert(0, str(Path(__file__).parent))
from doc_blocks import blocks, end, environment, start  # as tests import it

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "first-day.md"
TOY = ROOT / "tests" / "toy_vace" / "weights"
FRAMES, RATE, WIDTH, HEIGHT = 36, 24, 192, 112


def write_store(root: Path) -> None:
    """Put the toy where the weights of ``wan-vace-1.3b`` go."""
    (weights,) = PROFILE.chosen(optional=False)
    store = ModelStore(root)
    part = store.part(PROFILE.id, weights.name)
    records = {}
    for source in (path for path in TOY.rglob("*") if path.is_file()):
        name = source.relative_to(TOY)
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).write_bytes(source.read_bytes())
        records[name.as_posix()] = FileRecord(source.stat().st_size, sha256_of(source, lambda _: None))
    store.publish(PROFILE.id, weights.name, Manifest(weights.repo, weights.revision, records))


def write_clip(path: Path) -> None:
    """Write a second and a half of a ball that crosses a dark field."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        for number in range(FRAMES):
            rgb = np.full((HEIGHT, WIDTH, 3), (20, 40, 90), np.uint8)
            rgb[(x - 30 - 3 * number) ** 2 + (y - 56) ** 2 < 24**2] = (220, 60, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run(folder: Path) -> list[tuple[str, str]]:
    """Run every bash block of the document in ``folder``; return each command with what it printed.

    Raises:
        subprocess.CalledProcessError: one failed.
    """
    write_store(folder / "models")
    write_clip(folder / "my.mp4")
    here = {"CMVC_MODELS": str(folder / "models"), "CMVC_TRITON_SERVER": str(ROOT / ".triton"), "OMP_NUM_THREADS": "1"}
    ports = {"8001": _free_port(), "50051": _free_port()}
    said: list[tuple[str, str]] = []
    servers: list[subprocess.Popen[str]] = []
    try:
        for line in (line for language, text in blocks(DOCUMENT) if language == "bash" for line in text.splitlines()):
            started = time.monotonic()
            print(f"$ {line}", flush=True)
            said.append((line, _run(line, ports, folder, servers, here)))
            print(said[-1][1] + f"# {time.monotonic() - started:.1f} s\n", flush=True)
    finally:
        end(servers)
    return said


def _run(
    line: str, ports: dict[str, str], folder: Path, servers: list[subprocess.Popen[str]], here: dict[str, str]
) -> str:
    for usual, free in ports.items():
        line = line.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{free}")
    if line.startswith("cmvc triton"):
        line = line.removesuffix("&") + f"--listen 127.0.0.1:{ports['8001']} &"
    if line.endswith("&"):
        start(line, folder, servers, **here)
        return ""
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(**here), stdout=subprocess.PIPE, text=True, check=True
    ).stdout


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        run(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory(prefix="cmvc-first-day-") as scratch:
            run(Path(scratch))
