"""The command ``cmvc-train-restorer``."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Never

import click

from cmvc.process import prepare
from cmvc.restoration.settings import FIDELITY
from cmvc_decoder.training.commands import ENDS, STEPS_OF_A_RUN, VIDEOS, count, libraries, run_of, with_options
from cmvc_decoder.training.restorer.options import VARIANTS, RestorerOptions, RestorerPlaces
from cmvc_decoder.training.shown import Shown
from cmvc_decoder.training.stopping import Stopping

_OPTIONS = (
    VIDEOS,
    click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False),
                 help="Folder of the run: pairs, saved state, losses, and the network as ONNX."),
    click.option("--variant", default=FIDELITY, show_default=True, type=click.Choice(VARIANTS),
                 help="Near to the source, or sharp to the eye; the second fetches the weights of LPIPS."),
    click.option("--start-from", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
                 callback=lambda _context, _option, path: path or "",
                 help="Restorer (ONNX) whose weights to begin with."),
    click.option("--steps", default=9000, show_default=True, type=count(1), help="Of the optimizer."),
    click.option("--batch", default=16, show_default=True, type=count(1), help="Patches of a step."),
    click.option("--learning-rate", default=2e-3, show_default=True, type=click.FloatRange(0, min_open=True),
                 help="At its highest; a warm-up before, a cosine after it."),
    click.option("--codings", default=8, show_default=True, type=count(1),
                 help="Of each video, at scales and quantisers drawn by chance."),
    click.option("--patches", default=256, show_default=True, type=count(1), help="Cut out of each coding."),
    click.option("--held-out", default=0.12, show_default=True, type=click.FloatRange(0, 1, min_open=True,
                 max_open=True), help="Share of the videos to measure on, not trained on."),
    *STEPS_OF_A_RUN,
    click.option("--evaluate-every", default=500, show_default=True, type=count(1),
                 help="Steps between held-out losses."),
    click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"])),
    click.option("--threads", default=2, show_default=True, type=count(1), help="Of the CPU."),
    *ENDS,
)  # fmt: skip


@click.command("cmvc-train-restorer", context_settings={"help_option_names": ["-h", "--help"]})
@with_options(_OPTIONS)
@click.pass_context
def command(context: click.Context, /, resume: bool, as_json: bool, **given: Any) -> None:
    """Train the network that corrects what VT2V decodes, on pairs made with this project's AV1 settings.

    Ctrl-C and SIGTERM save the run; --resume goes on with it, as if it had not been stopped.
    """
    options = RestorerOptions(**{each.name: given[each.name] for each in fields(RestorerOptions)})
    places = RestorerPlaces(**{each.name: given[each.name] for each in fields(RestorerPlaces)})
    with run_of(context) as stopping:
        summary = _train(options, places, stopping, resume=resume)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    before, after = summary["held_out_before"], summary["held_out_after"]
    click.echo(
        f"{summary['steps']} steps in {summary['seconds']:.0f} s, held-out loss {before:.4f} and {after:.4f} now"
    )
    click.echo(f"restorer in {summary['model']}")


def _train(options: RestorerOptions, places: RestorerPlaces, stopping: Stopping, *, resume: bool) -> dict[str, Any]:
    with libraries():
        from cmvc_decoder.training.restorer.run import train  # noqa: PLC0415  # loads torch
    with Shown() as shown:
        return train(options, places, stopping=stopping, show=shown, resume=resume)


def main() -> Never:
    """Run the command and exit."""
    prepare()  # of what codes the videos, before it is loaded
    sys.exit(command(prog_name="cmvc-train-restorer"))


if __name__ == "__main__":
    main()
