"""Keyframes go where the picture changes: one for each shot, more where it drifts, none for what stands still."""

import os
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from media_files import write_video

from cmvc.control import Control
from cmvc.media.frames import to_frame
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.scaling import resize
from cmvc.services import load_encoder
from cmvc.settings import encode_config
from cmvc_encoder.options import EncoderOptions

RATE = Fraction(24)
GAP_FRAMES = 48
CLIPS = Path(os.environ.get("CMVC_CLIPS", "../shared/clips"))
# 0 for the default. To random towers pictures are more alike than to trained ones, so theirs say nothing about those.
THRESHOLDS = {"embedded": None, "clip": 0.99, "siglip": 0.95}


@pytest.fixture(scope="module", params=THRESHOLDS)
def choose(request, tmp_path_factory):
    """Return a function from a video to its keyframe report, by one embedding."""
    name, options = request.param, EncoderOptions()
    if name != "embedded":
        pytest.importorskip("torch", reason="the vision towers need torch")
        pytest.importorskip("transformers", reason="and transformers")
        folder = tmp_path_factory.mktemp("model")
        import_module(f"tiny_models.{name}").write(folder)
        options = EncoderOptions(embedding_model=str(folder))
    config = encode_config(
        keyframes=name, keyframe_threshold=THRESHOLDS[name], keyframe_gap_ms=int(GAP_FRAMES / RATE * 1000)
    )
    return lambda video: load_encoder().keyframes(str(video), config, Control(), options)


def painted(seed, frames, speed):
    """Yield frames of a wide textured scene, under film grain, as the camera pans by ``speed`` pixels a frame."""
    rng = np.random.default_rng(seed)
    width = 320 + speed * frames
    scene = np.empty((180, width, 3))
    for channel in range(3):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (180, width)), (0, 0), 16)
        scene[:, :, channel] = rng.integers(60, 190) + 45 * noise / noise.std()
    for n in range(frames):
        seen = scene[:, n * speed : n * speed + 320] + rng.normal(0, 3, (180, 320, 1))
        rgb = np.clip(seen, 0, 255).astype(np.uint8)
        yield VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


@pytest.fixture(scope="module")
def five_scenes(tmp_path_factory):
    """Return a video of painted scenes, the number of the first frame of each, and whether it stands still."""
    path = tmp_path_factory.mktemp("painted") / "five.mkv"
    shots = [(1, 110, 0), (2, 96, 18), (3, 30, 0), (4, 96, 20), (5, 120, 0)]
    path.write_bytes(write_video([frame for shot in shots for frame in painted(*shot)], rate=RATE))
    starts = np.cumsum([0, *(frames for _, frames, _ in shots)]).tolist()
    return path, starts, [speed == 0 for _, _, speed in shots]


@pytest.fixture(scope="module")
def five_clips(tmp_path_factory):
    """Return as above five real clips, one after the other."""
    clips = {
        "talk_d0_512": True,
        "davis_parkour": False,
        "nasa_lowlight_320x180": True,
        "davis_car-roundabout": False,
        "one-by-one-person_768x432": True,
    }
    paths = [CLIPS / "dev" / f"{name}.mp4" for name in clips]
    if not all(path.exists() for path in paths):
        pytest.skip(f"{CLIPS} has not the clips; CMVC_CLIPS says where they are")
    frames, starts = [], [0]
    for path in paths:
        with open_video(path) as reader:
            frames += [to_frame(resize(item, 480, 270)) for item in reader.read() if isinstance(item, Picture)]
        starts.append(len(frames))
    path = tmp_path_factory.mktemp("clips") / "five.mkv"
    path.write_bytes(write_video(frames, codec="libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"}))
    return path, starts, list(clips.values())


@pytest.mark.parametrize("video", ["five_scenes", "five_clips"])
def test_every_shot_has_its_first_frame_and_still_ones_no_more_than_the_gap_asks_for(choose, video, request):
    path, starts, still = request.getfixturevalue(video)
    report = choose(path)
    assert report.frames == starts[-1]
    assert [record.frame for record in report.records if record.opens_shot] == starts[:-1]
    chosen = [record.frame for record in report.records if record.is_keyframe]
    more = 0
    for start, end, is_still in zip(starts, starts[1:], still, strict=False):
        within = [frame for frame in chosen if start <= frame < end]
        asked_for = list(range(start, end, GAP_FRAMES))
        if is_still:
            assert within == asked_for
        else:
            more += len(within) - len(asked_for)
        assert max(np.diff([*within, end])) <= GAP_FRAMES
    assert more > 0


def test_cuts_stand_out_from_the_frames_beside_them(choose, five_scenes):
    records = choose(five_scenes[0]).records
    at_cuts = [record.similarity for record in records[1:] if record.opens_shot]
    still = [record.similarity for record in records[1:15]]
    assert max(at_cuts) < min(still) - 0.05
