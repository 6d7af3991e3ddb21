"""Scores are those of the published metrics, paired by frame number."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cmvc.errors import MediaError
from cmvc.evaluate import MAX_DB, evaluate, ms_ssim
from cmvc.vmaf import find_ffmpeg

WIDTH, HEIGHT, FRAMES = 192, 176, 6


def scene(count: int, width: int = WIDTH, height: int = HEIGHT, noise: float = 0.0) -> list[np.ndarray]:
    """A texture that moves 3 pixels a frame, as Y'CbCr 4:2:0 arrays."""
    rng = np.random.default_rng(7)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (height, width + 200)).astype(np.float32), (0, 0), 2.0)
    texture = 126 + texture / texture.std() * 30
    frames = []
    for index in range(count):
        luma = texture[:, 3 * index : 3 * index + width] + rng.normal(0, 1, (height, width)) * noise
        yuv = np.full((height * 3 // 2, width), 128, np.uint8)
        yuv[:height] = np.clip(luma, 16, 235)
        frames.append(yuv)
    return frames


def write(path: Path, frames: list[np.ndarray]) -> Path:
    """Store the frames without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(24))
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
        for yuv in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(yuv, "yuv420p")))
        container.mux(stream.encode())
    return path


def test_an_original_that_is_read_in_a_process_of_its_own_scores_the_same(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.mkv", scene(FRAMES)), write(tmp_path / "b.mkv", scene(FRAMES, noise=2.0))
    here = evaluate(one, other, vmaf=False)
    assert evaluate(one, other, vmaf=False, isolated=True) == here
    part = {"start": 2 / 24, "duration": 3 / 24}
    other = write(tmp_path / "part.mkv", scene(FRAMES, noise=2.0)[2:5])
    assert evaluate(one, other, vmaf=False, isolated=True, **part) == evaluate(one, other, vmaf=False, **part)


def test_identical_videos_score_the_maximum_and_fit_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", scene(FRAMES))
    scores = evaluate(path, path)
    assert (scores.frames, scores.width, scores.height) == (FRAMES, WIDTH, HEIGHT)
    assert scores.psnr_y == scores.psnr == scores.xpsnr == MAX_DB
    assert scores.ssim == pytest.approx(1.0, abs=1e-6)
    assert scores.ms_ssim == pytest.approx(1.0, abs=1e-5)
    fields = json.loads(scores.as_json(per_frame=True))
    assert len(fields["per_frame"]) == FRAMES
    assert set(fields) >= {
        "frames",
        "width",
        "height",
        "psnr_y",
        "psnr",
        "ssim",
        "ms_ssim",
        "xpsnr",
        "vmaf",
        "vmaf_neg",
    }


def test_known_noise_gives_the_psnr_it_should(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mkv", scene(FRAMES))
    shifted = [yuv.copy() for yuv in scene(FRAMES)]
    for yuv in shifted:
        yuv[:HEIGHT] += 4  # mean squared error 16 in luma, 0 in chroma
    scores = evaluate(a, write(tmp_path / "b.mkv", shifted), vmaf=False)
    psnr = 10 * np.log10(255**2 / 16)
    assert scores.psnr_y == pytest.approx(psnr, abs=0.01)
    assert scores.psnr == pytest.approx((6 * psnr + 2 * MAX_DB) / 8, abs=0.01)
    assert scores.vmaf is None


def test_one_frame_late_scores_lower_in_every_metric(tmp_path: Path) -> None:
    frames = scene(FRAMES + 1)
    a = write(tmp_path / "a.mkv", frames[:-1])
    late = evaluate(a, write(tmp_path / "late.mkv", frames[1:]))
    same = evaluate(a, write(tmp_path / "noisy.mkv", scene(FRAMES, noise=2.0)))
    for name in ("psnr_y", "ssim", "ms_ssim", "xpsnr"):
        assert getattr(late, name) < getattr(same, name)
    if find_ffmpeg():
        assert late.vmaf < same.vmaf
        assert late.vmaf_neg < same.vmaf_neg


def test_unequal_frame_counts_are_refused_with_both_counts(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mkv", scene(FRAMES))
    b = write(tmp_path / "b.mkv", scene(FRAMES - 2))
    for one, other in ((a, b), (b, a)):
        with pytest.raises(MediaError, match=r"\b6\b.*\b4\b|\b4\b.*\b6\b"):
            evaluate(one, other)


def test_another_size_is_matched_to_the_reference(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mkv", scene(FRAMES))
    small = [np.full((HEIGHT * 3 // 4, WIDTH // 2), 128, np.uint8) for _ in range(FRAMES)]
    for yuv, full in zip(small, scene(FRAMES), strict=True):
        yuv[: HEIGHT // 2] = cv2.resize(full[:HEIGHT], (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    scores = evaluate(a, write(tmp_path / "b.mkv", small), vmaf=False)
    assert (scores.width, scores.height) == (WIDTH, HEIGHT)
    assert 0.8 < scores.ssim < 1


@pytest.mark.skipif(not find_ffmpeg(), reason="no FFmpeg with libvmaf; pip install imageio-ffmpeg")
def test_ms_ssim_agrees_with_libvmaf(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mkv", scene(3, 256, 256))
    b = write(tmp_path / "b.mkv", scene(3, 256, 256, noise=12.0))
    log = tmp_path / "log.json"
    graph = (
        "[0:v]settb=1/24,setpts=N[r];[1:v]settb=1/24,setpts=N[d];"
        f"[d][r]libvmaf=feature=name=float_ms_ssim:log_fmt=json:log_path={log}"
    )
    subprocess.run([find_ffmpeg(), "-v", "error", "-i", a, "-i", b, "-lavfi", graph, "-f", "null", "-"], check=True)
    theirs = [frame["metrics"]["float_ms_ssim"] for frame in json.loads(log.read_text())["frames"]]
    ours = [ms_ssim(x[:256], y[:256]) for x, y in zip(scene(3, 256, 256), scene(3, 256, 256, noise=12.0), strict=True)]
    assert ours == pytest.approx(theirs, abs=0.003)
