"""The work of the demo: every mode in turn, then the contact sheet and the table."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from cmvc.client import Client
from cmvc.control import Control
from cmvc.evaluate import Scores, evaluate
from cmvc.media.reader import open_video
from cmvc.settings import decode_config, encode_config
from cmvc.v1 import common_pb2
from examples.demo.clip import render
from examples.demo.servers import Servers
from examples.demo.sheet import Part, Row, write_sheet

RATES = {"coded": 24_000, "vt2v": 12_000, "it2v": 8_000, "tt2v": 1_000, "auto": 20_000}
"""Bits per second in each mode for 854x480 at 24 frames/s; ``auto`` carries the sound, at 8000 of them."""

MEANINGS = {
    "coded": "AV1, nothing invented",
    "vt2v": "tiny video, restored",
    "it2v": "keyframes and motion",
    "tt2v": "text alone",
}
FILMED = Path(__file__).parent / "filmed.mp4"
"""Two seconds of "blackswan" of DAVIS 2016 (Perazzi et al.; BSD), shown beside the clip that is rendered."""
_CLOSER_SECONDS = 2.0
_LONG_SECONDS = 60.0
_REFERENCE_RATE = 854 * 480 * 24  # pixels per second


@dataclass(frozen=True)
class Result:
    """What became of the video in one mode."""

    mode: str
    video: Path
    found: dict[str, Any]
    scores: Scores


def run(console: Console, video: Path | None, out: Path) -> None:
    """Send ``video`` through every mode and leave the results in ``out``.

    Raises:
        CmvcError, OSError: it cannot be read, or a service failed.
    """
    started = time.monotonic()
    if video is not None and not video.is_file():
        raise FileNotFoundError(f"{video} is no file; give a video, as in make demo VIDEO=my.mp4")
    out.mkdir(parents=True, exist_ok=True)
    with _bars(console) as bars:
        source = video or render(out / "original.mp4", _counter(bars, "rendering the demo clip"))
        rates = _rates(source, console)
        with Servers(out / "logs") as servers:
            console.print(f"started: {servers.describe()}")
            results = _send_all(source, rates, out, (servers.target, bars))
            with Client(servers.target) as client:
                closer = _closer(client, video or FILMED, out, rates["vt2v"])
            (out / "metrics.txt").write_text(servers.scrape())
        write_sheet(out / "contact-sheet.png", [_overview(source, results), closer])
    console.print(_table(results))
    chosen = ", ".join(sorted({segment["mode"] for segment in results[-1].found["segments"]}))
    console.print(f"auto chose {chosen} and carries the sound, if there is any, at 8 kbit/s")
    console.print(f"in {out}/: contact-sheet.png, the streams (.cmvc), the videos (.mp4), metrics.txt, logs/")
    console.print(f"took {time.monotonic() - started:.0f} s")


def _send_all(source: Path, rates: dict[str, int], out: Path, through: tuple[str, Progress]) -> list[Result]:
    """Encode in every mode; while one is encoded, the one before is decoded and measured."""
    target, bars = through
    control = Control()
    with Client(target) as client, ThreadPoolExecutor(1) as behind:
        try:
            jobs = []
            for mode, rate in rates.items():
                stream, video = out / f"{mode}.cmvc", out / f"{mode}.mp4"
                config = encode_config(mode=mode, bitrate=rate, audio="opus:8k" if mode == "auto" else "none")
                follow = _follower(bars, f"{mode}: encoding")
                for note in client.encode(source, stream, config, progress=follow, control=control).notes:
                    bars.console.print(f"{mode}: {note}")
                jobs.append(behind.submit(_finish, client, mode, (source, stream, video), (bars, control)))
            return [job.result() for job in jobs]
        except BaseException:
            control.cancel()
            behind.shutdown(wait=False, cancel_futures=True)
            raise


def _finish(client: Client, mode: str, files: tuple[Path, Path, Path], shown: tuple[Progress, Control]) -> Result:
    """Decode a stream and measure what comes out."""
    source, stream, video = files
    bars, control = shown
    client.decode(stream, video, progress=_follower(bars, f"{mode}: decoding"), control=control)
    task = bars.add_task(f"{mode}: measuring", total=None)
    scores = evaluate(source, video)
    bars.update(task, total=1, completed=1)
    return Result(mode, video, client.inspect(stream), scores)


def _rates(source: Path, console: Console) -> dict[str, int]:
    """Return the bit rate for each mode: larger and faster videos get more, less than in proportion."""
    with open_video(source) as reader:
        info = reader.info
    seconds = float((info.frames_estimate or 0) / info.frame_rate)
    if seconds > _LONG_SECONDS:
        console.print(f"{source.name} lasts {seconds:.0f} s; all of it goes through every mode, so this takes a while")
    load = float(info.width * info.height * info.frame_rate) / _REFERENCE_RATE
    factor = max(load, 0.25) ** 0.75
    return {mode: rate if mode == "tt2v" else round(rate * factor, -2) for mode, rate in RATES.items()}


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console, transient=True
    )


def _counter(bars: Progress, what: str) -> Callable[[int, int], None]:
    """Return a callback for (done, total) that shows on a new line of ``bars``."""
    task = bars.add_task(what, total=None)
    return lambda done, total: bars.update(task, completed=done, total=total or None)


def _follower(bars: Progress, what: str) -> Callable[[common_pb2.Progress], None]:
    """Return a callback for the client's progress that shows on a new line of ``bars``."""
    show = _counter(bars, what)
    return lambda now: show(now.frames_done, now.frames_total)


def _overview(source: Path, results: list[Result]) -> Part:
    """Return the contact sheet's part with the original and the four modes."""
    frames = results[0].scores.frames
    totals = results[0].found["totals"]
    size = source.stat().st_size * 8 / totals["duration_s"] / 1000
    first = results[0].scores
    lines = [f"{first.width}x{first.height}, {float(frames / totals['duration_s']):.3g} frames/s"]
    rows = [Row("Original", source, f"{size:,.0f} kbit/s", lines)]
    rows += [_row(result) for result in results if result.mode in MEANINGS]
    return Part(f"{source.name} through CMVC", rows, frames)


def _closer(client: Client, source: Path, out: Path, rate: int) -> Part:
    """Return the part that shows what restoring does: one VT2V stream, decoded with and without."""
    stream = out / ("filmed-vt2v.cmvc" if source == FILMED else "vt2v.cmvc")
    if source == FILMED:
        client.encode(source, stream, encode_config(mode="vt2v", bitrate=rate, audio="none"))
    rows = [Row("Original", source, "", [])]
    for title, profile in (("VT2V, scaled", "embedded"), ("VT2V, restored", "")):
        shown = out / f"{stream.stem}-{'scaled' if profile else 'restored'}.mp4"
        client.decode(stream, shown, decode_config(profile=profile, duration=_CLOSER_SECONDS))
        scores = evaluate(source, shown, duration=_CLOSER_SECONDS)
        totals = client.inspect(stream)["totals"]
        lines = [_quality(scores), "the same stream"]
        rows.append(Row(title, shown, f"{totals['bits_per_second'] / 1000:.2f} kbit/s", lines))
    return Part(f"{source.name}, pixel for pixel", rows, scores.frames, closer=True)


def _quality(scores: Scores) -> str:
    return f"SSIM {scores.ssim:.3f}" + ("" if scores.vmaf is None else f"   VMAF {scores.vmaf:.1f}")


def _row(result: Result) -> Row:
    totals, scores = result.found["totals"], result.scores
    rate = totals["bits_per_second"] / 1000
    lines = [f"{totals['bits_per_pixel']:.5f} bit per pixel", _quality(scores), MEANINGS[result.mode]]
    return Row(result.mode.upper(), result.video, f"{rate:.2f} kbit/s", lines)


def _table(results: list[Result]) -> Table:
    """Lay the results out as a table."""
    table = Table(title="measured on the MP4 files, frame by frame", title_justify="left", title_style="dim")
    for name in ("mode", "kbit/s", "bit/pixel", "PSNR", "SSIM", "MS-SSIM", "VMAF"):
        table.add_column(name, justify="left" if name == "mode" else "right")
    for result in results:
        totals, scores = result.found["totals"], result.scores
        table.add_row(
            result.mode,
            f"{totals['bits_per_second'] / 1000:.2f}",
            f"{totals['bits_per_pixel']:.5f}",
            f"{scores.psnr_y:.2f}",
            f"{scores.ssim:.4f}",
            "-" if scores.ms_ssim is None else f"{scores.ms_ssim:.4f}",
            "-" if scores.vmaf is None else f"{scores.vmaf:.1f}",
        )
    return table
