"""The command ``cmvc-train-restorer``.

Exit codes are those of ``cmvc``: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
"""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Never

import click

from cmvc.cli.messages import print_error
from cmvc.errors import CancelledError, CmvcError, MissingServiceError
from cmvc.process import prepare
from cmvc_decoder.training.restorer.options import RestorerOptions, RestorerPlaces
from cmvc_decoder.training.shown import Shown
from cmvc_decoder.training.stopping import Stopping

_FAILED, _SIGNALLED = 1, 128


def _count(least: int) -> click.IntRange:
    return click.IntRange(least)


_OPTIONS = (
    click.option("--videos", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
                 help="Folder of videos, searched with the folders in it."),
    click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False),
                 help="Folder of the run: pairs, saved state, losses, and the network as ONNX."),
    click.option("--steps", default=9000, show_default=True, type=_count(1), help="Of the optimizer."),
    click.option("--batch", default=16, show_default=True, type=_count(1), help="Patches of a step."),
    click.option("--learning-rate", default=2e-3, show_default=True, type=click.FloatRange(0, min_open=True),
                 help="At its highest; a warm-up before, a cosine after it."),
    click.option("--codings", default=8, show_default=True, type=_count(1),
                 help="Of each video, at scales and quantisers drawn by chance."),
    click.option("--patches", default=256, show_default=True, type=_count(1), help="Cut out of each coding."),
    click.option("--held-out", default=0.12, show_default=True, type=click.FloatRange(0, 1, min_open=True,
                 max_open=True), help="Share of the videos to measure on, not trained on."),
    click.option("--seed", default=0, show_default=True, type=_count(0), help="Of all that is drawn by chance."),
    click.option("--save-every", default=250, show_default=True, type=_count(1), help="Steps between saved states."),
    click.option("--evaluate-every", default=500, show_default=True, type=_count(1),
                 help="Steps between held-out losses."),
    click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"])),
    click.option("--threads", default=2, show_default=True, type=_count(1), help="Of the CPU."),
    click.option("--resume", is_flag=True, help="Go on with the run in --out, given the same options."),
    click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON."),
)  # fmt: skip


def _with_options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("cmvc-train-restorer", context_settings={"help_option_names": ["-h", "--help"]})
@_with_options
@click.pass_context
def command(context: click.Context, /, resume: bool, as_json: bool, **given: Any) -> None:
    """Train the network that corrects what VT2V decodes, on pairs made with this project's AV1 settings.

    Ctrl-C and SIGTERM save the run; --resume goes on with it, as if it had not been stopped.
    """
    options = RestorerOptions(**{each.name: given[each.name] for each in fields(RestorerOptions)})
    places = RestorerPlaces(**{each.name: given[each.name] for each in fields(RestorerPlaces)})
    with Stopping() as stopping:
        try:
            summary = _train(options, places, stopping, resume=resume)
        except CancelledError as error:
            print_error(error.reason, str(error))
            context.exit(_SIGNALLED + stopping.number)
        except CmvcError as error:
            print_error(error.reason, str(error))
            context.exit(_FAILED)
        except OSError as error:
            print_error("IO_ERROR", f"{error}; check the path and the space left on the device")
            context.exit(_FAILED)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    before, after = summary["held_out_before"], summary["held_out_after"]
    click.echo(
        f"{summary['steps']} steps in {summary['seconds']:.0f} s, held-out loss {before:.4f} and {after:.4f} now"
    )
    click.echo(f"restorer in {summary['model']}")


def _train(options: RestorerOptions, places: RestorerPlaces, stopping: Stopping, *, resume: bool) -> dict[str, Any]:
    try:
        from cmvc_decoder.training.restorer.run import train  # noqa: PLC0415  # loads torch
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"training needs {missing.name}, which is not installed; in a checkout run: pip install -c constraints.txt "
            "'.[cli]' './services/decoder[training]'"
        ) from None
    with Shown() as shown:
        return train(options, places, stopping=stopping, show=shown, resume=resume)


def main() -> Never:
    """Run the command and exit."""
    prepare()  # of what codes the videos, before it is loaded
    sys.exit(command(prog_name="cmvc-train-restorer"))


if __name__ == "__main__":
    main()
