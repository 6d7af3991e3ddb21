"""The command ``cmvc-train-interpolation``.

Exit codes are those of ``cmvc``: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Never

import click

from cmvc.cli.messages import print_error
from cmvc.errors import CancelledError, CmvcError, MissingServiceError
from cmvc_decoder.training.options import Places, TrainOptions
from cmvc_decoder.training.registry import DEFAULT_PROFILE, task_of
from cmvc_decoder.training.shown import Shown
from cmvc_decoder.training.stopping import Stopping
from cmvc_decoder.weights.adapters import MOST_RANK, checked_name, install
from cmvc_decoder.weights.store import DEFAULT_ROOT, ModelStore

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_FAILED, _SIGNALLED = 1, 128


def _size(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Return width and height, in pixels."""
    match = _SIZE.fullmatch(text or "")
    if text is not None and (not match or not int(match[1]) * int(match[2])):
        raise click.BadParameter(f"'{text}' is no size; write WIDTHxHEIGHT in pixels, such as 832x480")
    return (int(match[1]), int(match[2])) if match else None


def _count(least: int, most: int | None = None) -> click.IntRange:
    return click.IntRange(least, most)


_OPTIONS = (
    click.option("--videos", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
                 help="Folder of videos, searched with the folders in it."),
    click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False),
                 help="Folder of the run: saved states, losses, encoded clips, and the adapter."),
    click.option("--models", envvar="CMVC_MODELS", type=click.Path(path_type=Path, file_okay=False),
                 help=f"Model store.  [default: {DEFAULT_ROOT}]"),
    click.option("--profile", default=DEFAULT_PROFILE, show_default=True, help="Whose model to tune."),
    click.option("--name", default="interpolation", show_default=True, help="Of the adapter."),
    click.option("--rank", default=8, show_default=True, type=_count(1, MOST_RANK), help="Of the adapter's matrices."),
    click.option("--alpha", type=click.FloatRange(0, min_open=True),
                 help="Their weight is alpha / rank.  [default: rank]"),
    click.option("--steps", default=2000, show_default=True, type=_count(1), help="Of the optimizer."),
    click.option("--batch", default=1, show_default=True, type=_count(1), help="Clips at a time on each device."),
    click.option("--accumulate", default=4, show_default=True, type=_count(1), help="Batches that make one step."),
    click.option("--learning-rate", default=1e-4, show_default=True, type=click.FloatRange(0, min_open=True),
                 help="At its highest; a warm-up before, a cosine after it."),
    click.option("--frames", type=_count(2), help="Of a clip, both anchors included.  [default: 49, or the most]"),
    click.option("--size", metavar="WxH", callback=_size,
                 help="Of a clip in pixels.  [default: the profile's own at 16:9]"),
    click.option("--clips", default=512, show_default=True, type=_count(1), help="Cut out of the videos to train on."),
    click.option("--held-out", default=0.15, show_default=True, type=click.FloatRange(0, 1, max_open=True),
                 help="Share of the videos to measure on, not trained on."),
    click.option("--held-out-clips", default=24, show_default=True, type=_count(1), help="Cut out of those."),
    click.option("--captions", is_flag=True, help="Take clip.txt beside clip.mp4 as its caption."),
    click.option("--seed", default=0, show_default=True, type=_count(0), help="Of all that is drawn by chance."),
    click.option("--save-every", default=250, show_default=True, type=_count(1), help="Steps between saved states."),
    click.option("--evaluate-every", default=100, show_default=True, type=_count(1),
                 help="Steps between held-out losses."),
    click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"])),
    click.option("--dtype", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bfloat16"]),
                 help="Of the weights that are not tuned; auto: bfloat16 on a GPU, float32 elsewhere."),
    click.option("--gradient-checkpointing", is_flag=True, help="Less memory, a third more time."),
    click.option("--resume", is_flag=True, help="Go on with the run in --out, given the same options."),
    click.option("--install", "installs", is_flag=True, help="Copy the adapter into the model store at the end."),
    click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON."),
)  # fmt: skip


def _with_options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("cmvc-train-interpolation", context_settings={"help_option_names": ["-h", "--help"]})
@_with_options
@click.pass_context
def command(context: click.Context, /, resume: bool, installs: bool, as_json: bool, **texts: Any) -> None:
    """Tune an adapter (LoRA) that has a video generator fill the frames between two anchors.

    Ctrl-C and SIGTERM save the run; --resume goes on with it, as if it had not been stopped.
    """
    with Stopping() as stopping:
        try:
            options, places = _read(texts)
            summary = _train(options, places, stopping, resume=resume)
            if installs and summary["label"]:
                install(places.out / options.name, places.models)
        except CancelledError as error:
            print_error(error.reason, str(error))
            context.exit(_SIGNALLED + stopping.number)
        except CmvcError as error:
            print_error(error.reason, str(error))
            context.exit(_FAILED)
        except OSError as error:
            print_error("IO_ERROR", f"{error}; check the path and the space left on the device")
            context.exit(_FAILED)
    if summary["label"]:  # the main process of several
        _say(summary, places, installed=installs, as_json=as_json)


def _read(texts: dict[str, Any]) -> tuple[TrainOptions, Places]:
    """Return the options, with the profile's own where none were given."""
    grid = _task(texts["profile"]).profile.facts.grid
    from cmvc_decoder.diffusion.grid import native_size  # noqa: PLC0415

    width, height = texts.pop("size") or native_size(16, 9, grid)
    frames = texts.pop("frames") or grid.frames.at_least(49)  # two seconds at 24 frames/s, as segments are
    alpha = texts.pop("alpha") or float(texts["rank"])
    checked_name(texts["name"])
    models = ModelStore(texts.pop("models")).root
    names = ("videos", "out", "save_every", "evaluate_every", "device", "dtype", "gradient_checkpointing")
    places = Places(models=models, **{name: texts.pop(name) for name in names})
    return TrainOptions(width=width, height=height, frames=frames, alpha=alpha, **texts), places


def _task(profile: str) -> Any:
    try:
        return task_of(profile)
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"training needs {missing.name}, which is not installed; in a checkout run: pip install -c constraints.txt "
            "'.[cli]' './services/decoder[training]'"
        ) from None


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
