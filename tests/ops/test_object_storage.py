"""Many inputs in object storage, over HTTP: from servers that speak as S3 and Google Cloud Storage do."""

import json
import re
import subprocess
from contextlib import contextmanager
from uuid import uuid4

import fsspec
import pytest
from gcp_storage_emulator.server import create_server
from media_files import moving_frames, write_video
from moto.server import ThreadedMotoServer
from servers import CMVC

QUICK = ("--mode", "coded", "--bitrate", "40k", "--effort", "fast")
SOMEBODY = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3():
    """Yield the environment that leads to an S3 on this machine."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {"AWS_ENDPOINT_URL": f"http://{host}:{port}", **SOMEBODY}
    server.stop()


@contextmanager
def gs():
    """Yield the environment that leads to a Google Cloud Storage on this machine, one without folders of its own."""
    with create_server("127.0.0.1", 0, in_memory=True) as server:
        host, port = server._api._httpd.server_address
        where = {"STORAGE_EMULATOR_HOST": f"http://{host}:{port}", "GOOGLE_CLOUD_PROJECT": "cmvc"}
        yield where | {"FSSPEC_GS_TOKEN": "anon", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


@pytest.fixture(params=[s3, gs])
def bucket(request, monkeypatch):
    """Yield the file system of an object storage that the environment leads to, and an empty bucket in it."""
    with request.param() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        scheme = request.param.__name__
        files = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)
        name = f"clips-{uuid4()}"  # S3's server keeps what there is for the length of the process
        files.mkdir(name)
        yield files, f"{scheme}://{name}"


def run(*arguments):
    """Return the exit code of a command, and what it says of its files by their outputs."""
    done = subprocess.run([*CMVC, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, {each["output"]: each["state"] for each in json.loads(done.stdout)["files"]}


def test_videos_are_read_there_and_streams_written_there_once(bucket):
    files, there = bucket
    files.pipe_file(f"{there}/in/deep/a.mkv", write_video(moving_frames(6)))
    encode = ("encode", f"{there}/in", "-o", f"{there}/out", *QUICK)
    assert run(*encode) == (0, {"deep/a.cmvc": "done"})
    assert run(*encode) == (0, {"deep/a.cmvc": "was done"})
    whole = files.cat_file(f"{there}/out/deep/a.cmvc")
    files.pipe_file(f"{there}/out/deep/a.cmvc", whole[:-1])
    assert run(*encode) == (0, {"deep/a.cmvc": "done"})
    assert files.cat_file(f"{there}/out/deep/a.cmvc") == whole
    decode = ("decode", f"{there}/out/deep/a.cmvc", "-o", f"{there}/back", "--format", "y4m")
    assert run(*decode) == (0, {"a.y4m": "done"})
    assert files.cat_file(f"{there}/back/a.y4m").count(b"FRAME\n") == 6


def error_of(*arguments):
    done = subprocess.run([*CMVC, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def test_what_is_not_there_is_said_in_one_line(bucket):
    _, there = bucket
    for place in (f"{there}/none", f"{there}-of-somebody-else/a.mkv"):
        assert error_of("encode", place, "-o", "out").startswith("error: NOT_FOUND: ")


def test_a_storage_that_does_not_answer_is_said_in_one_line(monkeypatch):
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", **SOMEBODY}.items():
        monkeypatch.setenv(name, value)
    line = error_of("encode", "s3://clips/a.mkv", "-o", "out")
    assert re.fullmatch(
        r"error: BACKEND_UNAVAILABLE: s3://clips/a.mkv cannot be reached: .*; check the address.*", line
    )
