"""Which frames of a shot are keyframes: the first, then wherever the picture has drifted away from the last keyframe.

A few frames per second are sampled and embedded. Once the cosine similarity to the last keyframe has fallen under a
threshold, what comes within the next second is looked at as well, and the frame that has drifted furthest becomes
the next keyframe: in the middle of a fast move the first frame under the threshold is often a blurred one on the
way. One sample alone under the threshold is taken for a flash, an eye that blinks or somebody who walks past, and
passed over, and so is a drift in a shot's last second: the keyframe would stand for hardly anything. A maximum gap
bounds the time between keyframes.

Nothing looks past the end of a window, and no frame of an earlier window becomes a keyframe later, so keyframes are
known as soon as their window is.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from cmvc.v1 import encoder_pb2
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.keyframes.embeddings import make_embedder
from cmvc_encoder.keyframes.embeddings.base import Embedder, Vectors
from cmvc_encoder.keyframes.embeddings.embedded import EmbeddedEmbedder
from cmvc_encoder.options import EncoderOptions

SAMPLES_PER_SECOND = 4
SETTLING_SAMPLES = 4  # from the first one under the threshold, among which the one that drifted furthest is sought
MAX_GAP_SECONDS = 8


@dataclass(frozen=True)
class Sample:
    """A frame that was looked at.

    Attributes:
        frame: its number in the stream.
        similarity: cosine similarity to the keyframe before it, -1..1; 1 for the first frame of the stream.
        is_keyframe: whether it became one.
        opens_shot: whether it is the first of a shot.
    """

    frame: int
    similarity: float
    is_keyframe: bool
    opens_shot: bool


class KeyframeSelector:
    """Chooses the keyframes of one stream, window by window.

    Attributes:
        embedding: name of what pictures are compared by.
        threshold: cosine similarity under which a frame may become a keyframe.
    """

    def __init__(self, embedder: Embedder, frame_rate: Fraction, threshold: float, max_gap_seconds: Fraction) -> None:
        """Start before the first window.

        Args:
            embedder: what pictures are compared by.
            frame_rate: of the windows, in frames per second.
            threshold: cosine similarity, -1..1.
            max_gap_seconds: longest time between keyframes of a shot, over 0.
        """
        self.embedding = embedder.id
        self.threshold = threshold
        self._embedder = embedder
        self._gap = max(int(max_gap_seconds * frame_rate), 1)  # frames
        self._step = max(min(round(frame_rate / SAMPLES_PER_SECOND), self._gap), 1)  # frames between samples
        self._keyframe: Vectors | None = None  # (d,) of the last keyframe
        self._last = 0  # its number
        self._next = 0  # number of the next frame to be sampled
        self._is_low = False  # whether the last sample was under the threshold and not a keyframe
        self._late: float = math.inf  # number of the frame from which on none becomes a keyframe by drifting

    def select(self, window: Window) -> tuple[int, ...]:
        """Return the positions of keyframes in the window, ascending; see ``examine``."""
        return tuple(sample.frame - window.first_frame for sample in self.examine(window) if sample.is_keyframe)

    def examine(self, window: Window) -> list[Sample]:
        """Return what was looked at in the next window, in order of frames.

        Raises:
            MissingWeightsError: the embedding's model is not on this machine, or not whole.
        """
        if window.opens_shot or self._keyframe is None:
            self._next = window.first_frame
        frames = range(self._next, window.first_frame + len(window.pictures), self._step)
        if not frames:
            return []
        self._next = frames[-1] + self._step
        end = window.first_frame + len(window.pictures)
        self._late = end - SETTLING_SAMPLES * self._step if window.closes_shot else math.inf
        pictures = [window.pictures[frame - window.first_frame] for frame in frames]
        vectors = self._embedder.embed(pictures, window.color_matrix)
        samples = []
        if window.opens_shot or self._keyframe is None:
            samples.append(self._open(frames[0], vectors[0]))
        while len(samples) < len(frames):
            samples += self._advance(frames[len(samples) :], vectors[len(samples) :])
        return samples

    def _open(self, frame: int, vector: Vectors) -> Sample:
        similarity = 1.0 if self._keyframe is None else float(self._keyframe @ vector)
        self._take(frame, vector)
        return Sample(frame, similarity, is_keyframe=True, opens_shot=True)

    def _take(self, frame: int, vector: Vectors) -> None:
        self._keyframe, self._last, self._is_low = vector, frame, False

    def _advance(self, frames: range, vectors: Vectors) -> list[Sample]:
        """Return the samples up to the next keyframe, or to the end where there is none."""
        assert self._keyframe is not None
        similarities = vectors @ self._keyframe
        chosen = self._choose(frames, similarities)
        seen = len(frames) if chosen is None else chosen + 1
        samples = [
            Sample(frames[n], float(similarities[n]), is_keyframe=n == chosen, opens_shot=False) for n in range(seen)
        ]
        if chosen is None:
            self._is_low = bool(similarities[-1] < self.threshold)
        else:
            self._take(frames[chosen], vectors[chosen])
        return samples

    def _choose(self, frames: range, similarities: Vectors) -> int | None:
        """Return which sample is the next keyframe, None where none is."""
        within = [n for n, frame in enumerate(frames) if frame - self._last <= self._gap]
        forced = within[-1] if frames[-1] + self._step - self._last > self._gap else None
        early = [n for n in within if frames[n] < self._late]
        low = similarities[: len(early)] < self.threshold
        before = np.append(self._is_low, low)[: low.size]
        drifted = np.flatnonzero(low & before)  # the second of two in a row
        if not drifted.size:
            return forced
        first = max(int(drifted[0]) - 1, 0)
        run = similarities[first : min(first + SETTLING_SAMPLES, len(early))]
        return first + int(np.argmin(run))


def embedder_of(config: encoder_pb2.KeyframeConfig, options: EncoderOptions) -> Embedder:
    """Return the embedding that ``config`` names; see ``make_embedder``."""
    return make_embedder(config.embedding or EmbeddedEmbedder.id, options)


def make_selector(config: encoder_pb2.KeyframeConfig, embedder: Embedder, frame_rate: Fraction) -> KeyframeSelector:
    """Return the selector that ``config`` asks for, defaults filled in.

    Args:
        config: how keyframes are chosen; checked (see ``cmvc.bounds``).
        embedder: the embedding that it names (see ``embedder_of``).
        frame_rate: in frames per second.
    """
    threshold = config.threshold if config.HasField("threshold") else embedder.default_threshold
    gap = Fraction(config.max_gap_ms or MAX_GAP_SECONDS * 1000, 1000)
    return KeyframeSelector(embedder, frame_rate, threshold, gap)
