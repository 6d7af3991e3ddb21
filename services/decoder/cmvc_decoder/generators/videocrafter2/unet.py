"""The denoiser of VideoCrafter2: diffusers' 3D UNet and one thing that it lacks, an embedding of the frame rate.

The defaults are the published model's sizes (``configs/inference_t2v_512_v2.0.yaml`` of the original code).
"""

from typing import Any

import torch
from diffusers import UNet3DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding

_WIDTH = 4  # of the time embedding, in units of the first block's channels


class VideoCrafterUNet(UNet3DConditionModel):  # type: ignore[misc]  # diffusers has no types
    """Predicts the noise in latents of a video of a given frame rate.

    Spatial and temporal layers are those of ``UNet3DConditionModel``. The frame rate goes through sinusoids and two
    linear layers of its own (``fps_embedding``), and the result is added to the time embedding.
    """

    # Of the parent, at its defaults: a saved config has what this constructor takes and no more.
    ignore_for_config = (
        "downsample_padding",
        "mid_block_scale_factor",
        "act_fn",
        "norm_eps",
        "num_attention_heads",
        "time_cond_proj_dim",
    )

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        sample_size: tuple[int, int] | None = (40, 64),
        in_channels: int = 4,
        out_channels: int = 4,
        down_block_types: tuple[str, ...] = (*("CrossAttnDownBlock3D",) * 3, "DownBlock3D"),
        up_block_types: tuple[str, ...] = ("UpBlock3D", *("CrossAttnUpBlock3D",) * 3),
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
        cross_attention_dim: int = 1024,
        attention_head_dim: int = 64,
    ) -> None:
        """Build the layers, with random weights.

        Args:
            sample_size: height and width of the latents that it was trained with; others work.
            in_channels: of noisy latents.
            out_channels: of predicted noise.
            down_block_types: of the levels on the way down, finest first.
            up_block_types: of the levels on the way up, coarsest first.
            block_out_channels: of the levels, finest first.
            layers_per_block: residual blocks of a level on the way down; there is one more on the way up.
            norm_num_groups: of group norms.
            cross_attention_dim: of the text embedding.
            attention_head_dim: channels of an attention head.
        """
        super().__init__(
            sample_size=sample_size,
            in_channels=in_channels,
            out_channels=out_channels,
            down_block_types=down_block_types,
            up_block_types=up_block_types,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            norm_num_groups=norm_num_groups,
            cross_attention_dim=cross_attention_dim,
            attention_head_dim=attention_head_dim,
        )
        channels = block_out_channels[0]
        self.time_embedding = SummedEmbedding(channels, _WIDTH * channels)
        self.fps_embedding = TimestepEmbedding(channels, _WIDTH * channels)

    def forward(self, sample: Any, timestep: Any, encoder_hidden_states: Any, fps: int) -> Any:
        """Return the predicted noise, shaped as ``sample``.

        Args:
            sample: noisy latents, (videos, channels, frames, height, width).
            timestep: of the diffusion, 0 to 999.
            encoder_hidden_states: text embeddings, (videos, tokens, channels).
            fps: frame rate to make, in frames per second; less means that more moves from one frame to the next.
        """
        rates = torch.full((sample.shape[0],), fps, device=sample.device)
        rate = self.fps_embedding(self.time_proj(rates).to(self.dtype))
        made = super().forward(sample, timestep, encoder_hidden_states, timestep_cond=rate, return_dict=False)
        return made[0]


class SummedEmbedding(TimestepEmbedding):  # type: ignore[misc]  # diffusers has no types
    """A time embedding to which another embedding of the same size is added."""

    def forward(self, sample: Any, condition: Any) -> Any:
        """Return the sum, (videos, channels)."""
        return super().forward(sample) + condition
