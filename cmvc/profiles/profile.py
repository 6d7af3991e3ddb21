"""What is said of each profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from cmvc.bitstream.modes import Mode
from cmvc.limits import DEFAULT_LIMITS
from cmvc.profiles.weights import FAST_VAE, Weights
from cmvc.v1 import common_pb2

_TEXT_SECONDS = 2  # of a TT2V segment, where no model says otherwise


@dataclass(frozen=True)
class FrameRule:
    """Frame counts that a model can make: ``multiple * k + offset``, from ``least`` to ``most``.

    They follow the VAE's latents in time: each stands for ``multiple`` frames, the first one for ``offset`` where that
    is not 0.
    """

    multiple: int
    offset: int
    least: int
    most: int

    def at_least(self, wanted: int) -> int:
        """Return the smallest count that is allowed and not below ``wanted``; ``most`` where there is none."""
        wanted = max(wanted, self.least)
        up = -(-(wanted - self.offset) // self.multiple) * self.multiple + self.offset
        return min(up, self.most)


def native_stride(frame_rate: Fraction, native: Fraction) -> int:
    """Return how many source frames lie from one native frame to the next: whole, so that most need no interpolation.

    At 24 frames/s a model of 16 makes every frame, at 30 every second one.
    """
    return max(ceil(frame_rate / native - Fraction(1, 2)), 1)


@dataclass(frozen=True)
class NativeGrid:
    """Sizes, frame counts and rates that a model was trained for.

    Attributes:
        pixels: of a frame, about: the aspect follows the source.
        side_multiple: by which width and height divide.
        frames: frame counts of one window.
        frame_rate: in frames per second.
        overlap: frames that a window shares with the one before.
        upscales: whether a smaller source is made with as many pixels too; without, ``pixels`` are the most.
        chunks_by: frames of the shortest window in which a model that works in chunks meets each shape of them; 0 for
            one that makes a window at once.
    """

    pixels: int
    side_multiple: int
    frames: FrameRule
    frame_rate: Fraction
    overlap: int
    upscales: bool = True
    chunks_by: int = 0

    def stride(self, frame_rate: Fraction) -> int:
        """Return how many source frames lie from one native frame to the next; see ``native_stride``."""
        return native_stride(frame_rate, self.frame_rate)

    @property
    def shaping_frames(self) -> int:
        """Frames of a window after which no other brings the model anything of a new shape."""
        return self.chunks_by or self.frames.most

    def window_frames(self, frame_rate: Fraction) -> int:
        """Return the source frames that one window of the model makes, both ends on frames that it makes itself."""
        return self.stride(frame_rate) * (self.frames.most - 1) + 1

    def continued_frames(self, frame_rate: Fraction) -> int:
        """Return the source frames of a segment that the next goes on from: a window's without the overlap."""
        return self.stride(frame_rate) * (self.frames.most - self.overlap)

    def windows(self, wanted: int) -> tuple[tuple[int, ...], int]:
        """Return the first frames of the windows that cover ``wanted`` native frames, and the frames of each."""
        rule = self.frames
        if wanted <= rule.most:
            return (0,), rule.at_least(wanted)
        count = ceil((wanted - self.overlap) / (rule.most - self.overlap))
        size = rule.at_least(ceil((wanted + (count - 1) * self.overlap) / count))
        return tuple(k * (size - self.overlap) for k in range(count)), size

    def anchor_step(self, frame_rate: Fraction) -> int:
        """Return the source frames from one place where a keyframe has a latent of its own to the next, from 0 on."""
        return self.frames.multiple * self.stride(frame_rate)


@dataclass(frozen=True)
class TritonConfig:
    """How Triton serves the model of a profile; named as in Triton's model configuration.

    Attributes:
        max_queue_size: requests that may be in line, beside those in work; more are refused.
        instances: of the model, on each GPU or on the CPU.
    """

    max_queue_size: int
    instances: int


@dataclass(frozen=True)
class Profile:
    """A way to make frames.

    Attributes:
        id: registered name; never changes.
        revision: of the code and weights that it stands for.
        modes: that it decodes.
    """

    id: str
    revision: str
    modes: tuple[Mode.ValueType, ...]

    def text_frames(self, frame_rate: Fraction) -> int:
        """Return the source frames of a TT2V segment."""
        return max(int(_TEXT_SECONDS * frame_rate), 1)

    @property
    def reads_motion(self) -> bool:
        """Whether frames are made along an IT2V segment's motion track."""
        return True

    @property
    def reads_text(self) -> bool:
        """Whether captions shape frames."""
        return True


@dataclass(frozen=True)
class ModelProfile(Profile):
    """A profile that runs a model, and so needs weights.

    Attributes:
        grid: what the model was trained for.
        steps: denoising steps, where a stream does not say.
        sampler_steps: likewise, with each sampler that a stream may name and that takes another number.
        text_tokens: of a caption that its text encoder is given; what is longer is cut. 0 where it has none.
        vram_gib: GPU memory that it takes at its native size in bfloat16 or float16, about, in GiB.
        weights: what is downloaded.
        made: folders that ``cmvc_decoder.models.convert`` makes from it.
        triton: how Triton serves it.
        mixes: whether windows of one size share a run of the model whatever they are given: frames, a guide, a rate.
        continues: whether TT2V segments of a stream go on from those before them (see ``cmvc.profiles.continuity``).
    """

    grid: NativeGrid
    steps: int
    text_tokens: int
    vram_gib: int
    weights: tuple[Weights, ...]
    made: tuple[str, ...]
    triton: TritonConfig
    sampler_steps: Mapping[str, int] = field(default_factory=dict)
    mixes: bool = False
    continues: bool = False

    def text_frames(self, frame_rate: Fraction) -> int:
        """Return the source frames of a TT2V segment: what one window of the model makes, 10 s at most."""
        own = self.grid.continued_frames if self.continues else self.grid.window_frames
        return min(own(frame_rate), max(int(DEFAULT_LIMITS.segment_seconds * frame_rate), 1))

    @property
    def restores(self) -> bool:
        """Whether the model makes nothing but better pictures of a video that it is given."""
        return not {common_pb2.MODE_TT2V, common_pb2.MODE_IT2V} & set(self.modes)

    @property
    def takes_frames(self) -> bool:
        """Whether the model can be given frames, as keyframes are."""
        return common_pb2.MODE_IT2V in self.modes

    @property
    def has_fast_vae(self) -> bool:
        """Whether there is a fast decoder of its latents (the setting ``vae=fast``)."""
        return any(each.name == FAST_VAE for each in self.weights)

    @property
    def reads_motion(self) -> bool:
        """Return False: models are given keyframes and a caption."""
        return False

    @property
    def reads_text(self) -> bool:
        """Whether it has a text encoder."""
        return self.text_tokens > 0

    def chosen(self, optional: bool) -> tuple[Weights, ...]:
        """Return the weights that it needs, and those that it can use as well if ``optional``."""
        return tuple(each for each in self.weights if optional or not each.optional)
