"""What the model of a profile is asked to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import torch

from cmvc.media.rgb import Rgb
from cmvc.profiles.profile import ModelProfile
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.speed.options import SpeedOptions

StepCallback = Callable[[int, int], None]  # (steps done, steps in all); raises to stop the work
Check = Callable[[], object]  # raises to stop the work


@dataclass(frozen=True)
class Window:
    """One run of the model: so many frames at once, all on the native grid.

    Attributes:
        prompt: the caption in one line; may be empty.
        frames: how many; the profile's ``FrameRule`` holds.
        width, height: in pixels; the profile's ``side_multiple`` holds.
        frame_rate: of these frames, in frames per second of the source's time.
        known: frames that are given, by position in the window: (height, width, 3) RGB, 0..255.
        guide: VT2V: (frames, height, width, 3) RGB, 0..255, the low-rate video at this size; None in other modes.
        noise: CPU generator, seeded from the segment and the window, so that noise is the same on every device.
    """

    prompt: str
    frames: int
    width: int
    height: int
    frame_rate: Fraction
    noise: torch.Generator
    known: dict[int, Rgb] = field(default_factory=dict)
    guide: Rgb | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, width, height."""
        return self.frames, self.width, self.height

    @property
    def shape(self) -> tuple[object, ...]:
        """What windows must share to be made in one batch, unless the profile ``mixes`` those of one size."""
        return *self.size, self.frame_rate, tuple(self.known), self.guide is not None


class DiffusionProfile(Protocol):
    """One profile: facts, loading, and one run of the model, in two stages. One file per profile implements it.

    ``denoise`` is called in one thread at a time and so is ``decode``, but one beside the other: what they share of
    ``pipe`` they leave as it is.
    """

    facts: ModelProfile
    defaults: Settings
    samplers: Mapping[str, Settings]  # that it can be told to use, each with its defaults; none for its own alone
    adapts: str  # the part of a pipeline that adapters (LoRA) change, such as ``transformer``; "" for none

    def load(self, folder: Path, speed: SpeedOptions) -> Any:
        """Return the pipeline (any object), loaded from ``folder`` (its part of the model store), ready to run.

        Raises:
            MissingWeightsError: files are not there; the message says what to run.
        """

    def tokens(self, pipe: Any, prompt: str) -> int:
        """Return how many tokens a caption is to the profile's own tokenizer, its marks of beginning and end included.

        Called where ``denoise`` is, as tokenizers are not thread-safe.
        """

    def denoiser(self, pipe: Any, settings: Settings) -> Any:
        """Return the network of ``pipe`` that a run with ``settings`` uses: the one that adapters go into.

        Called only where ``adapts`` names a part.

        Raises:
            InvalidSettingError, MissingWeightsError: see the profile.
        """

    def denoise(self, pipe: Any, windows: Sequence[Window], settings: Settings, step: StepCallback) -> Sequence[Any]:
        """Return for each window the latents that ``decode`` takes.

        Args:
            pipe: what ``load`` returned.
            windows: all of one ``Window.shape``, of one ``Window.size`` where the profile ``mixes`` them; it may make
                them in one batch.
            settings: those that shape frames.
            step: called at every denoising step; what it raises ends the run and leaves ``pipe`` usable.
        """

    def decode(self, pipe: Any, latents: Any, window: Window, settings: Settings, check: Check) -> Rgb:
        """Return the frames of one window, (frames, height, width, 3) RGB 0..255.

        Args:
            pipe: what ``load`` returned.
            latents: of ``denoise``.
            window: whose they are; its noise goes on from there.
            settings: likewise.
            check: called between parts, where it is decoded in several; what it raises ends it.
        """

    def run(self, pipe: Any, windows: Sequence[Window], settings: Settings, step: StepCallback) -> list[Rgb]:
        """Return the frames of windows, both stages one after the other; see ``denoise`` and ``decode``."""
        latents = self.denoise(pipe, windows, settings, step)
        return [
            self.decode(pipe, each, window, settings, lambda: None)
            for each, window in zip(latents, windows, strict=True)
        ]
