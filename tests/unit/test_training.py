"""Training an adapter for interpolation, on painted clips with the toy checkpoint (a fixture, see ``toy_vace``)."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
pytest.importorskip("peft", reason="training needs peft")
pytest.importorskip("matplotlib", reason="training needs matplotlib")

import torch
from av.video.frame import VideoFrame
from click.testing import CliRunner
from diffusers import WanVACEPipeline
from media_files import write_video
from toy_vace.domain import SIDE, Scene, draw, random_scene

from cmvc.control import Control
from cmvc.errors import CancelledError, InvalidSettingError, UnknownProfileError
from cmvc.media.picture import Picture
from cmvc.media.rgb import from_rgb, to_rgb
from cmvc.v1 import common_pb2
from cmvc_decoder.generator import Anchor, Conditions
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.training.command import command
from cmvc_decoder.training.log import Log, Row, read_rows
from cmvc_decoder.training.options import Places, TrainOptions
from cmvc_decoder.training.run import make_accelerator, train
from cmvc_decoder.training.stopping import Stopping
from cmvc_decoder.training.task import Shape
from cmvc_decoder.training.videos import (
    HELD_OUT,
    TRAIN,
    Video,
    choose_clips,
    load_index,
    look_through,
    look_through_all,
    read_clips,
    save_index,
    split,
)
from cmvc_decoder.training.wan_vace import WanVaceTask
from cmvc_decoder.weights.adapters import WEIGHTS, install, read_adapter, verify_adapter

FRAMES = 5
RATE = Fraction(16)
PROFILE = "wan-vace-1.3b"
OPTIONS = TrainOptions(
    profile=PROFILE, name="painted", rank=4, alpha=4.0, steps=4, batch=2, accumulate=1, learning_rate=2e-3,
    frames=FRAMES, width=SIDE, height=SIDE, clips=4, held_out=0.3, held_out_clips=2, captions=False, seed=7,
)  # fmt: skip


def save_video(path: Path, video: np.ndarray, rate: Fraction = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [VideoFrame.from_ndarray(each, format="rgb24").reformat(format="yuv420p") for each in video]
    path.write_bytes(write_video(frames, rate=rate))
    return path


def textured(seed: int, frames: int, side: int = SIDE) -> np.ndarray:
    """Return a still, textured video: each seed is another shot, and which is told by its pixels."""
    picture = np.kron(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    return np.repeat(picture[None, :side, :side], frames, 0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder, rng = tmp_path_factory.mktemp("videos"), np.random.default_rng(3)
    for number in range(4):
        save_video(folder / f"{number}.mkv", draw(random_scene(rng, 9), 9))
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("store")
    (root / PROFILE).mkdir()
    (root / PROFILE / "pipeline").symlink_to(Path(__file__).parents[1] / "toy_vace" / "weights")
    return root


@pytest.fixture(scope="module")
def pipe(store):
    return WanVace().load(store / PROFILE, SpeedOptions())


class Silent:
    """Shows nothing; sends this process a signal at one step."""

    def __init__(self, stop_at: tuple[str, int] | None = None, number: int = signal.SIGINT) -> None:
        self.stop_at, self.number, self.lines = stop_at, number, []

    def progress(self, what, done, total, note=""):
        if (what, done) == self.stop_at:
            os.kill(os.getpid(), self.number)

    def line(self, text):
        self.lines.append(text)


def run(videos, store, out, options=OPTIONS, show=None, *, resume=False, **places):
    where = Places(**{
        "videos": videos, "out": out, "models": store, "save_every": 100, "evaluate_every": 2, "device": "cpu",
        "dtype": "float32", "gradient_checkpointing": False, **places,
    })  # fmt: skip
    with Stopping() as stopping:
        accelerator = make_accelerator(options, where)
        return train(options, where, accelerator, stopping=stopping, show=show or Silent(), resume=resume)


def curve(out):
    with (out / "loss.csv").open(newline="") as file:
        return [
            [row[name] for name in ("step", "loss", "held_out_loss", "learning_rate")] for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def whole(videos, store, tmp_path_factory):
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return run(videos, store, out), out


def cut_and_encoded(whole, out) -> Path:
    """Return a folder for a run that need not do again what is done before the first step."""
    shutil.copytree(whole[1] / "samples", out / "samples")
    shutil.copyfile(whole[1] / "videos.json", out / "videos.json")
    return out


# --- videos and clips ------------------------------------------------------------------------------------------------


def test_no_clip_spans_a_cut(tmp_path):
    lengths = (12, 3, 9, 20)
    path = save_video(tmp_path / "cuts.mkv", np.concatenate([textured(n, count) for n, count in enumerate(lengths)]))
    video = look_through(path, tmp_path, RATE, lambda: None)
    assert video.shots == ((0, 12), (12, 3), (15, 9), (24, 20))
    clips = choose_clips([video], 300, FRAMES, (32, 32), (1, TRAIN))
    for clip, frames in read_clips(tmp_path, clips, FRAMES, (32, 32), lambda: None):
        assert np.ptp(frames.astype(int), axis=0).max() <= 2, clip
    assert {clip.start for clip in clips} == {*range(8), *range(15, 20), *range(24, 40)}


def test_clips_keep_the_stride_of_the_decoder(tmp_path):
    video = np.arange(0, 160, 5, dtype=np.uint8)[:, None, None, None] * np.ones((1, SIDE, SIDE, 3), np.uint8)
    path = save_video(tmp_path / "fast.mkv", video, Fraction(30))
    found = look_through(path, tmp_path, RATE, lambda: None)
    clips = choose_clips([found], 4, FRAMES, (32, 32), (1, TRAIN))
    for clip, frames in read_clips(tmp_path, clips, FRAMES, (32, 32), lambda: None):
        levels = frames.mean((1, 2, 3))
        assert levels == pytest.approx([5 * (clip.start + 2 * n) for n in range(FRAMES)], abs=2)


def test_crops_stay_within_the_picture_and_have_the_aspect_wanted():
    video = Video("a.mp4", 321, 181, 1, 1, ((0, 50),))
    clips = choose_clips([video], 300, FRAMES, (96, 64), (0, TRAIN))
    for clip in clips:
        assert clip.left % 2 == clip.top % 2 == clip.width % 2 == clip.height % 2 == 0
        assert clip.left + clip.width <= 321
        assert clip.top + clip.height <= 181
        assert clip.width / clip.height == pytest.approx(1.5, abs=0.03)
    heights = [clip.height for clip in clips]
    assert min(heights) < 120
    assert max(heights) > 170


def test_places_are_as_likely_in_long_videos_as_in_short_ones():
    videos = [Video("long.mp4", 64, 64, 1, 1, ((0, 904),)), Video("short.mp4", 64, 64, 1, 1, ((0, 104),))]
    clips = choose_clips(videos, 1000, FRAMES, (32, 32), (0, TRAIN))
    assert 60 < sum(clip.video.path == "short.mp4" for clip in clips) < 140


def test_whole_videos_are_held_out():
    videos = [Video(f"{n}.mp4", 64, 64, 1, 1, ((0, 30),)) for n in range(20)]
    trained, held_out = split(videos, FRAMES, 0.15, 5)
    assert len(held_out) == 3
    assert sorted(video.path for video in (*trained, *held_out)) == sorted(video.path for video in videos)
    assert split(videos, FRAMES, 0.15, 5) == (trained, held_out)
    assert split(videos, FRAMES, 0.15, 6)[1] != held_out
    assert len(split(videos[:2], FRAMES, 0.01, 0)[1]) == 1
    assert len(split(videos[:2], FRAMES, 0.99, 0)[0]) == 1
    assert split(videos, FRAMES, 0, 0)[1] == []


def test_clips_to_train_on_and_held_out_ones_are_of_different_videos(whole):
    _, out = whole
    trained, held_out = split(load_index(out / "videos.json"), FRAMES, OPTIONS.held_out, OPTIONS.seed)
    paths = [
        {clip.video.path for clip in choose_clips(part, 50, FRAMES, (SIDE, SIDE), (7, kind))}
        for part, kind in ((trained, TRAIN), (held_out, HELD_OUT))
    ]
    assert paths[0]
    assert paths[1]
    assert not paths[0] & paths[1]


def test_an_index_comes_back(tmp_path):
    videos = [Video("a/b.mp4", 64, 48, 6, 2, ((0, 30), (30, 5)))]
    save_index(videos, tmp_path / "videos.json")
    assert load_index(tmp_path / "videos.json") == videos


def test_a_file_that_is_no_video_is_left_out_with_a_note(videos, tmp_path):
    for each in videos.iterdir():
        (tmp_path / each.name).symlink_to(each)
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    found, notes = look_through_all(tmp_path, RATE, lambda: None, lambda done, total: None)
    assert len(found) == 4
    assert [note for note in notes if "broken.mp4" in note] == notes != []


# --- conditions and loss ---------------------------------------------------------------------------------------------


def scene() -> np.ndarray:
    return draw(Scene("black", "red", "ball", "large", "right", (20, 32), 3.0), FRAMES)


def decode(store, video, adapter=""):
    """Decode the frames between two anchors as the decoder does; return all of them."""
    generator = make_generator(PROFILE, store, SpeedOptions())
    last = len(video) - 1
    conditions = Conditions(
        mode=common_pb2.MODE_IT2V,
        width=SIDE,
        height=SIDE,
        frames=last,
        frame_rate=RATE,
        seed=1,
        anchors=tuple(Anchor(n, from_rgb(video[n], 1)) for n in (0, last)),
        settings={"steps": "2", "guidance": "1", "pixels": str(SIDE * SIDE)},
        adapter=adapter,
    )
    pictures = [item for item in generator.generate(conditions, Control()) if isinstance(item, Picture)]
    return np.stack([to_rgb(picture, 1) for picture in pictures])


def test_the_model_sees_what_it_sees_at_decode(store, pipe, monkeypatch):
    video = scene()
    seen = []
    kind = type(pipe.transformer)
    forward = kind.forward

    def watched(self, *args, **kwargs):
        seen.append(kwargs)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(kind, "forward", watched)
    decode(store, video)
    at_decode = seen[0]
    seen.clear()
    task = WanVaceTask(pipe, Shape(FRAMES, SIDE, SIDE))
    sample = task.encode(pipe, np.stack([to_rgb(from_rgb(frame, 1), 1) for frame in video]), "")  # as anchors come
    batch = {name: each[None] for name, each in sample.items()}
    with torch.no_grad():
        task.loss(pipe.transformer, batch, torch.tensor([0.5]), [torch.Generator()])
    in_training = seen[0]
    torch.testing.assert_close(in_training["control_hidden_states"], at_decode["control_hidden_states"])
    torch.testing.assert_close(in_training["encoder_hidden_states"], at_decode["encoder_hidden_states"])
    assert in_training["hidden_states"].shape == at_decode["hidden_states"].shape
    assert in_training["timestep"].shape == at_decode["timestep"].shape


def test_a_model_that_knows_noise_minus_latents_has_no_loss(pipe):
    task = WanVaceTask(pipe, Shape(FRAMES, SIDE, SIDE))
    sample = task.encode(pipe, scene(), "")
    batch = {name: torch.stack([each, each]) for name, each in sample.items()}

    def oracle(hidden_states, timestep, **_):
        return ((hidden_states - batch["latents"]) / (timestep / 1000).view(-1, 1, 1, 1, 1),)

    times = torch.tensor([0.2, 0.7])
    losses = task.loss(oracle, batch, times, [torch.Generator(), torch.Generator()])
    assert losses.shape == (2,)
    assert float(losses.max()) < 1e-8
    nothing = task.loss(lambda hidden_states, **_: (0 * hidden_states,), batch, times, [torch.Generator()] * 2)
    assert float(nothing.min()) > 0.5


def test_times_are_shifted_as_the_scheduler_shifts_them(pipe):
    task = WanVaceTask(pipe, Shape(FRAMES, SIDE, SIDE))
    batch = {name: each[None] for name, each in task.encode(pipe, scene(), "").items()}
    seen = []

    def model(hidden_states, timestep, **_):
        seen.append(float(timestep))
        return (hidden_states,)

    task.loss(model, batch, torch.tensor([0.5]), [torch.Generator()])
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(sigmas=[0.5])
    assert seen == [pytest.approx(float(scheduler.timesteps[0]))]
    assert seen[0] > 500


def test_a_caption_reaches_the_model(pipe):
    task = WanVaceTask(pipe, Shape(FRAMES, SIDE, SIDE))
    with_caption, without = (task.encode(pipe, scene(), text) for text in ("Black wall background", ""))
    assert not torch.equal(with_caption["prompt"], without["prompt"])
    assert torch.equal(with_caption["kept"], without["kept"])


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_leaves_losses_a_chart_and_an_adapter(whole):
    summary, out = whole
    rows = curve(out)
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [bool(row[2]) for row in rows] == [True, False, True, False, True]
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    adapter = read_adapter(out / "painted")
    assert (adapter.profile, adapter.rank, adapter.alpha, adapter.steps) == (PROFILE, 4, 4.0, 4)
    assert (summary.label, summary.videos, summary.held_out_videos) == (adapter.label, 3, 1)
    verify_adapter(out / "painted", adapter)
    assert not [path for path in out.rglob("*") if "part" in path.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_and_resumed_is_the_same_as_one_that_is_not(videos, store, whole, tmp_path, number):
    ours = cut_and_encoded(whole, tmp_path / "run")
    summary, out = whole
    with pytest.raises(CancelledError, match=r"step 3 of 4.*--resume"):
        run(videos, store, ours, show=Silent(("training", 3), number))
    assert [row[0] for row in curve(ours)] == ["0", "1", "2", "3"]
    torch.manual_seed(99)  # whatever the process drew before
    resumed = run(videos, store, ours, resume=True)
    assert curve(ours) == curve(out)
    assert resumed.sha256 == summary.sha256


def test_a_run_that_is_killed_goes_on_from_its_last_state(videos, store, whole, tmp_path):
    ours = cut_and_encoded(whole, tmp_path / "run")

    class Killed(Silent):
        def progress(self, what, done, total, note=""):
            if (what, done) == ("training", 3):
                raise MemoryError

    with pytest.raises(MemoryError):
        run(videos, store, ours, show=Killed(), save_every=2)
    assert len(curve(ours)) == 4
    run(videos, store, ours, resume=True)
    assert curve(ours) == curve(whole[1])


def test_a_run_that_is_stopped_while_it_encodes_goes_on_there(videos, store, whole, tmp_path):
    with pytest.raises(CancelledError, match="--resume"):
        run(videos, store, tmp_path / "run", show=Silent(("encoding clips", 3)))
    done = list((tmp_path / "run").rglob("0*.safetensors"))
    assert len(done) == 3
    times = {path: path.stat().st_mtime_ns for path in done}
    run(videos, store, tmp_path / "run", resume=True)
    assert {path: path.stat().st_mtime_ns for path in done} == times
    assert curve(tmp_path / "run") == curve(whole[1])


def test_accumulated_batches_make_the_step_of_one_large_batch(videos, store, whole, tmp_path):
    ours = cut_and_encoded(whole, tmp_path / "run")
    run(videos, store, ours, replace(OPTIONS, batch=1, accumulate=2))
    for mine, theirs in zip(curve(ours), curve(whole[1]), strict=True):
        assert [float(cell or 0) for cell in mine] == pytest.approx([float(cell or 0) for cell in theirs], rel=1e-4)


def test_gradient_checkpointing_changes_nothing_but_memory(videos, store, whole, tmp_path):
    ours = cut_and_encoded(whole, tmp_path / "run")
    run(videos, store, ours, gradient_checkpointing=True)
    for mine, theirs in zip(curve(ours), curve(whole[1]), strict=True):
        assert [float(cell or 0) for cell in mine] == pytest.approx([float(cell or 0) for cell in theirs], rel=1e-5)


def test_rows_of_steps_that_were_not_saved_are_dropped(tmp_path):
    log = Log(tmp_path / "loss.csv", [Row(0, None, 0.9, 0.0, 0.0)])
    rows = [Row(n, 1 / (3 * n), None, 1e-4 / 3, 0.5 * n) for n in (1, 2, 3)]
    for row in rows:
        log.add(row)
    with (tmp_path / "loss.csv").open("a") as file:
        file.write("4,0.2")  # cut off by a crash
    assert read_rows(tmp_path / "loss.csv", 2) == [Row(0, None, 0.9, 0.0, 0.0), *rows[:2]]


# --- the adapter -----------------------------------------------------------------------------------------------------


def test_the_adapter_goes_into_the_stock_pipeline(whole, store):
    _, out = whole
    stock = WanVACEPipeline.from_pretrained(store / PROFILE / "pipeline", torch_dtype=torch.float32)
    stock.load_lora_weights(out / "painted", adapter_name="painted")
    loaded = {name: weight for name, weight in stock.transformer.state_dict().items() if "lora_" in name}
    tuned = torch.load(out / "state" / "step-000004" / "optimizer.bin", weights_only=True)["state"]
    assert len(loaded) == len(tuned) == 6 * 2 * 4 * 2  # blocks, attentions, layers, matrices
    assert any(weight.abs().max() > 0 for name, weight in loaded.items() if "lora_B" in name)
    assert stock.get_active_adapters() == ["painted"]
    assert stock.transformer.peft_config["painted"].r == 4


def test_the_decoder_makes_other_frames_with_the_adapter(whole, store):
    _, out = whole
    install((out / "painted").resolve(), store)
    video = scene()
    before, after = decode(store, video), decode(store, video, "painted")
    assert np.array_equal(before[0], after[0])  # an anchor
    assert np.abs(before[1:].astype(int) - after[1:]).mean() > 0.1


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "videocrafter2"}, "videocrafter2 cannot be trained.*wan-vace-1.3b"),
        ({"width": 72}, "72x64.*divide by 16.*use 64x64"),
        ({"frames": 6}, "4k \\+ 1.*use 9"),
        ({"frames": 85}, "5 to 81; use 81"),
        ({"frames": 13}, "no video has a shot of 13 frames.*has 9"),
    ],
)
def test_options_that_do_not_fit_are_refused(videos, store, tmp_path, changes, message):
    with pytest.raises(InvalidSettingError, match=message):
        run(videos, store, tmp_path / "run", replace(OPTIONS, **changes))


def test_a_profile_that_is_not_known_is_refused(videos, store, tmp_path):
    with pytest.raises(UnknownProfileError, match="nonesuch"):
        run(videos, store, tmp_path / "run", replace(OPTIONS, profile="nonesuch"))


def test_a_folder_without_videos_is_refused(store, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "notes.txt").write_text("nothing")
    with pytest.raises(InvalidSettingError, match=r"no video in .*videos; put files"):
        run(tmp_path / "videos", store, tmp_path / "run")


def test_one_video_cannot_be_both_trained_on_and_held_out(videos, store, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "0.mkv").symlink_to(videos / "0.mkv")
    with pytest.raises(InvalidSettingError, match=r"only one video.*--held-out 0"):
        run(tmp_path / "videos", store, tmp_path / "run")


def test_a_run_is_not_begun_over_another(videos, store, whole):
    with pytest.raises(InvalidSettingError, match=r"has a run already.*--resume"):
        run(videos, store, whole[1])


def test_a_run_is_not_resumed_as_another(videos, store, whole, tmp_path):
    with pytest.raises(InvalidSettingError, match="begun with rank=4, not 8"):
        run(videos, store, whole[1], replace(OPTIONS, rank=8), resume=True)
    with pytest.raises(InvalidSettingError, match="no run in"):
        run(videos, store, tmp_path, resume=True)


def arguments(videos, store, out, **more):
    options = {
        "videos": videos, "models": store, "out": out, "size": f"{SIDE}x{SIDE}", "name": "painted", "device": "cpu",
        **{name.replace("_", "-"): value for name, value in asdict(OPTIONS).items()
           if name not in {"profile", "width", "height", "captions", "alpha", "name"}},
        **more,
    }  # fmt: skip
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def test_the_command_says_what_came_of_it(videos, store, whole, tmp_path):
    asked = arguments(videos, store, tmp_path / "run", **{"evaluate-every": 2})
    done = CliRunner().invoke(command, [*asked, "--json", "--install"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["sha256"] == whole[0].sha256
    assert said["installed"]
    assert read_adapter(store / PROFILE / "adapters" / "painted").sha256 == said["sha256"]
    assert (store / PROFILE / "adapters" / "painted" / WEIGHTS).is_file()


@pytest.mark.slow
def test_two_processes_make_the_losses_of_one(videos, store, whole, tmp_path):
    ours = cut_and_encoded(whole, tmp_path / "run")
    asked = arguments(videos, store, ours, batch=1, **{"evaluate-every": 2})
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run([*launch, "-m", "cmvc_decoder.training.command", *asked], check=True, capture_output=True)
    assert len(list((ours / "state" / "step-000004").glob("random_states_*"))) == 2
    for mine, theirs in zip(curve(ours), curve(whole[1]), strict=True):
        assert [float(cell or 0) for cell in mine] == pytest.approx([float(cell or 0) for cell in theirs], rel=1e-5)


def test_the_command_fails_with_one_line(videos, store, tmp_path):
    done = CliRunner().invoke(command, arguments(videos, store, tmp_path / "run", frames=7))
    assert done.exit_code == 1
    assert done.stderr.startswith("error: INVALID_SETTING: --frames 7")
    assert len(done.stderr.splitlines()) == 1
