"""Encoded clips on disk: the VAE and the text encoder see each clip once, however often it is trained on."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from cmvc.bitstream.text import normalise
from cmvc.files import whole_file
from cmvc_decoder.training.task import Batch, InterpolationTask, Sample, Shape
from cmvc_decoder.training.videos import Check, Clip, Video, caption_of, read_clips


class Samples:
    """The encoded clips of one set, by number, each a file."""

    def __init__(self, folder: Path, clips: Sequence[Clip]) -> None:
        """Keep them in ``folder``, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self.clips = clips
        self._folder = folder

    def __len__(self) -> int:
        """How many there are, encoded or not."""
        return len(self.clips)

    def missing(self) -> list[Clip]:
        """Return the clips that are not encoded yet."""
        return [clip for clip in self.clips if not self._path(clip.number).exists()]

    def put(self, number: int, sample: Sample) -> None:
        """Keep a clip."""
        with whole_file(self._path(number)) as file:
            file.write(save({name: each.contiguous() for name, each in sample.items()}))

    def batch(self, numbers: Sequence[int], device: torch.device) -> Batch:
        """Return clips side by side, on the device."""
        samples = [load_file(self._path(number)) for number in numbers]
        return {name: torch.stack([sample[name] for sample in samples]).to(device) for name in samples[0]}

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.safetensors"


def encode_missing(
    folder: Path,
    sets: Sequence[Samples],
    task: InterpolationTask,
    pipe: Any,
    shape: Shape,
    *,
    captions: bool,
    share: tuple[int, int],
    check: Check,
    report: Callable[[int, int], None],
) -> None:
    """Encode the clips that are not, video by video.

    Args:
        folder: of the videos.
        sets: whose clips.
        task: that encodes.
        pipe: that it encodes with.
        shape: of the clips.
        captions: whether text files beside the videos are their captions.
        share: (number, count): which of how many processes this is; each takes its share of the videos.
        check: called at every frame that is read; raises to stop.
        report: called with how many clips are done, of how many.

    Raises:
        MediaError: a video is not what it was when it was looked through.
    """
    work: dict[Video, list[tuple[Samples, Clip]]] = defaultdict(list)
    for each in sets:
        for clip in each.missing():
            work[clip.video].append((each, clip))
    mine = list(work.items())[share[0] :: share[1]]
    done, total = 0, sum(len(clips) for _, clips in mine)
    report(done, total)
    for video, found in mine:
        caption = " ".join(normalise(caption_of(folder, video)).split()) if captions else ""
        for each in sets:  # numbers are those of a set, so that a video that is in two is read twice
            clips = [clip for samples, clip in found if samples is each]
            for clip, frames in read_clips(folder, clips, shape.frames, (shape.width, shape.height), check):
                each.put(clip.number, task.encode(pipe, frames, caption))
                done += 1
                report(done, total)
