"""Code blocks of a document, run as they stand."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UP = ("listening on", "triton ready on")


def blocks(document: Path) -> list[tuple[str, str]]:
    """Return language and text of each block."""
    return _BLOCK.findall(document.read_text())


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which the commands of this Python come first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more}


def start(line: str, folder: Path, servers: list[subprocess.Popen], **more: str) -> None:
    """Start a line that ends in &; return once it says that it is up."""
    command = ["bash", "-c", f"exec {line.removesuffix('&')}"]
    server = subprocess.Popen(command, cwd=folder, env=environment(**more), stderr=subprocess.PIPE, text=True)
    servers.append(server)
    assert any(said.startswith(_UP) for said in server.stderr), line
    threading.Thread(target=server.stderr.read, daemon=True).start()  # a full pipe would hold it up


def end(servers: list[subprocess.Popen]) -> None:
    """End what was started, the latest first."""
    for server in reversed(servers):
        server.terminate()
        server.wait(60)
