"""The sampler of VideoCrafter2: DDIM over latents that shrink as noise grows."""

from typing import Any

import torch
from diffusers import DDIMScheduler
from diffusers.configuration_utils import register_to_config


class ScaledDDIMScheduler(DDIMScheduler):  # type: ignore[misc]  # diffusers has no types
    """DDIM for ``x_t = sqrt(a_t) * s_t * x_0 + sqrt(1 - a_t) * noise``.

    The scale ``s_t`` falls from 1 to ``scale_end`` over the first ``scale_steps`` timesteps and stays there. The model
    has learned noise on scaled latents, so what DDIM takes for ``x_0`` is ``s_t * x_0``: it must go on with the scale
    of the timestep that it goes to. The defaults are the published model's (``use_scale``, ``scale_b: 0.7``).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: str = "scaled_linear",
        clip_sample: bool = False,
        set_alpha_to_one: bool = False,
        steps_offset: int = 1,
        scale_end: float = 0.7,
        scale_steps: int = 400,
    ) -> None:
        """Compute the schedules.

        Args:
            num_train_timesteps: of the diffusion.
            beta_start: noise added at the first timestep.
            beta_end: noise added at the last one.
            beta_schedule: how it gets from one to the other.
            clip_sample: whether latents are kept within -1..1; these are not.
            set_alpha_to_one: whether the last step goes to no noise at all; here it goes to timestep 0.
            steps_offset: added to the timesteps of a run, which are evenly spaced from 0.
            scale_end: where the scale stays.
            scale_steps: timesteps that it takes to get there.
        """
        super().__init__(
            num_train_timesteps=num_train_timesteps,
            beta_start=beta_start,
            beta_end=beta_end,
            beta_schedule=beta_schedule,
            clip_sample=clip_sample,
            set_alpha_to_one=set_alpha_to_one,
            steps_offset=steps_offset,
        )
        self.scales = torch.full((num_train_timesteps,), scale_end)
        self.scales[:scale_steps] = torch.linspace(1, scale_end, scale_steps)

    def advance(self, noise: Any, timestep: int, sample: Any, eta: float, generator: Any) -> Any:
        """Return the latents of the timestep that follows, shaped as ``sample``.

        Args:
            noise: that the model predicts.
            timestep: of ``sample``.
            sample: latents.
            eta: 0 for deterministic DDIM, 1 for as much fresh noise as DDPM.
            generator: of the fresh noise, one for each sample.
        """
        previous = max(timestep - self.config.num_train_timesteps // self.num_inference_steps, 0)
        change = self.scales[previous] / self.scales[timestep] - 1
        out = self.step(noise, timestep, sample, eta=eta, generator=generator)
        return out.prev_sample + self.alphas_cumprod[previous].sqrt() * change * out.pred_original_sample

    def noised(self, clean: Any, noise: Any, timestep: int) -> Any:
        """Return clean latents with as much noise as those of ``timestep`` have."""
        share = self.alphas_cumprod[timestep]
        return share.sqrt() * self.scales[timestep] * clean + (1 - share).sqrt() * noise
