"""Builds the images with buildah on a local Debian, and runs them from their root file systems: as root, no engine."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATE = Path(os.environ.get("CMVC_IMAGES", ROOT / "build" / "images")).resolve()
BASE = "localhost/debian-python:bookworm"
PYTHON = "python3,python3-venv,python3-pip,ca-certificates"  # what the official Python image has of these
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")

# Read-only root, a /tmp in memory, the names of the other services: as compose and Kubernetes run it.
_START = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount --bind "$HOSTS" "$ROOT/etc/hosts"
mount -o remount,bind,ro "$ROOT"
user=$RUN_AS
root=$ROOT
unset ROOT HOSTS RUN_AS
exec chroot --userspec="$user" "$root" "$@"
"""


def why_not():
    """Return why no image can be built here, or ""."""
    if os.geteuid() != 0:
        return "only root can build images without an engine"
    missing = [each for each in ("buildah", "debootstrap", "unshare") if not shutil.which(each)]
    return f"{', '.join(missing)} not installed; see `make images-check`" if missing else ""


def buildah(*arguments):
    """Run buildah with a store of its own and return what it prints."""
    command = ["buildah", "--root", str(STATE / "store"), "--runroot", str(STATE / "run"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


@cache
def base():
    """Make the local Debian that stands in for the official Python image, unless it is there; return its name."""
    if BASE in buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        return BASE
    folder = STATE / "debian"
    shutil.rmtree(folder, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PYTHON}", "bookworm", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(folder / leftover)
    container = buildah("from", "scratch")
    buildah("add", container, folder, "/")
    buildah("commit", "--rm", container, BASE)
    shutil.rmtree(folder)
    return BASE


@dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
        name: to buildah.
        config: as an engine would see it: Env, Entrypoint, User, Healthcheck and so on.
        size: in bytes, unpacked, base included.
        text: everything that the image says of itself, history included.
    """

    name: str
    config: dict
    size: int
    text: str


@cache
def build(service):
    """Build the image of a service and return it."""
    options = ["--build-arg", f"BASE_IMAGE={base()}"]
    if AUTHORITIES.exists():
        options += ["--secret", f"id=ca,src={AUTHORITIES}", "--build-arg", "PIP_CERT=/run/secrets/ca"]
    for setting in PIP_SETTINGS:
        if value := os.environ.get(setting):
            options += ["--build-arg", f"{setting}={value}"]
    name = f"localhost/cmvc/{service}:check"
    dockerfile = f"docker/{service}.Dockerfile"
    buildah("build", "--isolation", "chroot", "--format", "docker", "-f", dockerfile, *options, "-t", name, ".")
    said = buildah("inspect", "--type", "image", name)
    return Image(name, json.loads(said)["Docker"]["config"], _size(name), said)


def _size(name):
    (image,) = json.loads(buildah("images", "--json", name))
    number, unit = image["size"].split()
    return float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


@cache
def root_of(image):
    """Mount an image for reading and return the folder."""
    return Path(buildah("mount", buildah("from", "--pull-never", image)))


def clean():
    """Let go of everything but the images: containers, mounts, and what earlier builds left."""
    buildah("rm", "--all")
    buildah("rmi", "--prune")
    root_of.cache_clear()


def start(image, command, hosts, environment=None, **options):
    """Start a command in an image: as its user, with its environment, on its file system, which it cannot write to.

    Args:
        image: the image.
        command: what to run, such as its entry point with arguments.
        hosts: a file to stand in for /etc/hosts.
        environment: more variables.
        options: for ``subprocess.Popen``.
    """
    variables = dict(each.split("=", 1) for each in image.config["Env"])
    variables |= {"ROOT": str(root_of(image.name)), "HOSTS": str(hosts), "RUN_AS": image.config["User"]}
    inside = ["env", f"--chdir={image.config['WorkingDir']}", *command]
    outside = ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _START, "sh"]
    return subprocess.Popen([*outside, *inside], env={**variables, **(environment or {})}, **options)
