"""Draws where the time of one encode goes: ``python -m benchmarks.timeline CLIP --model FOLDER``.

The spans are real: an observer notes when each stage of the pipeline ended and how long it took. Runs that a stage took
in several threads at once stand below each other.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from cmvc import process
from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.observer import NullObserver
from cmvc.settings import MODE_CHOICES, encode_config
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.pipeline import encode

STAGES = ("semantics", "keyframe", "rate")
COLORS = {"semantics": "#d95f02", "keyframe": "#1b9e77", "rate": "#c8c8d8"}


@dataclass(frozen=True)
class Span:
    """A piece of work: its stage, and when it began and ended, in seconds from the start of the encode."""

    stage: str
    start: float
    end: float


@dataclass
class Recorder(NullObserver):
    """Notes the spans of one encode; may be told from several threads."""

    began: float = field(default_factory=time.perf_counter)
    spans: list[Span] = field(default_factory=list)

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:  # noqa: ARG002
        """Note a span that has just ended."""
        end = time.perf_counter() - self.began
        self.spans.append(Span(stage, end - seconds, end))


def overlap(spans: Sequence[Span], one: str, other: str) -> float:
    """Return the seconds that both stages were at work at once, each counted once however many of its spans ran."""
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})

    def busy(stage: str, at: float) -> bool:
        return any(span.stage == stage and span.start <= at < span.end for span in spans)

    return sum(end - start for start, end in pairwise(edges) if busy(one, start) and busy(other, start))


def draw(spans: Sequence[Span], title: str, path: Path) -> None:
    """Write the timeline as a PNG."""
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    axes = figure.subplots()
    for row, stage in enumerate(STAGES):
        bars = [(span.start, span.end - span.start) for span in spans if span.stage == stage]
        axes.broken_barh(bars, (row - 0.38, 0.76), color=COLORS[stage], edgecolor="white", alpha=0.85)
    axes.set_yticks(range(len(STAGES)), ["semantics (MLLM)", "keyframe coding", "whole window"])
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.set_title(title, fontsize=10)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Encode a clip and draw its timeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--mode", choices=MODE_CHOICES, default="it2v")
    parser.add_argument("--bitrate", default="8k")
    parser.add_argument("--semantics", default="transformers")
    parser.add_argument("--model", default="")
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--out", type=Path, default=Path("docs/images/encode-timeline.png"))
    options = parser.parse_args()
    process.prepare()
    recorder = Recorder()
    models = EncoderOptions(model=options.model, endpoint=options.endpoint)
    config = encode_config(mode=options.mode, bitrate=options.bitrate, semantics=options.semantics, strict=True)
    for _ in encode(str(options.clip), config, Control(), observer=recorder, options=models):
        pass
    semantics = sum(span.end - span.start for span in recorder.spans if span.stage == "semantics")
    both = overlap(recorder.spans, "semantics", "keyframe")
    title = f"{options.clip.name}, {options.mode} at {options.bitrate}: of {semantics:.2f} s of MLLM work"
    draw(recorder.spans, f"{title} {both:.2f} s lie beside keyframe coding", options.out)
    print(f"{options.out}: {title} {both:.2f} s lie beside keyframe coding")


if __name__ == "__main__":
    main()
