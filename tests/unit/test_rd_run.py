"""The rate-quality benchmark on a small clip: what it measures, and that it goes on where it stopped."""

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.rd import baselines, measure, ours
from benchmarks.rd.baselines import Codec, Coder
from benchmarks.rd.cache import Cache
from benchmarks.rd.points import METRICS, Point
from benchmarks.rd.programs import run
from benchmarks.rd.sources import Source, open_source
from cmvc.errors import MediaError

X264 = Codec("x264 ultrafast", ".h264", "-c:v libx264 -preset ultrafast -crf {}", (51, 48, 45, 42))
LIMIT = 1e6
FRAMES = 6


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something that moves, just large enough for MS-SSIM."""
    path = tmp_path_factory.mktemp("rd") / "moving.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = 192, 176, "yuv420p"
        y, x = np.mgrid[0:176, 0:192]
        for number in range(FRAMES):
            rgb = np.stack([(x * 5 + 9 * number) % 256, y + 60, 255 - x], axis=-1).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(video.encode())
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def source(clip: Path, cache: Cache) -> Source:
    return open_source(clip, cache.references)


def coder(cache: Cache, *, may_run: bool = True) -> tuple[Coder, list[Point]]:
    seen: list[Point] = []
    return Coder(cache, may_run, seen.append), seen


def scores(source: Source, video: Path, folder: Path) -> dict[str, float]:
    (folder / measure.REFERENCE).symlink_to(source.reference)
    (folder / "video.y4m").symlink_to(video)
    run(measure.measure_command(source, "video.y4m"), folder)
    return measure.read_scores(source, folder)


def test_the_source_measures_as_itself(source: Source, tmp_path: Path) -> None:
    assert (source.frames, source.width, source.height, source.rate) == (FRAMES, 192, 176, 24)
    found = scores(source, source.reference, tmp_path)
    assert set(found) == set(METRICS)
    assert found["psnr_y"] == found["psnr_u"] == found["psnr_v"] == 60  # libvmaf's most, for 8 bits
    assert found["ssim"] == found["ms_ssim"] == 1
    assert found["vmaf"] > 95


def test_a_lost_frame_is_an_error(source: Source, tmp_path: Path) -> None:
    short = tmp_path / "short.y4m"
    data = source.reference.read_bytes()
    short.write_bytes(data[: data.rindex(b"FRAME\n")])
    with pytest.raises(MediaError, match=f"has {FRAMES} frames; {FRAMES - 1} came back"):
        scores(source, short, tmp_path)


def test_a_frame_too_many_is_an_error(source: Source, tmp_path: Path) -> None:
    long = tmp_path / "long.y4m"
    data = source.reference.read_bytes()
    long.write_bytes(data + data[data.rindex(b"FRAME\n") :])
    with pytest.raises(MediaError, match=f"has {FRAMES} frames; {FRAMES + 1} came back"):
        scores(source, long, tmp_path)


def test_a_second_run_makes_nothing_anew(
    source: Source, cache: Cache, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    monkeypatch.setattr(baselines, "LARGER", (0.5, 1.0))
    monkeypatch.setattr(baselines, "SMALLER", ())
    first, whole = baselines.walk(coder(cache)[0], source, X264, LIMIT)
    assert whole
    assert first
    assert all(set(point.scores) == set(METRICS) and point.bits_per_second > 0 for point in first)
    again = baselines.walk(coder(cache, may_run=False)[0], open_source(clip, cache.references), X264, LIMIT)
    assert again == (first, True)

    lost = cache.stream(first[-1]).with_suffix(".json")
    lost.unlink()
    assert baselines.walk(coder(cache, may_run=False)[0], source, X264, LIMIT) == (first[:-1], False)
    repairing, _ = coder(cache)
    assert baselines.walk(repairing, source, X264, LIMIT) == (first, True)
    assert lost.exists()


def test_another_command_is_another_result(source: Source, cache: Cache) -> None:
    making, _ = coder(cache)
    one = making.code(source, X264, 0.5, 51, LIMIT)
    baseline = Codec(X264.name, X264.suffix, f"{X264.options} -tune psnr", X264.quantisers)
    with pytest.raises(baselines.NotCachedError):
        coder(cache, may_run=False)[0].code(source, baseline, 0.5, 51, LIMIT)
    assert coder(cache, may_run=False)[0].code(source, X264, 0.5, 51, LIMIT) == one


def test_what_is_over_the_limit_is_counted_but_not_measured(source: Source, cache: Cache) -> None:
    making, seen = coder(cache)
    point = making.code(source, X264, 1.0, 42, 1.0)
    assert seen == [point]
    assert point.size_bytes > 0
    assert not point.scores
    assert making.code(source, X264, 1.0, 42, LIMIT).scores


def test_our_own_bytes_are_those_of_the_file(source: Source, cache: Cache) -> None:
    making, _ = coder(cache)
    points, whole = ours.walk(making, source, "tt2v", LIMIT, 6)
    assert whole
    (point,) = points
    assert (point.codec, point.modes) == ("cmvc tt2v", ("tt2v",))
    assert point.size_bytes == cache.stream(point).stat().st_size
    assert point.bits_per_second == pytest.approx(point.size_bytes * 8 / (FRAMES / 24))
    assert ours.walk(coder(cache, may_run=False)[0], source, "tt2v", LIMIT, 6) == (points, True)
