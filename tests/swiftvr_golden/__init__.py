"""Toy sizes of SwiftVR: what its authors' code made of them is in ``golden.npz`` (see ``make``), and ours is held to.

Weights and pictures are drawn from seeds, so that the file holds outputs alone: of every frame one pixel in
``STRIDE`` a side, which meets every patch. ``CHECK`` in it tells numbers that are drawn otherwise from a real mistake.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).parent / "golden.npz"
CHECK = "check"
STRIDE = 17
WINDOW = (4, 4)
TRANSFORMER = {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "in_channels": 8,
    "out_channels": 8,
    "text_dim": 16,
    "freq_dim": 32,
    "ffn_dim": 64,
    "num_layers": 4,
}
LATENT_CHANNELS = 8
PROMPT = (6, 16)  # tokens, channels


@dataclass(frozen=True)
class Case:
    """A video of ``frames`` frames, worked on in chunks of ``chunk`` after a first that is longer by 4."""

    frames: int
    height: int
    width: int
    chunk: int


CASES = {
    "windows": Case(21, 288, 320, 8),  # 9x10 patches: three windows each way, in three chunks
    "chunks": Case(57, 64, 96, 24),  # chunks as long as the real ones: 28, 24 and 5 frames
    "short": Case(9, 64, 64, 24),  # all in one chunk, which has none before it
}


def pictures(case: Case) -> NDArray[np.uint8]:
    """Return the video, (frames, height, width, 3) RGB: blocks that move over a slope."""
    draws = np.random.default_rng(1)
    blocks = draws.integers(0, 256, (case.height // 8 + case.frames, case.width // 8 + 1, 3), np.uint8)
    whole = blocks.repeat(8, axis=0).repeat(8, axis=1)
    slope = np.linspace(0, 60, case.width, dtype=np.uint8)[None, :, None]
    return np.stack([whole[2 * t : 2 * t + case.height, : case.width] // 2 + slope for t in range(case.frames)])


def prompt() -> NDArray[np.float32]:
    """Return the fixed prompt embedding."""
    return np.random.default_rng(2).standard_normal(PROMPT).astype(np.float32)


def drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, NDArray[np.float32]]:
    """Return weights by name: layers keep the size of what goes through them, and no weight is without effect."""
    draws, weights = np.random.default_rng(seed), {}
    for name in sorted(shapes):
        shape = shapes[name]
        values = draws.standard_normal(shape).astype(np.float32)
        if name.endswith("bias"):
            values *= np.float32(0.1)
        elif len(shape) == 1:  # of a norm
            values = 1 + values / 10
        else:
            values *= np.float32(np.prod(shape[1:]) ** -0.5)
        weights[name] = values
    return weights


def autoencoder(shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Return the weights of an autoencoder by name, whose last layer makes tones of the middle, so that few are cut."""
    weights = drawn(shapes, 3)
    last = max((name for name in weights if name.startswith("decoder.")), key=lambda name: int(name.split(".")[1]))
    stem = last.rpartition(".")[0]
    weights[f"{stem}.bias"] += np.float32(0.5)
    weights[f"{stem}.weight"] *= np.float32(2)
    return weights


def transformer(shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a denoiser by name."""
    return drawn(shapes, 4)


def sampled(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pixels of (frames, 3, height, width) that are kept."""
    return np.ascontiguousarray(frames[:, :, ::STRIDE, ::STRIDE])


def check(weights: dict[str, NDArray[np.float32]]) -> float:
    """Return a number that is another where weights are drawn otherwise."""
    return float(sum(np.abs(each).sum(dtype=np.float64) for each in weights.values()))
