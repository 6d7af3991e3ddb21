"""The denoiser of SwiftVR: Wan 2.2's transformer with attention within windows, and time that goes on between chunks.

Its checkpoint has the names and shapes of ``WanTransformer3DModel``, loads into that, and is then wrong without a word:
windows and times have no weights. The defaults are the published model's (``transformer/config.json``, which does not
name the windows: they are a default of the authors' code).
"""

from typing import Any

import torch
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

from cmvc_decoder.generators.swiftvr.windows import windows


class SwiftVrTransformer(WanTransformer3DModel):  # type: ignore[misc]  # diffusers has no types
    """Predicts what is wrong with the latents of a chunk, for one that goes on from others."""

    # Of the parent, at its defaults: a saved config has what this constructor takes and no more.
    ignore_for_config = ("qk_norm", "image_dim", "added_kv_proj_dim", "pos_embed_seq_len")

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 24,
        attention_head_dim: int = 128,
        in_channels: int = 48,
        out_channels: int = 48,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 14336,
        num_layers: int = 30,
        cross_attn_norm: bool = True,
        eps: float = 1e-6,
        rope_max_seq_len: int = 1024,
        window: tuple[int, int] = (16, 16),
    ) -> None:
        """Build the layers, with random weights.

        Args:
            patch_size: frames, rows and columns of latents that one token stands for.
            num_attention_heads: of a layer.
            attention_head_dim: channels of each.
            in_channels: of latents.
            out_channels: likewise, of what is predicted.
            text_dim: channels of the prompt embedding.
            freq_dim: sinusoids of the timestep.
            ffn_dim: channels within feed-forward layers.
            num_layers: of blocks; the windows of every second one are shifted.
            cross_attn_norm: whether there is a norm before attention to the prompt.
            eps: of norms.
            rope_max_seq_len: places along each side, and in time, that can be told apart.
            window: height and width, in tokens.
        """
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            cross_attn_norm=cross_attn_norm,
            eps=eps,
            rope_max_seq_len=rope_max_seq_len,
        )
        self.rope = PlacesAndWindows(attention_head_dim, patch_size, rope_max_seq_len, window)
        for number, block in enumerate(self.blocks):
            block.attn1.set_processor(WindowedAttention(shifted=bool(number % 2)))

    def forward(self, latents: Any, timestep: Any, prompt: Any, first_frame: int) -> Any:
        """Return the prediction, shaped as ``latents``.

        Args:
            latents: (videos, channels, frames, height, width); height and width divide by the patch's.
            timestep: of the diffusion, (videos).
            prompt: embeddings, (videos, tokens, channels).
            first_frame: place of the first latent frame in the whole video.
        """
        self.rope.first_frame = first_frame
        return super().forward(latents, timestep, prompt, return_dict=False)[0]


class PlacesAndWindows(WanRotaryPosEmbed):  # type: ignore[misc]  # diffusers has no types
    """The rotary embedding of a chunk, and with it, as blocks hand that on to their attention, its windows."""

    def __init__(self, head: int, patch: tuple[int, int, int], most: int, window: tuple[int, int]) -> None:
        """Compute the angles of up to ``most`` places for heads of so many channels."""
        super().__init__(head, patch, most)
        self.first_frame = 0
        self._window = window[0], window[1]

    def forward(self, latents: Any) -> tuple[Any, ...]:
        """Return cosines and sines, (tokens, channels), then count, gather and owner of plain and shifted windows."""
        frames, height, width = (side // unit for side, unit in zip(latents.shape[2:], self.patch_size, strict=True))
        size, device = (frames, height, width), latents.device
        found = [windows(size, self._window, shifted, device) for shifted in (False, True)]
        layouts = [(each.count, each.gather, each.owner) for each in found]
        return self._angles(self.freqs_cos, *size), self._angles(self.freqs_sin, *size), *layouts

    def _angles(self, table: Any, frames: int, height: int, width: int) -> Any:
        time, row, column = table.split([self.t_dim, self.h_dim, self.w_dim], dim=1)
        parts = (
            time[self.first_frame : self.first_frame + frames, None, None],
            row[None, :height, None],
            column[None, None, :width],
        )
        return torch.cat([part.expand(frames, height, width, -1) for part in parts], dim=-1).flatten(0, 2)


class WindowedAttention:
    """Computes the self-attention of a block within windows, each as one dense call of any attention kernel."""

    _attention_backend = None  # set by diffusers' ``set_attention_backend``
    _parallel_config = None

    def __init__(self, *, shifted: bool) -> None:
        """Choose which windows."""
        self._shifted = shifted

    def __call__(self, attn: Any, tokens: Any, _text: None, _mask: None, rotary_emb: tuple[Any, ...]) -> Any:
        """Return what attention makes of the tokens, (videos, tokens, channels), before it is added to them.

        Args:
            attn: the layer, with its projections.
            tokens: of all frames of a chunk.
            rotary_emb: what ``PlacesAndWindows`` returns.
        """
        cos, sin, plain, shifted = rotary_emb
        count, gather, owner = shifted if self._shifted else plain
        query, key, value = (
            part.unflatten(2, (attn.heads, -1))
            for part in (attn.norm_q(attn.to_q(tokens)), attn.norm_k(attn.to_k(tokens)), attn.to_v(tokens))
        )
        query, key = (apply_rotary_emb(part, (cos, sin), sequence_dim=1) for part in (query, key))
        query, key, value = (part[:, gather].unflatten(1, (count, -1)).flatten(0, 1) for part in (query, key, value))
        made = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        made = made.unflatten(0, (-1, count)).flatten(1, 2)[:, owner].flatten(2)
        return attn.to_out[0](made)
