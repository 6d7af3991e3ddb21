"""``make pin-images`` asks for every image that others build; a script stands in for docker, which asks registries."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOUND = 'echo "sha256:$(printf %s "$4" | sha256sum | cut -c-64)"'


def pin(folder, answer):
    docker = folder / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1 $2 $3 $5" = "buildx imagetools inspect --format" ] || exit 9\n{answer}\n')
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["make", "-s", "-C", str(ROOT), "pin-images"], env=environment, capture_output=True, text=True, check=False
    )


def test_every_image_of_others_is_named_once_with_its_digest(tmp_path):
    done = pin(tmp_path, FOUND)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", line) for line in lines)
    files = [*(ROOT / "docker").glob("*.Dockerfile"), ROOT / "docker-compose.yml"]
    image = re.compile(r"^(?:ARG BASE_IMAGE=| *image: )(\S+)$", re.MULTILINE)
    named = {name for path in files for name in image.findall(path.read_text())}
    assert [line.partition("@")[0] for line in lines] == sorted(name for name in named if not name.startswith("cmvc/"))


def test_a_registry_that_is_not_reached_is_said(tmp_path):
    done = pin(tmp_path, "exit 1")
    assert done.returncode
    assert "is its registry reached?" in done.stderr
