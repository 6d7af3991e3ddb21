"""What ``make release`` builds installs in a bare environment and works there, with nothing else of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from media_files import moving_frames, write_video

import cmvc

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys
import cmvc
from cmvc import Client, encode_config

with Client(sys.argv[1] or None) as client:
    health, found = client.health(), client.capabilities()
    summary = client.encode("in.mkv", "out.cmvc", encode_config(mode="it2v", bitrate="40k"))
    decoded = client.decode("out.cmvc", "back.mp4")
print(json.dumps({
    "from": cmvc.__file__, "version": found.decoder.version, "well": health.encodes and health.decodes,
    "frames": [summary.frames, decoded.frames],
}))
"""


def test_versions_stand_in_one_place():
    for project in (ROOT / "services").glob("*/pyproject.toml"):
        facts = tomllib.loads(project.read_text())["project"]
        assert "version" not in facts, project
        assert {"version", "dependencies"} <= set(facts["dynamic"]), project


@pytest.mark.parametrize("place", ["docker", "deploy", "docker-compose.yml", "docs/operations.md"])
def test_images_are_called_after_the_version(place):
    named = re.compile(r"(?:ARG VERSION=|cmvc/[a-z]+:)(\d[\w.]*)")
    found = [version for path in files(ROOT / place) for version in named.findall(text(path))]
    assert found
    assert set(found) == {cmvc.__version__}


def files(place):
    return [path for path in (place, *place.rglob("*")) if path.is_file()]


def text(path):
    return path.read_text(errors="replace")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment with the wheels in it, and a folder to work in; neither knows of the repository."""
    folder = tmp_path_factory.mktemp("release")
    copy, work = folder / "copy", folder / "work"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    services = [f"./services/{path.name}" for path in (ROOT / "services").iterdir() if (path / "setup.py").exists()]
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder / "dist", ".", *services]
    subprocess.run(build, cwd=copy, check=True)
    constraints = shutil.copy2(ROOT / "constraints.txt", folder)
    shutil.rmtree(copy)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    (sdk,) = (folder / "dist").glob("cmvc_sdk-*.whl")
    wheels = [f"cmvc-sdk[cli] @ {sdk.as_uri()}", *({*(folder / "dist").iterdir()} - {sdk})]
    assert len(wheels) == 1 + len(services)
    install = [*pip, "--python", python, "install", "-c", constraints, *wheels]
    subprocess.run(install, env=environment(folder), check=True)
    work.mkdir()
    (work / "in.mkv").write_bytes(write_video(moving_frames(24)))
    return folder


def environment(folder):
    """Return this process's environment, in which Python and commands are found in the bare one alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CMVC_"))}
    return {**kept, "PATH": f"{folder / 'venv/bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"}


def run(bare, *command, **options):
    return subprocess.Popen(
        command, cwd=bare / "work", env=environment(bare), text=True, stdout=subprocess.PIPE, **options
    )


def finished(process):
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return out


@pytest.mark.slow
def test_the_command_line_works(bare):
    assert cmvc.__version__ in finished(run(bare, "cmvc", "--version"))
    finished(run(bare, "cmvc", "encode", "-y", "in.mkv", "a.cmvc", "--bitrate", "40k"))
    finished(run(bare, "cmvc", "decode", "-y", "a.cmvc", "a.y4m"))
    assert json.loads(finished(run(bare, "cmvc", "inspect", "--json", "a.cmvc")))["totals"]["bytes"]
    finished(run(bare, "cmvc", "models", "list"))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "services"])
def test_the_sdk_and_the_services_work(bare, where):
    server = run(bare, "cmvc", "serve", "all", "--listen", "127.0.0.1:0", stderr=subprocess.PIPE)
    try:
        found = (re.search(r"listening on (\S+)", line) for line in server.stderr)
        address = next(match[1] for match in found if match)
        told = json.loads(finished(run(bare, "python", "-c", PROGRAM, address if where == "services" else "")))
    finally:
        server.terminate()
        server.communicate()
    assert told["from"].startswith(str(bare / "venv"))
    assert (told["version"], told["well"], told["frames"]) == (cmvc.__version__, True, [24, 24])


@pytest.mark.slow
def test_every_public_name_is_there(bare):
    code = "import cmvc; print(all(getattr(cmvc, name) is not None for name in cmvc.__all__))"
    assert finished(run(bare, "python", "-c", code)).strip() == "True"


@pytest.mark.slow
def test_it_brings_its_types(bare):
    sdk = next((bare / "venv/lib").glob("python3*/site-packages/cmvc"))
    assert (sdk / "py.typed").exists()
    assert (sdk / "v1/encoder_pb2.pyi").exists()
