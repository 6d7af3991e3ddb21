"""Samplers of models that predict flow, with all that shapes their times: nothing of it is read from downloaded files.

| name | what | of 1000, for 4 steps and a shift of 5 |
|---|---|---|
| ``unipc`` | a multistep solver, for models as they were trained | 999, 937, 833, 625 |
| ``lcm`` | to the clean video and back into new noise, down to a small last step | 1000, 910, 717, 25 |
| ``dmd`` | likewise, at even shares of the way: for models distilled by matching distributions | 1000, 938, 833, 625 |

A time t of 0..1 is shifted to s t / (1 + (s - 1) t). (Zhao et al. 2023, "UniPC"; Luo et al. 2023, "Latent Consistency
Models"; Yin et al. 2024, "Improved Distribution Matching Distillation".)
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import FlowMatchLCMScheduler, UniPCMultistepScheduler

from cmvc_decoder.diffusion.settings import Settings

UNIPC, LCM, DMD = "unipc", "lcm", "dmd"
TRAINED = 1000  # times that models were trained at
_SHIFTS = {UNIPC: 3.0, LCM: 5.0, DMD: 5.0}  # of Wan at 480 lines, and of its few-step adapters: their model cards


def shift_of(settings: Settings) -> float:
    """Return the shift of the times that a run with ``settings`` visits."""
    return settings.shift or _SHIFTS[settings.sampler or UNIPC]


def flow_scheduler(settings: Settings, noise: Sequence[torch.Generator]) -> Any:
    """Return the scheduler of one run.

    Args:
        settings: ``sampler``, "" for ``unipc``; ``shift``, 0 for that sampler's own.
        noise: of each video of the batch: what new noise is drawn from.
    """
    name, shift = settings.sampler or UNIPC, shift_of(settings)
    if name == UNIPC:
        return UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=TRAINED, flow_shift=shift
        )
    made: _NewNoise = (_NewNoise if name == LCM else _EvenShares)(num_train_timesteps=TRAINED, shift=shift)
    made.noise = list(noise)
    return made


class _NewNoise(FlowMatchLCMScheduler):  # type: ignore[misc]  # diffusers has no types
    """The scheduler whose new noise follows from the windows' own: pipelines of video models hand over no generator."""

    noise: list[torch.Generator]

    def step(self, model_output: Any, timestep: Any, sample: Any, *, return_dict: bool = True) -> Any:
        """Return the latents at the next time; see ``FlowMatchLCMScheduler.step``."""
        return super().step(model_output, timestep, sample, self.noise, return_dict)


class _EvenShares(_NewNoise):
    """Likewise, at even shares of the way, shifted."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Set the times of so many steps."""
        shares = [1 - step / num_inference_steps for step in range(num_inference_steps)]
        super().set_timesteps(sigmas=shares, device=device)
