"""``python -m benchmarks.interpolation``: what tuning for interpolation gains, on the toy checkpoint.

A LoRA is trained with ``cmvc_decoder.training``, and held-out clips (of videos that were not trained on) are decoded
through the decoder's own generator at IT2V: two anchors are given, what lies between them is made. Beside it stand a
blend of the anchors, the warper of the embedded profile (without a coded motion track, the others have none either),
and the truth sent through the model's VAE, which is about the most that the model can reach.

There are two sets of videos. ``painted`` is drawn here: several flat things that cross each other in any direction,
where the toy was trained on one thing that moves along an axis. ``natural`` is the clips of CMVC_CLIPS/train, of which
its VAE shows little more than colours. So a second table compares what the model makes, before the decoder restores
tones, with the truth through the VAE: how much closer it comes to what it can show.

The toy (``tests/toy_vace``) makes 64x64 pixels. It shows that the command does what it is for, and nothing about how
good a real model becomes.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import av
import cv2
import numpy as np
import torch
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.report import RESULTS, markdown, save
from cmvc.control import Control
from cmvc.files import whole_file
from cmvc.media.picture import Picture
from cmvc.media.rgb import Rgb, from_rgb, to_rgb
from cmvc.motion.warp import warp_segment
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import read_settings
from cmvc_decoder.diffusion.tensors import from_bytes, to_bytes
from cmvc_decoder.generator import Anchor, Conditions
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.training.log import read_rows
from cmvc_decoder.training.options import Places, TrainOptions
from cmvc_decoder.training.run import INDEX, LOSSES, Summary, make_accelerator, train
from cmvc_decoder.training.state import RECORD
from cmvc_decoder.training.stopping import Stopping
from cmvc_decoder.training.videos import HELD_OUT, Clip, choose_clips, load_index, read_clips, split
from cmvc_decoder.weights.adapters import adapter_folder, install
from tests.toy_vace.domain import COLORS

TOY = Path("tests/toy_vace/weights")
FOLDER = Path("build/benchmarks/interpolation")
SIDE, FRAMES, RATE = 64, 9, Fraction(16)
SETTINGS = {"steps": "8", "guidance": "1", "pixels": str(SIDE * SIDE)}
SHOWN = 2  # clips of each set on the sheet
SHEET_SAFE = ("painted_",)  # real clips have licences of their own, and stay out of the repository
PAINTED_VIDEOS, PAINTED_FRAMES = 48, 17
VAE, BEFORE, AFTER = "truth through the VAE", "before tuning", "after tuning"
Maker = Callable[[Rgb], Rgb]  # all frames of a clip, of which it may use the first and the last alone; to as many


@dataclass(frozen=True)
class Score:
    """How close made frames are to the truth, over the frames between two anchors and for the one in the middle."""

    psnr: float
    ssim: float
    psnr_middle: float
    ssim_middle: float


class Lines:
    """Progress, as lines on standard error."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Say so now and then."""
        if done == total or done % 50 == 0:
            print(f"{time.strftime('%H:%M:%S')} {what} {done}/{total} {note}", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        """Say so."""
        print(text, file=sys.stderr, flush=True)


def crowd(seed: int, frames: int) -> Rgb:
    """Return a video of three flat things that cross each other before a flat background, (frames, SIDE, SIDE, 3)."""
    rng = np.random.default_rng(seed)
    background, *colors = (COLORS[str(name)] for name in rng.permutation(list(COLORS))[:4])
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    video = np.empty((frames, SIDE, SIDE, 3))
    video[:] = background
    for color in colors:
        radius, speed, middle = rng.uniform(6, 14), rng.uniform(-2.5, 2.5, 2), rng.uniform(12, SIDE - 12, 2)
        is_ball = rng.random() < 0.5
        for number in range(frames):
            x, y = middle + speed * (number - (frames - 1) / 2)
            across, down = np.abs(columns - x), np.abs(rows - y)
            away = np.hypot(across, down) if is_ball else np.maximum(across, down)
            video[number] += np.clip(radius + 0.5 - away, 0, 1)[..., None] * (np.array(color) - video[number])
    return np.rint(video).astype(np.uint8)


def write_crowds(folder: Path, count: int = PAINTED_VIDEOS) -> Path:
    """Write the painted videos, without loss, unless they are there; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        path = folder / f"painted_{seed:02d}.mkv"
        if path.exists():
            continue
        with whole_file(path) as file, av.open(file, "w", format="matroska") as container:
            stream = container.add_stream("ffv1", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
            for picture in crowd(seed, PAINTED_FRAMES):
                container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    return folder


def psnr(a: Rgb, b: Rgb) -> float:
    """Return the PSNR of two pictures, over all channels, in dB."""
    return float(10 * np.log10(255**2 / max(float(np.mean((a.astype(np.float64) - b) ** 2)), 1e-3)))


def ssim(a: Rgb, b: Rgb) -> float:
    """Return the SSIM of two pictures' luma (Wang et al. 2004: Gaussian window of 11, deviation 1.5)."""
    x, y = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float64) for each in (a, b))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float64)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def score(truth: Rgb, made: Rgb) -> Score:
    """Compare what lies between the anchors."""
    middle, between = FRAMES // 2, range(1, FRAMES - 1)
    return Score(
        fmean(psnr(truth[n], made[n]) for n in between),
        fmean(ssim(truth[n], made[n]) for n in between),
        psnr(truth[middle], made[middle]),
        ssim(truth[middle], made[middle]),
    )


def blended(truth: Rgb) -> Rgb:
    """Blend the anchors."""
    shares = np.linspace(0, 1, FRAMES)[:, None, None, None]
    return np.asarray(np.rint(truth[0] * (1 - shares) + truth[-1] * shares), np.uint8)


def warped(truth: Rgb) -> Rgb:
    """Warp the anchors as the embedded profile does."""
    first, last = from_rgb(truth[0], 1), from_rgb(truth[-1], 1)
    pictures = warp_segment([(0, first), (FRAMES - 1, last)], None, FRAMES)
    return np.stack([to_rgb(picture, 1) for picture in pictures])


def through_vae(store: Path) -> Maker:
    """Return what sends the truth through the VAE."""
    vae = WanVace().load(store / WanVace.facts.id, SpeedOptions()).vae

    def maker(truth: Rgb) -> Rgb:
        with torch.inference_mode():
            latents = vae.encode((from_bytes(truth) * 2 - 1).transpose(0, 1)[None]).latent_dist.mode()
            return to_bytes((vae.decode(latents).sample[0].transpose(0, 1) + 1) / 2)

    return maker


def decoded(store: Path, adapter: str) -> Maker:
    """Return what decodes an IT2V segment between two anchors, the second of which is the next segment's."""
    generator = make_generator(WanVace.facts.id, store, SpeedOptions())

    def maker(truth: Rgb) -> Rgb:
        anchors = tuple(Anchor(n, from_rgb(truth[n], 1)) for n in (0, FRAMES - 1))
        conditions = Conditions(
            mode=common_pb2.MODE_IT2V,
            width=SIDE,
            height=SIDE,
            frames=FRAMES - 1,
            frame_rate=RATE,
            seed=1,
            anchors=anchors,
            settings=SETTINGS,
            adapter=adapter,
        )
        made = [item for item in generator.generate(conditions, Control()) if isinstance(item, Picture)]
        return np.stack([to_rgb(picture, 1) for picture in (*made, anchors[1].picture)])

    return maker


def undecoded(store: Path, adapter: str) -> Maker:
    """Return what makes the same frames with the stock loader of adapters, before the decoder restores anything."""
    profile, folder = WanVace(), store / WanVace.facts.id
    pipe = profile.load(folder, SpeedOptions())
    if adapter:
        pipe.load_lora_weights(str(adapter_folder(folder, adapter)))
    settings = read_settings(SETTINGS, profile.defaults, profile.samplers)

    def maker(truth: Rgb) -> Rgb:
        known = {n: truth[n] for n in (0, FRAMES - 1)}
        window = Window("", FRAMES, SIDE, SIDE, RATE, torch.Generator().manual_seed(1), known)
        return profile.run(pipe, [window], settings, lambda _done, _total: None)[0]

    return maker


@dataclass(frozen=True)
class Work:
    """One set of videos: its name, its folder, and where its run is."""

    name: str
    videos: Path
    options: TrainOptions

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return FOLDER / self.name


def trained(work: Work, store: Path) -> Summary:
    """Train, and install the adapter; a run that is there is gone on with."""
    places = Places(work.videos, work.out, store, 100, 50, "cpu", "float32", gradient_checkpointing=False)
    with Stopping() as stopping:
        accelerator = make_accelerator(work.options, places)
        resume = (work.out / RECORD).exists()
        summary = train(work.options, places, accelerator, stopping=stopping, show=Lines(), resume=resume)
    install((work.out / work.options.name).resolve(), store)
    return summary


def make_store() -> Path:
    """Return a model store that has the toy."""
    store = FOLDER / "models"
    weights = store / WanVace.facts.id / "pipeline"
    weights.parent.mkdir(parents=True, exist_ok=True)
    if not weights.is_symlink():
        weights.symlink_to(TOY.resolve())
    return store


def held_out(work: Work) -> Iterator[tuple[Clip, Rgb]]:
    """Yield the held-out clips."""
    options = work.options
    _, apart = split(load_index(work.out / INDEX), FRAMES, options.held_out, options.seed)
    clips = choose_clips(apart, options.held_out_clips, FRAMES, (SIDE, SIDE), (options.seed, HELD_OUT))
    for video in apart:
        here = [clip for clip in clips if clip.video == video]
        yield from read_clips(work.videos, here, FRAMES, (SIDE, SIDE), lambda: None)


def draw_sheet(shown: Sequence[tuple[str, dict[str, Rgb]]], path: Path) -> None:
    """Draw the frames of some clips, a row for each method, as PNG."""
    cell, label, gap, head = 96, 190, 3, 22
    rows = sum(len(made) for _, made in shown)
    size = label + FRAMES * (cell + gap), rows * (cell + gap) + len(shown) * head
    sheet = Image.new("RGB", size, "white")
    pen, top = ImageDraw.Draw(sheet), 0
    for name, made in shown:
        pen.text((4, top + 5), f"{name}, {FRAMES} frames; the first and the last are given", "black")
        top += head
        for method, frames in made.items():
            pen.text((4, top + cell // 2 - 6), method, "black")
            for number, frame in enumerate(frames):
                large = Image.fromarray(frame).resize((cell, cell), Image.Resampling.NEAREST)
                sheet.paste(large, (label + number * (cell + gap), top))
            top += cell + gap
    sheet.quantize(256).save(path, optimize=True)


def row(method: str, found: Sequence[Score]) -> list[object]:
    """Return the mean scores of a method as cells."""
    cells = [fmean(getattr(each, name) for each in found) for name in ("psnr", "ssim", "psnr_middle", "ssim_middle")]
    return [method, *(f"{cell:.3f}" if number % 2 else f"{cell:.2f}" for number, cell in enumerate(cells))]


def report(
    work: Work, summary: Summary, scores: dict[str, list[Score]], own: dict[str, list[Score]], cpu_seconds: int
) -> str:
    """Return the tables of one set and what they are about."""
    options, (before, after) = work.options, (scores[method] for method in (BEFORE, AFTER))
    better = sum(a.psnr_middle > b.psnr_middle for a, b in zip(after, before, strict=True))
    columns = ["PSNR, dB", "SSIM", "PSNR of the middle", "SSIM of the middle"]
    return "\n\n".join(
        [
            f"## {work.name}",
            f"Rank {options.rank}, {summary.steps} steps of {options.batch} clips; {summary.clips} clips of "
            f"{summary.videos} videos, {summary.held_out_clips} held-out clips of {summary.held_out_videos} others. "
            f"All of it, from looking through the videos to the adapter, took {cpu_seconds} s of one core. "
            f"Held-out loss {summary.held_out_before:.4f} before and {summary.held_out_after:.4f} after. The middle "
            f"frame came closer to the truth in {better} of {len(after)} held-out clips.",
            markdown(["decoded, against the truth", *columns], [row(*each) for each in scores.items()]),
            markdown(["model's own, against the VAE's truth", *columns], [row(*each) for each in own.items()]),
        ]
    )


def measured(work: Work, store: Path) -> tuple[str, dict[str, Any], list[tuple[str, dict[str, Rgb]]]]:
    """Train and compare; return the report, the data, and clips for the sheet."""
    cpu = time.process_time()  # nothing where a run was there already
    summary = trained(work, store)
    cpu_seconds = round(time.process_time() - cpu)
    makers: dict[str, Maker] = {
        VAE: through_vae(store),
        "blend of the anchors": blended,
        "embedded profile's warp": warped,
        BEFORE: decoded(store, ""),
        AFTER: decoded(store, work.options.name),
    }
    raw = {BEFORE: undecoded(store, ""), AFTER: undecoded(store, work.options.name)}
    scores: dict[str, list[Score]] = {method: [] for method in makers}
    own: dict[str, list[Score]] = {method: [] for method in raw}
    shown: dict[str, dict[str, Rgb]] = {}
    for clip, truth in held_out(work):
        made = {method: maker(truth) for method, maker in makers.items()}
        for method, frames in made.items():
            scores[method].append(score(truth, frames))
        for method, maker in raw.items():
            own[method].append(score(made[VAE], maker(truth)))
        name = Path(clip.video.path).stem
        if name.startswith(SHEET_SAFE) and len(shown) < SHOWN:
            shown.setdefault(name, {"truth": truth, **made})
    losses = [asdict(each) for each in read_rows(work.out / LOSSES, summary.steps) if each.held_out_loss is not None]
    data = {
        "options": work.options.to_json(),
        "summary": summary.to_json(),
        "cpu_seconds": cpu_seconds,
        "held_out_losses": losses,
        "decoded": {method: [asdict(each) for each in found] for method, found in scores.items()},
        "own": {method: [asdict(each) for each in found] for method, found in own.items()},
    }
    return report(work, summary, scores, own, cpu_seconds), data, list(shown.items())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interpolation")
    clips = Path(os.environ.get("CMVC_CLIPS", "../shared/clips")) / "train"
    parser.add_argument("--videos", type=Path, default=clips, help="folder of the natural set; left out where absent")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--fresh", action="store_true", help="train again where a run is there")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    options = TrainOptions(
        profile=WanVace.facts.id, name="painted", rank=8, alpha=8.0, steps=asked.steps, batch=8, accumulate=1,
        learning_rate=2e-3, frames=FRAMES, width=SIDE, height=SIDE, clips=asked.clips, held_out=0.15,
        held_out_clips=24, captions=False, seed=0,
    )  # fmt: skip
    works = [Work("painted", write_crowds(Path("build/benchmarks/painted")), options)]
    if asked.videos.is_dir():
        works.append(Work("natural", asked.videos, replace(options, name="natural")))
    store = make_store()
    found = [measured(work, store) for work in works]
    RESULTS.mkdir(parents=True, exist_ok=True)
    draw_sheet([each for _, _, shown in found for each in shown], RESULTS / "interpolation.png")
    head = f"Toy checkpoint (tests/toy_vace), {SIDE}x{SIDE}, {FRAMES} frames of which the first and the last are given."
    text = "\n\n".join([head, *(each for each, _, _ in found)])
    save("interpolation", text, {work.name: data for work, (_, data, _) in zip(works, found, strict=True)})


if __name__ == "__main__":
    main()
