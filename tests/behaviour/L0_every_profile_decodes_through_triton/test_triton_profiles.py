"""Every generator profile decodes a real clip's segments in each of its modes: gateway, decoder, Triton, frames, MP4.

The models are tiny ones of the real classes (see ``tiny_models``); the tritonserver is a real one.
"""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import text_streams
import tiny_models
from profile_streams import FRAMES, HEIGHT, MODES, RATE, WIDTH, stream
from servers import servers
from text_streams import text_stream
from triton_server import triton
from tritonclient.utils import InferenceServerException

from cmvc.bitstream.stream import StreamReader
from cmvc.client import Client
from cmvc.control import Control
from cmvc.errors import CmvcError, UnknownProfileError
from cmvc.records import StreamBytes
from cmvc.v1 import decoder_pb2
from cmvc_decoder.conditions import keyframe_positions
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import ask, open_client
from cmvc_decoder.triton.wire import CANARY

pytestmark = pytest.mark.xdist_group("triton")  # see tests/conftest.py
CASES = [(profile, mode) for profile, modes in MODES.items() for mode in modes]
Y4M = decoder_pb2.DecodeConfig(format=decoder_pb2.OUTPUT_FORMAT_Y4M)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    tiny_models.store(root, *MODES)
    return root


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "triton"
    path.write_text("4711\n")
    return path


@pytest.fixture(scope="module")
def models(store, key_file):
    with triton(store, *MODES, key_file=key_file) as each:
        yield each


@pytest.fixture(scope="module")
def client(models, key_file):
    with servers() as start:
        profiles = [f"--profile={profile}" for profile in (*MODES, "embedded")]
        decoder = start(
            "decoder", *profiles, "--triton", models.address, "--shared-memory", "--triton-key-file", str(key_file)
        )
        gateway = start("gateway", "--decoder", decoder.address, "--wait", "300")
        with Client(gateway.address) as each:
            yield each


def frames(video: bytes, kind: str) -> tuple[av.VideoStream, list[av.VideoFrame]]:
    with av.open(io.BytesIO(video), format=kind) as container:
        return container.streams.video[0], list(container.decode(video=0))


def planes(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="yuv420p")


@pytest.mark.parametrize(("profile", "mode"), CASES)
def test_mp4_has_the_sources_size_count_and_timing(client, profile, mode):
    video = b"".join(client.decode_stream([stream(profile, mode)]))
    shape, shown = frames(video, "mp4")
    assert (shape.width, shape.height) == (WIDTH, HEIGHT)
    assert [frame.pts * frame.time_base for frame in shown] == [n / RATE for n in range(FRAMES)]
    assert shape.average_rate == Fraction(RATE)


@pytest.mark.parametrize("profile", [profile for profile, modes in MODES.items() if "it2v" in modes])
def test_anchors_are_exact(client, profile):
    data = stream(profile, "it2v")
    _, made = frames(b"".join(client.decode_stream([data], Y4M)), "yuv4mpegpipe")
    exact = decoder_pb2.DecodeConfig(format=Y4M.format, profile="embedded")
    _, wanted = frames(b"".join(client.decode_stream([data], exact)), "yuv4mpegpipe")
    (placed,) = StreamReader(io.BytesIO(data)).segments()
    count = 1 + len(placed.segment.keyframe_positions) if placed.segment.keyframe_positions else 2
    anchors = keyframe_positions(placed.segment, FRAMES, count)
    assert len(anchors) >= 2
    for position in anchors:
        assert np.array_equal(planes(made[position]), planes(wanted[position]))
    between = anchors[0] + 1
    assert not np.array_equal(planes(made[between]), planes(wanted[between]))


@pytest.mark.parametrize(("profile", "mode"), CASES)
def test_bytes_are_those_made_without_triton(client, store, profile, mode):
    local = InProcessExecutor([profile], store, ())
    records = decode(io.BytesIO(stream(profile, mode)), decoder_pb2.DecodeConfig(), Control(), local)
    here = b"".join(record.data for record in records if isinstance(record, StreamBytes))
    assert b"".join(client.decode_stream([stream(profile, mode)])) == here


@pytest.mark.parametrize("profile", [profile for profile, modes in MODES.items() if "it2v" in modes])
def test_segments_that_go_on_are_those_made_without_triton_and_so_is_a_part(client, store, profile):
    data = text_stream(3, profile=profile, continuity="tail")
    local = InProcessExecutor([profile], store, ())

    def here(config):
        records = decode(io.BytesIO(data), config, Control(), local)
        return b"".join(record.data for record in records if isinstance(record, StreamBytes))

    whole = here(Y4M)
    assert b"".join(client.decode_stream([data], Y4M)) == whole
    start = 2 * text_streams.FRAMES
    part = decoder_pb2.DecodeConfig(format=Y4M.format, start=start / text_streams.RATE)
    got = b"".join(client.decode_stream([data], part))
    assert got == here(part)
    shown, wanted = frames(got, "yuv4mpegpipe")[1], frames(whole, "yuv4mpegpipe")[1][start:]
    assert [planes(one).tobytes() for one in shown] == [planes(one).tobytes() for one in wanted]
    alone = b"".join(client.decode_stream([text_stream(3, profile=profile)], part))
    assert alone != got


def test_a_caption_that_is_cut_is_told_of_by_who_called(client, tmp_path, monkeypatch):
    monkeypatch.setattr(text_streams, "CAPTION", " ".join(["red"] * 80))
    (tmp_path / "long.cmvc").write_bytes(text_stream(2, profile="animatediff"))
    summary = client.decode(tmp_path / "long.cmvc", tmp_path / "back.mp4")
    assert [note.partition(":")[0] for note in summary.notes] == ["text-cut"]


def test_a_mode_that_a_profile_does_not_have_is_refused(client):
    with pytest.raises(UnknownProfileError, match="videocrafter2"):
        list(client.decode_stream([stream("embedded", "it2v")], decoder_pb2.DecodeConfig(profile="videocrafter2")))


def test_strangers_get_nothing_from_triton_and_decoders_no_more_than_they_need(models, key_file):
    profile, decoders = next(iter(MODES)), Address(models.address, key_file)
    # Triton ends the stream at once; its client may see that before it is told why.
    with pytest.raises(CmvcError, match=r"restricted|no longer in valid state"):
        list(ask(Address(models.address), profile, CANARY, Control()))
    assert list(ask(decoders, profile, CANARY, Control()))
    server, key = open_client(decoders), decoders.headers()
    for call in (
        lambda: server.infer(profile, []),
        lambda: server.register_system_shared_memory("x", "/x", 4096),
        lambda: server.get_model_config(profile),
        *(lambda headers=headers: server.load_model(profile, headers=headers) for headers in ({}, key)),
        *(lambda headers=headers: server.get_model_repository_index(headers=headers) for headers in ({}, key)),
        lambda: server.update_log_settings({"log_file": "/tmp/x"}, headers=key),
        lambda: server.update_trace_settings(settings={"trace_file": "/tmp/x"}, headers=key),
    ):
        with pytest.raises(InferenceServerException, match="restricted"):
            call()
    assert server.is_server_ready()
    server.close()
