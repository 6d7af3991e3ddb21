"""``python -m benchmarks.restored_seams``: whether it shows where segments that a model restores meet.

``swiftvr`` remembers nothing from one segment to the next: its first frames are decoded as those of a video that
begins. What that does is measured with an autoencoder of the real class, small and trained here on painted videos that
move, in place of the published one; the denoiser has no say (its last layer is zero). A video is restored whole and in
segments, by the model alone and with its tones moved to the guide's, as a decoder does.
"""

import argparse
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn import functional

from benchmarks.report import RESULTS, markdown, save
from cmvc.control import Control
from cmvc.media.picture import Picture
from cmvc.media.rgb import Rgb, from_rgb, to_rgb
from cmvc.profiles.swiftvr import AUTOENCODER, PROMPT, TRANSFORMER
from cmvc.v1 import common_pb2
from cmvc_decoder.diffusion.generator import DiffusionGenerator
from cmvc_decoder.diffusion.remembering import RememberingBlock, through
from cmvc_decoder.diffusion.tensors import from_bytes, to_bytes
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.swiftvr import SwiftVr
from cmvc_decoder.generators.swiftvr.autoencoder import FRAMES_PER_LATENT, PATCH, SwiftVrAutoencoder
from cmvc_decoder.generators.swiftvr.transformer import SwiftVrTransformer
from cmvc_decoder.speed.options import SpeedOptions

RATE = Fraction(24)
SEGMENT = 48  # frames
SEGMENTS = 3
SIDE = 96  # pixels
_LATENTS = 16  # channels
_COLOURS = 3
_CLIP = 29  # frames that it is trained on at once, each clip a video that begins
_CLIP_SIDE = 64
_RATE = 4e-3


def painted(frames: int, side: int, seed: int) -> Rgb:
    """Return a video of smooth textures, one moving over another, (frames, side, side, 3) RGB."""
    draws = np.random.default_rng(seed)
    ground, patch = (
        cv2.resize(draws.integers(30, 226, (12, 12, 3), np.uint8), (4 * side, 4 * side), interpolation=cv2.INTER_CUBIC)
        for _ in range(2)
    )
    (dx, dy), (px, py) = draws.uniform(-1.5, 1.5, (2, 2))
    made = []
    for t in range(frames):
        frame = _cut(ground, side, 1.5 * side + dx * t, 1.5 * side + dy * t)
        part = _cut(patch, side // 2, side + px * t, side + py * t)
        frame[side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = part
        made.append(frame)
    return np.stack(made)


def _cut(texture: NDArray[Any], side: int, x: float, y: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.getRectSubPix(texture, (side, side), (x + side / 2, y + side / 2)), np.uint8)


@torch.no_grad()
def begin_with_means(vae: SwiftVrAutoencoder) -> None:
    """Have the first channels of all layers carry the mean colours, so that training has something to go on from.

    Other channels are as they were drawn, and blocks change nothing at first.
    """
    for layer in chain(vae.encoder, vae.decoder):
        if isinstance(layer, RememberingBlock):
            for weight in list(layer.parameters())[-2:]:  # of its last convolution
                torch.nn.init.zeros_(weight)
        elif weights := list(layer.parameters()):
            _carry(weights[0])
            for bias in weights[1:]:
                torch.nn.init.zeros_(bias)


def _carry(weight: torch.Tensor) -> None:
    """Let a layer hand on colours: of what becomes one the mean, and to all that come of one the same."""
    after, before, *sides = weight.shape
    centre = [side // 2 for side in sides]
    apart = _COLOURS * PATCH**2  # channels where each pixel of a patch has its own
    weight[: apart if after == apart else _COLOURS] = 0
    for colour in range(_COLOURS):
        pixels = range(colour * PATCH**2, (colour + 1) * PATCH**2)
        made = pixels if after == apart else [colour]
        of = pixels if before == apart else range(colour, before, after) if before % after == 0 else [colour]
        for to, source in product(made, of):
            weight[(to, source, *centre)] = 1 / len(of)


def trained(steps: int) -> tuple[SwiftVrAutoencoder, float]:
    """Return an autoencoder and its last mean error, 0..1."""
    torch.manual_seed(0)
    vae = SwiftVrAutoencoder(latent_channels=_LATENTS, encoder_width=16, decoder_widths=(32, 24, 16, 16))
    begin_with_means(vae)
    moves = torch.optim.Adam(vae.parameters(), lr=_RATE)
    slower = torch.optim.lr_scheduler.OneCycleLR(moves, _RATE, total_steps=steps)
    errors = []
    for step in range(steps):
        videos = torch.stack([from_bytes(painted(_CLIP, _CLIP_SIDE, 2 * step + k)) for k in range(2)])
        last = videos[:, -1:].expand(-1, FRAMES_PER_LATENT - 1, -1, -1, -1)
        latents = vae.encode(torch.cat([videos, last], dim=1), {})
        made = functional.pixel_shuffle(through(vae.decoder, latents, {}), PATCH)  # not clamped, as what is shown
        loss = functional.l1_loss(made[:, FRAMES_PER_LATENT - 1 :], videos)
        moves.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        moves.step()
        slower.step()
        errors.append(float(loss.detach()))
    vae.eval()
    return vae, float(np.mean(errors[-20:]))


def written(vae: SwiftVrAutoencoder, folder: Path) -> None:
    """Write the model as a store has it, with a denoiser that finds nothing wrong."""
    sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": 16, "freq_dim": 32, "ffn_dim": 32}
    transformer = SwiftVrTransformer(**sizes, in_channels=_LATENTS, out_channels=_LATENTS, num_layers=2, window=(2, 2))
    for weight in transformer.proj_out.parameters():
        torch.nn.init.zeros_(weight)
    transformer.save_pretrained(folder / "checkpoint" / TRANSFORMER)
    save_file(vae.state_dict(), folder / "checkpoint" / AUTOENCODER)
    save_file({"prompt_emb": torch.zeros(1, 6, 16)}, folder / "checkpoint" / PROMPT)


def restored(generator: DiffusionGenerator, guide: Rgb) -> Rgb:
    """Return what a decoder shows of one segment."""
    frames, height, width, _ = guide.shape
    asked = Conditions(
        common_pb2.MODE_VT2V, width, height, frames, RATE, 0, guide=tuple(from_rgb(each, 1) for each in guide)
    )
    items = generator.generate(asked, Control())
    return np.stack([to_rgb(each, 1) for each in items if isinstance(each, Picture)])


def alone(generator: DiffusionGenerator, guide: Rgb) -> Rgb:
    """Return what the model makes of one segment, of 4k + 1 frames for the model and as many as the guide for us."""
    generator.load()
    more = np.concatenate([guide, guide[-1:].repeat(-(len(guide) - 1) % FRAMES_PER_LATENT, axis=0)])
    return np.concatenate([to_bytes(part[0]) for part in generator._pipe([more])])[: len(guide)]


def row(name: str, made: Rgb, guide: Rgb) -> dict[str, object]:
    """Return how much changes from frame to frame where segments meet and elsewhere, and how far frames are off."""
    change = np.abs(np.diff(made.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))
    borders = [k * SEGMENT - 1 for k in range(1, SEGMENTS)]
    inside = np.delete(change, borders)
    off = np.abs(made.astype(np.float32) - guide).mean(axis=(1, 2, 3)).reshape(SEGMENTS, SEGMENT)
    return {
        "frames": name,
        "change inside": round(float(inside.mean()), 2),
        "most inside": round(float(inside.max()), 2),
        "change at borders": round(float(change[borders].mean()), 2),
        "times the mean": round(float(change[borders].mean() / inside.mean()), 2),
        "error of a segment's first 4 frames": round(float(off[1:, :4].mean()), 2),
        "error of all": round(float(off.mean()), 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restored_seams", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="of training")
    parser.add_argument("--videos", type=int, default=4, help="that are restored")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the report")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    vae, error = trained(options.steps)
    with tempfile.TemporaryDirectory(prefix="cmvc-seams-") as scratch:
        written(vae, Path(scratch))
        generator = DiffusionGenerator(SwiftVr(), Path(scratch), SpeedOptions())
        found = [rows_of(generator, 10_000_000 + seed) for seed in range(options.videos)]
    rows = [_mean(each) for each in zip(*found, strict=True)]
    about = (
        f"{options.videos} painted videos of {SEGMENTS} segments of {SEGMENT} frames, {SIDE}x{SIDE}; levels of 255. "
        f"Trained for {options.steps} steps, to an error of {255 * error:.1f} levels.\n\n"
    )
    table = markdown(list(rows[0]), [list(each.values()) for each in rows])
    save("restored_seams", about + table, {"steps": options.steps, "rows": rows}, options.out)


def rows_of(generator: DiffusionGenerator, seed: int) -> list[dict[str, object]]:
    """Return the rows of one video."""
    guide = painted(SEGMENTS * SEGMENT, SIDE, seed)
    parts = np.split(guide, SEGMENTS)
    in_parts = {
        "in segments, the model alone": np.concatenate([alone(generator, part) for part in parts]),
        "in segments, as shown": np.concatenate([restored(generator, part) for part in parts]),
    }
    whole = {
        "as one segment, the model alone": alone(generator, guide),
        "as one segment, as shown": restored(generator, guide),
    }
    return [row(name, made, guide) for name, made in chain([("the guide", guide)], whole.items(), in_parts.items())]


def _mean(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    numbers = {name: [each[name] for each in rows] for name in rows[0] if name != "frames"}
    return {"frames": rows[0]["frames"]} | {name: round(float(np.mean(each)), 2) for name, each in numbers.items()}  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
