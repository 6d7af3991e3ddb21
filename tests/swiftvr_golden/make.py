"""Makes ``golden.npz``: what the authors' own code makes of the toys in this folder.

    git clone https://github.com/H-oliday/SwiftVR  # at 7cb5de2, the commit that the file was made with
    python tests/swiftvr_golden/make.py SwiftVR

Their runner makes the frames, with its chunks, its state and its padding; only reading and writing video files is put
aside. Frames are taken as it hands them to its writer, as float32.
"""

import sys
import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from unittest.mock import MagicMock

import diffusers.models.attention  # noqa: F401  # before the libraries that are put aside below, which it looks for
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import swiftvr_golden as toy


def authors(checkout: Path) -> types.SimpleNamespace:
    """Return the modules of the checkout. Their package imports video libraries, which nothing here needs."""
    sys.path.insert(0, str(checkout))
    package = types.ModuleType("swiftvr")
    package.__path__ = [str(checkout / "swiftvr")]
    sys.modules |= {"swiftvr": package, "decord": MagicMock(), "imageio": MagicMock()}
    parts = ("models", "runner", "streaming")
    return types.SimpleNamespace(**{name: import_module(f"swiftvr.{name}") for name in parts})


def filled(model: torch.nn.Module, draw: Callable) -> tuple[torch.nn.Module, float]:
    """Return a model with drawn weights, and their check."""
    weights = draw({name: tuple(each.shape) for name, each in model.state_dict().items()})
    model.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()}, strict=True)
    return model.eval(), toy.check(weights)


def made(code: types.SimpleNamespace, case: toy.Case) -> tuple[np.ndarray, float]:
    """Return the frames of a case, (frames, 3, height, width) 0..1, and the check of the weights."""
    vae, first = filled(code.models.ReAE(width_mult=1, latent_channels=toy.LATENT_CHANNELS), toy.autoencoder)
    transformer, second = filled(
        code.models.WanTransformer3DModel(**toy.TRANSFORMER, self_attn_window_hw=toy.WINDOW), toy.transformer
    )
    transformer.prepare_for_inference(attention_backend="sdpa", use_torch_compile=False)
    video, taken = torch.from_numpy(toy.pictures(case)), []

    def clips(_path, clip_len, total_frames, **_sizes):
        for spec in code.streaming.build_chunk_specs(total_frames, clip_len):
            yield spec, video[spec.frame_start : spec.frame_start + spec.frame_count]

    def keep(frames, *_place, **_names):
        taken.append(frames[0].numpy())
        return len(taken[-1]), len(taken[-1])

    code.runner.iter_video_clips_fixed_scheme = clips
    code.runner.append_chunk_to_png_dir = keep
    code.runner.run_pipeline(
        video_path="",
        final_output_path="",
        png_output_dir="",
        tae_stream=code.streaming.StreamingTAE(vae),
        dit_stream=code.streaming.StreamingDiT(transformer, overlap=0),
        prompt_emb=torch.from_numpy(toy.prompt()),
        device=torch.device("cpu"),
        dtype=torch.float32,
        total_frames=case.frames,
        clip_len=case.chunk,
        lq_h=case.height,
        lq_w=case.width,
        out_h=case.height,
        out_w=case.width,
        pad_h=0,
        pad_w=0,
        upscale_mode="bilinear",
        source_fps=24,
        png_save=True,
        quality=85,
        verbose=False,
    )
    return np.concatenate(taken), first + second


def main() -> None:
    """Write the file and say what is in it."""
    code, found = authors(Path(sys.argv[1])), {}
    for name, case in toy.CASES.items():
        frames, found[toy.CHECK] = made(code, case)
        assert len(frames) == case.frames
        found[name] = toy.sampled(frames)
        ends = np.mean((frames == 0) | (frames == 1))
        print(
            f"{name}: {found[name].shape}, mean {frames.mean():.3f}, deviation {frames.std():.3f}, {ends:.0%} clipped"
        )
    np.savez_compressed(toy.GOLDEN, **found)
    print(f"{toy.GOLDEN}: {toy.GOLDEN.stat().st_size} bytes")


if __name__ == "__main__":
    main()
