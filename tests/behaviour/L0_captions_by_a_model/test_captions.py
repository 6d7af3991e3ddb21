"""A multimodal LLM writes the captions: in this process, behind an endpoint, behind a gateway, and while it fails."""

import subprocess
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from cmvc.client import Client
from cmvc.errors import SemanticsError
from cmvc.settings import encode_config
from cmvc_encoder.options import EncoderOptions
from tests import toy_mllm
from tests.media_files import write_video
from tests.openai_server import openai_server
from tests.servers import CMVC, servers
from tests.toy_vace.domain import COLORS, Scene, draw

RATE = Fraction(12)
FRAMES = 24  # of a scene, each a shot
SCENES = [  # none begins where the one before it ends, or the cut between them would hardly be one
    Scene("red", "blue", "ball", "large", "right", (18.0, 32.0), 1.2),
    Scene("green", "white", "box", "large", "right", (18.0, 30.0), 1.2),
    Scene("black", "yellow", "ball", "large", "down", (16.0, 18.0), 1.2),
    Scene("white", "red", "box", "large", "left", (46.0, 32.0), 1.2),
    Scene("blue", "green", "ball", "large", "up", (32.0, 46.0), 1.2),
    Scene("yellow", "black", "box", "large", "right", (18.0, 30.0), 1.2),
]
HERE = ("--semantics", "transformers", "--model", str(toy_mllm.FOLDER))
OPTIONS = EncoderOptions(model=str(toy_mllm.FOLDER), semantics=("device=cpu",))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "scenes.mkv"
    frames = [
        VideoFrame.from_ndarray(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_CUBIC), format="rgb24")
        for scene in SCENES
        for picture in draw(scene, FRAMES)
    ]
    path.write_bytes(write_video([frame.reformat(format="yuv420p") for frame in frames], rate=RATE))
    return path


def cmvc(*arguments):
    return subprocess.run([*CMVC, *map(str, arguments)], capture_output=True, text=True, check=False)


def captions(stream):
    with Client() as client:
        return [segment["text"] for segment in client.inspect(stream)["segments"]]


def by_model(texts):
    """Return which captions are in the toy's words and name what is there (it cannot tell a ball from a box)."""
    named = [text.lower() for text in texts]
    return [
        scene.background in text.split()[0] and f"{scene.size} {scene.color}" in text
        for scene, text in zip(SCENES, named, strict=True)
    ]


def test_a_model_in_this_process_writes_what_is_sent_and_shown(clip, tmp_path):
    stream, video = tmp_path / "scenes.cmvc", tmp_path / "back.y4m"
    done = cmvc("encode", clip, stream, "--mode", "tt2v", "--bitrate", "600", *HERE, "--strict")
    assert done.returncode == 0, done.stderr
    texts = captions(stream)
    assert sum(by_model(texts)) >= 5, texts
    assert all("moves" in text or "stays" in text for text in texts)
    assert 8 * stream.stat().st_size / 12 <= 600

    assert cmvc("decode", stream, video).returncode == 0
    shown = _pictures(video)
    seen = [_near(picture[:20, :20].mean((0, 1))) for picture in shown[FRAMES // 2 :: FRAMES]]
    assert sum(color == scene.background for color, scene in zip(seen, SCENES, strict=True)) >= 5, seen


@pytest.mark.parametrize("mode", ["it2v", "vt2v"])
def test_captions_go_beside_pictures_too(clip, tmp_path, mode):
    stream = tmp_path / "scenes.cmvc"
    with Client(encoder=OPTIONS) as client:
        client.encode(clip, stream, encode_config(mode=mode, bitrate="12k", semantics="transformers", strict=True))
    assert sum(by_model(captions(stream))) >= 5


def test_a_model_behind_an_endpoint_is_sent_the_pictures(clip, tmp_path):
    stream = tmp_path / "scenes.cmvc"
    with openai_server("--model", str(toy_mllm.FOLDER)) as server:
        there = ("--semantics", "openai", "--endpoint", server.endpoint, "--model", "toy")
        done = cmvc("encode", clip, stream, "--mode", "tt2v", "--bitrate", "600", *there, "--strict")
        assert done.returncode == 0, done.stderr
        asked = server.stats()["answers"]
    assert sum(by_model(captions(stream))) >= 5
    assert asked == 2 * len(SCENES)  # one keyframe a scene


def test_a_server_that_dies_costs_captions_but_not_the_stream(clip, tmp_path):
    stream = tmp_path / "scenes.cmvc"
    with openai_server("--model", str(toy_mllm.FOLDER), "--die-after", "4") as server:
        there = ("--semantics", "openai", "--endpoint", server.endpoint, "--model", "toy")
        quick = ("--semantics-set", "retries=0", "--semantics-set", "parallel=1")
        done = cmvc("encode", clip, stream, "--mode", "tt2v", "--bitrate", "600", *there, *quick)
    assert done.returncode == 0, done.stderr
    assert "'embedded' described 4 of 6 windows instead of 'openai'" in done.stderr
    found = by_model(captions(stream))
    assert not any(found[2:])
    assert sum(found[:2]) >= 1
    assert len(captions(stream)) == len(SCENES)


def test_a_server_that_dies_ends_a_strict_stream_cleanly(clip, tmp_path):
    stream = tmp_path / "scenes.cmvc"
    with openai_server("--model", str(toy_mllm.FOLDER), "--die-after", "4") as server:
        there = ("--semantics", "openai", "--endpoint", server.endpoint, "--model", "toy")
        quick = ("--semantics-set", "retries=0", "--semantics-set", "parallel=1")
        done = cmvc("encode", clip, stream, "--mode", "tt2v", "--bitrate", "600", *there, *quick, "--strict")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: SEMANTICS_FAILED: ")
    assert not list(tmp_path.iterdir())


def test_a_gateway_sends_a_video_to_the_encoder_that_has_the_model(clip, tmp_path):
    with servers() as start:
        plain = start("encoder")
        able = start("encoder", "--model", str(toy_mllm.FOLDER), "--semantics-set", "device=cpu")
        gateway = start("gateway", "--encoder", plain.address, "--encoder", able.address)
        config = encode_config(mode="tt2v", bitrate="600", semantics="transformers", strict=True)
        with Client(gateway.address) as client:
            client.encode(clip, tmp_path / "scenes.cmvc", config)
        assert sum(by_model(captions(tmp_path / "scenes.cmvc"))) >= 5
        assert able.metric('cmvc_semantics_fallbacks_total{semantics="transformers"}') == 0
        with Client(plain.address) as client, pytest.raises(LookupError, match="not set up here"):
            client.encode(clip, tmp_path / "other.cmvc", config)


def test_a_failing_model_is_counted(clip, tmp_path):
    with openai_server("--empty") as models, servers() as start:
        encoder = start("encoder", "--endpoint", models.endpoint, "--model", "toy", "--semantics-set", "retries=0")
        with Client(encoder.address) as client:
            config = encode_config(mode="tt2v", bitrate="600", semantics="openai")
            summary = client.encode(clip, tmp_path / "scenes.cmvc", config)
            assert any("instead of 'openai'" in note for note in summary.notes)
            config.strict = True
            with pytest.raises(SemanticsError):
                client.encode(clip, tmp_path / "strict.cmvc", config)
        assert encoder.metric('cmvc_semantics_fallbacks_total{semantics="openai"}') == len(SCENES)


def _pictures(path):
    """Return the pictures of a 4:2:0 Y4M file as RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _near(color):
    return min(COLORS, key=lambda name: np.abs(np.array(COLORS[name]) - color).sum())
