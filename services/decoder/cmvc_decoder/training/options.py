"""What a training run is asked for."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cmvc.errors import InvalidSettingError
from cmvc.profiles.profile import NativeGrid


@dataclass(frozen=True)
class TrainOptions:
    """How to train. All of it shapes the result: a run that is resumed has to have the same.

    Attributes:
        profile: id of the profile whose model is tuned.
        name: of the adapter.
        rank: of its matrices.
        alpha: their product counts alpha / rank times.
        steps: of the optimizer.
        batch: clips at a time on each device.
        accumulate: batches whose gradients make one step.
        learning_rate: at its highest, after the warm-up.
        frames: of a clip, the two anchors included, at the model's rate.
        width, height: of a clip, in pixels.
        clips: cut out of the videos; they are gone through again and again, in another order each time.
        held_out: share of the videos that are never trained on.
        held_out_clips: cut out of those.
        captions: whether a text file beside a video is its caption.
        seed: of all that is drawn by chance.
    """

    profile: str
    name: str
    rank: int
    alpha: float
    steps: int
    batch: int
    accumulate: int
    learning_rate: float
    frames: int
    width: int
    height: int
    clips: int
    held_out: float
    held_out_clips: int
    captions: bool
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return them as a run's record has them."""
        return asdict(self)


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes, and how it runs here. May differ when a run is resumed.

    Attributes:
        videos: folder of videos, searched with the folders in it.
        out: folder of the run.
        models: root of the model store.
        save_every: steps from one saved state to the next.
        evaluate_every: steps from one held-out loss to the next.
        device: ``auto``, ``cpu`` or ``cuda``.
        dtype: of the weights that are not tuned: ``auto``, ``float32`` or ``bfloat16``.
        gradient_checkpointing: whether to compute activations again rather than keep them.
    """

    videos: Path
    out: Path
    models: Path
    save_every: int
    evaluate_every: int
    device: str
    dtype: str
    gradient_checkpointing: bool


def check_fit(options: TrainOptions, grid: NativeGrid) -> None:
    """Make sure that the model can make clips of this size and length.

    Raises:
        InvalidSettingError: it cannot.
    """
    unit, rule = grid.side_multiple, grid.frames
    if options.width % unit or options.height % unit:
        nearest = [max(round(side / unit), 1) * unit for side in (options.width, options.height)]
        raise InvalidSettingError(
            f"--size {options.width}x{options.height}: both sides have to divide by {unit} for {options.profile}; "
            f"use {nearest[0]}x{nearest[1]}"
        )
    if rule.at_least(options.frames) != options.frames:
        raise InvalidSettingError(
            f"--frames {options.frames}: {options.profile} makes {rule.multiple}k + {rule.offset} frames from "
            f"{rule.least} to {rule.most}; use {rule.at_least(options.frames)}"
        )


def check_same(options: TrainOptions, recorded: dict[str, Any], record: Path) -> None:
    """Make sure that a run is resumed as it was begun.

    Raises:
        InvalidSettingError: an option differs, so that it would be another run.
    """
    now = options.to_json()
    for each in fields(options):
        if recorded.get(each.name) != now[each.name]:
            raise InvalidSettingError(
                f"{record} was begun with {each.name}={recorded.get(each.name)}, not {now[each.name]}; resume with the "
                "same options, or begin in another --out"
            )
