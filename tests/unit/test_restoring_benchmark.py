"""The benchmark of restoring: the same AV1 data twice, and what is read between two points."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_files import moving_frames, write_video
from streams import bytes_of

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks.rd.cache import Cache
from benchmarks.rd.perceptual import looked_at, with_perceptual
from benchmarks.rd.points import PERCEPTUAL, Point
from benchmarks.rd.sources import Source, open_source
from benchmarks.restoring import as_vt2v, between
from cmvc.bitstream.segments import av1_payload
from cmvc.bitstream.stream import StreamReader
from cmvc.control import Control
from cmvc.perceptual.weights import _FILE, cache_folder
from cmvc.restoration.settings import FIDELITY
from cmvc.settings import encode_config
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_encoder.pipeline import encode


@pytest.fixture(scope="module")
def video() -> bytes:
    return write_video(moving_frames(12, width=128, height=96))


def coded(video: bytes, rate: str) -> bytes:
    config = encode_config(mode="coded", bitrate=rate, effort="fast", audio="none")
    return bytes_of(encode(io.BytesIO(video), config, Control()))


def segments(data: bytes) -> Iterator[pb.Segment]:
    return (placed.segment for placed in StreamReader(io.BytesIO(data)).segments())


def test_vt2v_has_the_data_of_coded_and_two_bytes_more(video: bytes) -> None:
    plain = coded(video, "20k")
    restored = as_vt2v(plain, FIDELITY)
    pairs = list(zip(segments(plain), segments(restored), strict=True))
    assert all(av1_payload(one) == bytes(other.guide) for one, other in pairs)
    assert [other.profile for _, other in pairs] == [1] * len(pairs)
    assert len(restored) == len(plain) + 2 * len(pairs)


def test_what_is_between_two_points() -> None:
    low, middle, high = (Point("clip", "codec", "", 0, rate) for rate in (1_000, 4_000, 8_000))
    assert between([high, low, middle], 2_000) == (low, middle, pytest.approx(0.5))
    assert between([low, middle], 500) is None


@pytest.mark.skipif(not (cache_folder() / _FILE).exists(), reason="weights of LPIPS and DISTS were not fetched here")
def test_points_are_looked_at_once(video: bytes, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    clip.write_bytes(video)
    cache = Cache(tmp_path / "cache")
    source: Source = open_source(clip, cache.references)
    stream = cache.folder / "coarse.cmvc"
    stream.write_bytes(coded(video, "5k"))
    point = Point(source.name, "cmvc coded", "", 1, 1.0, (), {"vmaf": 50.0}, stream.name)
    seen: list[Point] = []
    found = with_perceptual([point], [source], cache, seen.append)[0]
    assert seen == [point]
    assert set(found.scores) == {"vmaf", *PERCEPTUAL}
    assert all(found.scores[name] < 1 for name in PERCEPTUAL)
    stream.unlink()
    assert looked_at(source, stream)["lpips_vgg"] == pytest.approx(1 - found.scores["lpips_vgg"])
