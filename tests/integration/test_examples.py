"""The examples run as they stand, against a real gateway, and their errors are decoded in full."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_tools import protoc
from media_files import moving_frames, write_video
from servers import servers, until

from cmvc.settings import encode_config
from cmvc.v1 import encoder_pb2
from cmvc.v1.encoder_pb2_grpc import VideoEncoderStub
from cmvc.wire.transfer import make_chunk
from examples.node_grpc.fetch import FOLDER as NODE_FOLDER
from examples.node_grpc.fetch import NODE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gateway():
    with servers() as start:
        yield start("all").address


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """A folder with stubs made from the protos, and nothing else of CMVC."""
    folder = tmp_path_factory.mktemp("stubs")
    protos = [str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto/cmvc/v1").glob("*.proto")]
    arguments = ["", f"-I{ROOT / 'proto'}", f"--python_out={folder}", f"--grpc_python_out={folder}", *protos]
    assert protoc.main(arguments) == 0
    for package in (folder / "cmvc", folder / "cmvc/v1"):
        (package / "__init__.py").touch()  # or the SDK that is installed here would be found instead
    return folder


@pytest.fixture(params=["python", "node"])
def transcode(request, stubs, tmp_path):
    """What runs an example with its arguments, in a folder with a short video."""
    (tmp_path / "in.mkv").write_bytes(write_video(moving_frames(24)))
    environment = dict(os.environ)
    if request.param == "python":
        command = [sys.executable, ROOT / "examples/python_grpc/transcode.py"]
        environment["PYTHONPATH"] = str(stubs)
    elif (NODE_FOLDER / "node_modules/@grpc/grpc-js").exists():
        command = [NODE, NODE_FOLDER / "transcode.js"]
    else:
        pytest.skip("npm did not fetch what the Node example needs; run: make test")

    def run(target, rate="40000"):
        arguments = [target, "in.mkv", "out.cmvc", "back.mp4", rate]
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_a_video_goes_there_and_back(transcode, gateway, tmp_path):
    done = transcode(gateway)
    assert done.returncode == 0, done.stderr
    assert "encoded 24 frames" in done.stdout
    assert "decoded 24 frames" in done.stdout
    assert (tmp_path / "out.cmvc").read_bytes().startswith(b"CMVC")
    assert (tmp_path / "back.mp4").read_bytes()[4:8] == b"ftyp"


def test_notes_have_their_codes(transcode, gateway):
    done = transcode(gateway, "100")
    assert "NOTE_CODE_FLOOR floor: " in done.stdout


def test_an_error_is_decoded(transcode, gateway, tmp_path):
    done = transcode(gateway, "1")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stderr)
    assert (found["status"], found["reason"], found["fields"]) == (
        "INVALID_ARGUMENT",
        "INVALID_SETTING",
        ["config.bits_per_second"],
    )
    assert "100..100000000" in found["message"]
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv"}


@contextmanager
def held(address):
    """Hold a place there by a call that sends no more."""
    sent, ended = threading.Event(), threading.Event()

    def requests():
        yield encoder_pb2.EncodeRequest(config=encode_config())
        yield encoder_pb2.EncodeRequest(chunk=make_chunk(b"x"))
        sent.set()
        ended.wait()

    with grpc.insecure_channel(address) as channel:
        call = VideoEncoderStub(channel).Encode(requests())
        sent.wait()
        yield
        ended.set()
        call.cancel()


def test_a_server_that_is_busy_says_when_to_come_back(transcode):
    with servers() as start:
        busy = start("encoder", "--running", "1", "--waiting", "0").address
        with held(busy):
            until(lambda: "OVERLOADED" in transcode(busy).stderr, "the call that holds the place has arrived")
            found = json.loads(transcode(busy).stderr)
    assert (found["status"], found["reason"]) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    assert found["retry_after_s"] >= 1


def test_nobody_there_has_no_details(transcode):
    found = json.loads(transcode("127.0.0.1:9").stderr)
    assert found["status"] == "UNAVAILABLE"
    assert "reason" not in found


def test_the_application_of_the_sdk_runs(gateway, tmp_path):
    (tmp_path / "in.mkv").write_bytes(write_video(moving_frames(24)))
    command = [sys.executable, ROOT / "examples/python_sdk/send.py", "in.mkv", "out.cmvc", "--gateway", gateway]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "24 frames" in done.stdout
    refused = subprocess.run([*command, "--seed", "70000"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "INVALID_SETTING (config.seed)")
