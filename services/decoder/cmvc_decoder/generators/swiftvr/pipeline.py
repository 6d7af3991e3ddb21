"""Restoration of videos, chunk by chunk: encoder, one step of the denoiser, decoder.

The encoder gives 4 frames one latent; the decoder makes the frames 4k - 3 to 4k of latent k, so that frame 0 has a
latent of its own and a first chunk is longer by 4. Encoder and decoder remember frames from one chunk to the next; the
denoiser sees a chunk alone and is told where it stands. A last chunk is filled up in two places, as in the authors'
code: its last frame is repeated for the encoder, and latents of the chunk before, not yet denoised, stand before its
own in the denoiser (zeros where there was none).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from diffusers import DiffusionPipeline

from cmvc.media.rgb import Rgb
from cmvc_decoder.diffusion.remembering import Memory
from cmvc_decoder.diffusion.tensors import from_bytes
from cmvc_decoder.generators.swiftvr.autoencoder import FRAMES_PER_LATENT

CHUNK = 24  # frames
TIMESTEP = 1000.0  # where flow matching starts: its whole way is one step


class SwiftVrPipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers has no types
    """Denoiser, autoencoder and the prompt that it was trained with."""

    def __init__(self, transformer: Any, vae: Any, prompt: torch.Tensor) -> None:
        """Take over the parts.

        Args:
            transformer: a ``SwiftVrTransformer``.
            vae: a ``SwiftVrAutoencoder``.
            prompt: embedding, (tokens, channels).
        """
        super().__init__()
        self.register_modules(transformer=transformer, vae=vae, prompt=prompt)

    def __call__(self, guides: Sequence[Rgb], chunk: int = CHUNK) -> Iterator[torch.Tensor]:
        """Yield the frames of each chunk, (videos, frames, 3, height, width) RGB, 0..1, on the models' device.

        Args:
            guides: videos to restore, each (frames, height, width, 3) RGB, 0..255; all of 4k + 1 frames of one size,
                which divides by 32.
            chunk: frames of one that is neither first nor last; divides by 4.
        """
        yield from self.decoded(self.restored(guides, chunk))

    @torch.inference_mode()
    def restored(self, guides: Sequence[Rgb], chunk: int = CHUNK) -> Iterator[torch.Tensor]:
        """Yield the restored latents of each chunk, (videos, channels, frames, height, width); see ``__call__``."""
        memory: Memory = {}
        before, place = None, 0
        for start, end in pairwise(borders(len(guides[0]), chunk)):
            frames = torch.stack([from_bytes(guide[start:end]) for guide in guides])
            last = end == len(guides[0])
            if last:
                frames = torch.cat([frames, frames[:, -1:].expand(-1, FRAMES_PER_LATENT - 1, -1, -1, -1)], dim=1)
            latents = self.vae.encode(frames.to(self._execution_device, self.vae.dtype), memory).transpose(1, 2)
            room = chunk // FRAMES_PER_LATENT + 1 - latents.shape[2] if last else 0
            yield self._denoised(latents, before, room, place)
            before, place = latents, place + latents.shape[2]

    @torch.inference_mode()
    def decoded(self, chunks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield the frames of each chunk of ``restored`` latents; see ``__call__``."""
        memory: Memory = {}
        for number, latents in enumerate(chunks):
            made = self.vae.decode(latents.transpose(1, 2).to(self.vae.dtype), memory)
            yield made if number else made[:, FRAMES_PER_LATENT - 1 :]

    def _denoised(self, latents: Any, before: Any, room: int, place: int) -> Any:
        """Return latents, (videos, channels, frames, height, width), restored.

        Args:
            latents: of a chunk.
            before: those of the chunk before; None where there is none.
            room: latent frames by which it is to be filled up.
            place: of its first latent frame in the video.
        """
        whole = latents
        if room > 0:
            shape = (*latents.shape[:2], room, *latents.shape[3:])
            filling = latents.new_zeros(shape) if before is None else before[:, :, -room:]
            whole = torch.cat([filling, latents], dim=2)
        whole = whole.to(self.transformer.dtype)
        videos = len(whole)
        times = torch.full((videos,), TIMESTEP, device=whole.device)
        prompt = self.prompt.to(whole.device, whole.dtype).expand(videos, -1, -1)
        wrong = self.transformer(whole, times, prompt, max(place - room, 0))
        return (whole - wrong)[:, :, -latents.shape[2] :]


def borders(frames: int, chunk: int) -> list[int]:
    """Return where chunks begin, and ``frames``, where the last ends; the first is longer by a latent's frames."""
    return [0, *range(chunk + FRAMES_PER_LATENT, frames, chunk), frames]
