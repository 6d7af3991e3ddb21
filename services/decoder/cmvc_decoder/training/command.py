"""The command ``cmvc-train-interpolation``."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Never

import click

from cmvc_decoder.training.commands import ENDS, STEPS_OF_A_RUN, VIDEOS, count, libraries, run_of, with_options
from cmvc_decoder.training.options import Places, TrainOptions
from cmvc_decoder.training.registry import DEFAULT_PROFILE, task_of
from cmvc_decoder.training.shown import Shown
from cmvc_decoder.training.stopping import Stopping
from cmvc_decoder.weights.adapters import MOST_RANK, checked_name, install
from cmvc_decoder.weights.store import DEFAULT_ROOT, ModelStore

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def _size(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Return width and height, in pixels."""
    match = _SIZE.fullmatch(text or "")
    if text is not None and (not match or not int(match[1]) * int(match[2])):
        raise click.BadParameter(f"'{text}' is no size; write WIDTHxHEIGHT in pixels, such as 832x480")
    return (int(match[1]), int(match[2])) if match else None


_OPTIONS = (
    VIDEOS,
    click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False),
                 help="Folder of the run: saved states, losses, encoded clips, and the adapter."),
    click.option("--models", envvar="CMVC_MODELS", type=click.Path(path_type=Path, file_okay=False),
                 help=f"Model store.  [default: {DEFAULT_ROOT}]"),
    click.option("--profile", default=DEFAULT_PROFILE, show_default=True, help="Whose model to tune."),
    click.option("--name", default="interpolation", show_default=True, help="Of the adapter."),
    click.option("--rank", default=8, show_default=True, type=count(1, MOST_RANK), help="Of the adapter's matrices."),
    click.option("--alpha", type=click.FloatRange(0, min_open=True),
                 help="Their weight is alpha / rank.  [default: rank]"),
    click.option("--steps", default=2000, show_default=True, type=count(1), help="Of the optimizer."),
    click.option("--batch", default=1, show_default=True, type=count(1), help="Clips at a time on each device."),
    click.option("--accumulate", default=4, show_default=True, type=count(1), help="Batches that make one step."),
    click.option("--learning-rate", default=1e-4, show_default=True, type=click.FloatRange(0, min_open=True),
                 help="At its highest; a warm-up before, a cosine after it."),
    click.option("--frames", type=count(2), help="Of a clip, both anchors included.  [default: 49, or the most]"),
    click.option("--size", metavar="WxH", callback=_size,
                 help="Of a clip in pixels.  [default: the profile's own at 16:9]"),
    click.option("--clips", default=512, show_default=True, type=count(1), help="Cut out of the videos to train on."),
    click.option("--held-out", default=0.15, show_default=True, type=click.FloatRange(0, 1, max_open=True),
                 help="Share of the videos to measure on, not trained on."),
    click.option("--held-out-clips", default=24, show_default=True, type=count(1), help="Cut out of those."),
    click.option("--captions", is_flag=True, help="Take clip.txt beside clip.mp4 as its caption."),
    *STEPS_OF_A_RUN,
    click.option("--evaluate-every", default=100, show_default=True, type=count(1),
                 help="Steps between held-out losses."),
    click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"])),
    click.option("--dtype", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bfloat16"]),
                 help="Of the weights that are not tuned; auto: bfloat16 on a GPU, float32 elsewhere."),
    click.option("--gradient-checkpointing", is_flag=True, help="Less memory, a third more time."),
    click.option("--install", "installs", is_flag=True, help="Copy the adapter into the model store at the end."),
    *ENDS,
)  # fmt: skip


@click.command("cmvc-train-interpolation", context_settings={"help_option_names": ["-h", "--help"]})
@with_options(_OPTIONS)
@click.pass_context
def command(context: click.Context, /, resume: bool, installs: bool, as_json: bool, **texts: Any) -> None:
    """Tune an adapter (LoRA) that has a video generator fill the frames between two anchors.

    Ctrl-C and SIGTERM save the run; --resume goes on with it, as if it had not been stopped.
    """
    with run_of(context) as stopping:
        options, places = _read(texts)
        summary = _train(options, places, stopping, resume=resume)
        if installs and summary["label"]:
            install(places.out / options.name, places.models)
    if summary["label"]:  # the main process of several
        _say(summary, places, installed=installs, as_json=as_json)


def _read(texts: dict[str, Any]) -> tuple[TrainOptions, Places]:
    """Return the options, with the profile's own where none were given."""
    with libraries():
        grid = task_of(texts["profile"]).profile.facts.grid
    from cmvc_decoder.diffusion.grid import native_size  # noqa: PLC0415

    width, height = texts.pop("size") or native_size(16, 9, grid)
    frames = texts.pop("frames") or grid.frames.at_least(49)  # two seconds at 24 frames/s, as segments are
    alpha = texts.pop("alpha") or float(texts["rank"])
    checked_name(texts["name"])
    models = ModelStore(texts.pop("models")).root
    names = ("videos", "out", "save_every", "evaluate_every", "device", "dtype", "gradient_checkpointing")
    places = Places(models=models, **{name: texts.pop(name) for name in names})
    return TrainOptions(width=width, height=height, frames=frames, alpha=alpha, **texts), places


def _train(options: TrainOptions, places: Places, stopping: Stopping, *, resume: bool) -> dict[str, Any]:
    from cmvc_decoder.training.run import make_accelerator, train  # noqa: PLC0415  # loads torch

    accelerator = make_accelerator(options, places)
    with Shown(quiet=not accelerator.is_main_process) as shown:
        return train(options, places, accelerator, stopping=stopping, show=shown, resume=resume).to_json()


def _say(summary: dict[str, Any], places: Places, *, installed: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**summary, "installed": installed}, indent=2))
        return
    before, after = summary["held_out_before"], summary["held_out_after"]
    held_out = f", held-out loss {before:.4f} before and {after:.4f} after" if after is not None else ""
    click.echo(f"{summary['label']}: {summary['steps']} steps in {summary['seconds']:.0f} s{held_out}")
    where = "installed" if installed else f"install it with: cmvc models install {summary['adapter']}"
    click.echo(f"adapter in {summary['adapter']}; {where}{f' --models {places.models}' if not installed else ''}")


def main() -> Never:
    """Run the command and exit."""
    sys.exit(command(prog_name="cmvc-train-interpolation"))


if __name__ == "__main__":  # for ``accelerate launch -m``
    main()
